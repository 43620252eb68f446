// Recorded order flow with known answers.
#include "../support/recorded_data.hpp"
#include "../support/scratch_directory.hpp"

#include "decimal.hpp"
#include "simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using sim::options;
using sim::report;

class recorded_feeds : public ::testing::Test {
protected:
  void SetUp() override {
    data = recorded_data();
    if (!fs::exists(data / "arl" / "mbo.csv"))
      GTEST_SKIP() << "no recorded feeds in " << data << "; set ACTA_DATA_DIR";
    chosen.quiet = true;
    chosen.durability = storage::durability::memory;
  }

  report run() {
    const std::atomic<bool> interrupted = false;
    auto done = sim::simulate(chosen, interrupted);
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    return done.value_or(report{});
  }

  [[nodiscard]] fs::path out(const char* name) const { return directory_.path() / name; }
  [[nodiscard]] static std::string text(const fs::path& file) { return **sim::read_file(file); }

  options chosen;
  fs::path data;

private:
  scratch_directory directory_;
};

// --- ARL: a whole day from an empty book --------------------------------------------------------

const std::string arl_final_book = "side,price,size,orders\n"
                                   "B,9.85,400,1\nB,9.84,100,1\nB,9.79,100,1\n"
                                   "A,16.25,60,1\nA,17.85,100,1\nA,17.93,100,1\n";

void expect_arl_totals(const report& of) {
  EXPECT_EQ(of.resting_orders, 6U);
  EXPECT_EQ(of.trades.displayed.count, 11U);
  EXPECT_EQ(of.trades.displayed.volume, 231);
  EXPECT_EQ(of.trades.all.count, 46U);
  EXPECT_EQ(of.trades.all.volume, 1'341);
}

class arl_feed : public recorded_feeds {
protected:
  void SetUp() override {
    recorded_feeds::SetUp();
    chosen.feed = sim::feed_kind::mbo;
    chosen.feed_file = data / "arl" / "mbo.csv";
    chosen.window = 1;
    chosen.book_out = out("book.csv");
    chosen.final_book = out("final.csv");
  }

  /// Each reference row must be the book before, between or after the records of its sequence.
  void expect_reference_rows() const {
    const auto reference = read_csv(data / "arl" / "mbp.csv");
    const auto ours = read_csv(out("book.csv"));
    ASSERT_EQ(reference.rows.size(), 3'928U);
    const auto from = reference.column("bid_px_00");
    const auto sequence = reference.column("sequence");
    constexpr std::size_t width = 60;
    ASSERT_TRUE(std::equal(ours.names.begin() + 2, ours.names.end(),
                           reference.names.begin() + static_cast<std::ptrdiff_t>(from),
                           reference.names.begin() + static_cast<std::ptrdiff_t>(from + width)));
    std::vector<std::string> book;
    for (std::size_t i = 0; i < width; ++i)
      book.emplace_back(i % 3 == 0 ? "" : "0");
    auto next = ours.rows.begin();
    std::size_t equal = 0;
    for (const auto& row : reference.rows) {
      const auto at = std::stoull(row[sequence]);
      const std::vector<std::string> wanted(row.begin() + static_cast<std::ptrdiff_t>(from),
                                            row.begin()
                                              + static_cast<std::ptrdiff_t>(from + width));
      const auto take_next = [&] { book.assign(next->begin() + 2, next->end()); };
      for (; next != ours.rows.end() && std::stoull(next->front()) < at; ++next)
        take_next();
      for (; book != wanted && next != ours.rows.end() && std::stoull(next->front()) == at; ++next)
        take_next();
      equal += book == wanted ? 1U : 0U;
    }
    EXPECT_EQ(equal, 3'928U);
  }
};

TEST_F(arl_feed, gives_the_exchanges_own_rows_and_book) {
  expect_arl_totals(run());
  expect_reference_rows();
  EXPECT_EQ(text(out("final.csv")), arl_final_book);
}

TEST_F(arl_feed, gives_them_again_from_a_store_opened_again) {
  chosen.durability = storage::durability::power;
  chosen.store = out("store");
  const auto first = run();
  EXPECT_EQ(first.resumed, 0U);
  fs::remove(out("book.csv"));
  fs::remove(out("final.csv"));
  const auto again = run();
  EXPECT_EQ(again.commands, 0U) << "all is in the store";
  EXPECT_EQ(again.resumed, first.commands);
  expect_arl_totals(again);
  expect_reference_rows();
  EXPECT_EQ(text(out("final.csv")), arl_final_book);
}

TEST_F(arl_feed, gives_the_same_final_book_with_many_commands_in_flight_and_after_a_rebuild) {
  chosen.window = options{}.window;
  chosen.durability = storage::durability::power;
  chosen.store = out("store");
  chosen.book_out.clear();
  expect_arl_totals(run());
  EXPECT_EQ(text(out("final.csv")), arl_final_book);
  options rebuild;
  rebuild.quiet = true;
  rebuild.orders = 0;
  rebuild.store = chosen.store;
  rebuild.final_book = out("rebuilt.csv");
  chosen = rebuild;
  expect_arl_totals(run());
  EXPECT_EQ(text(out("rebuilt.csv")), arl_final_book);
}

// --- LOBSTER: an hour from a book that is there -------------------------------------------------

using level = std::pair<std::int64_t, std::int64_t>; // price in 1e-4 of a dollar, size
using book_row = std::vector<level>;                 // ask, bid, ask, bid, ...

class lobster_feed : public recorded_feeds {
protected:
  void SetUp() override {
    recorded_feeds::SetUp();
    chosen.feed = sim::feed_kind::lobster;
    chosen.feed_file = data / "lobster" / "message_50.csv";
    chosen.initial_book = data / "lobster" / "orderbook_10.first999.csv";
    chosen.window = 1;
    chosen.book_out = out("book.csv");
  }

  /// Our rows by line of the feed; where a line has none, the book did not change.
  [[nodiscard]] std::map<std::uint64_t, book_row> our_rows(std::size_t levels) const {
    const auto ours = read_csv(out("book.csv"));
    std::map<std::uint64_t, book_row> rows;
    for (const auto& row : ours.rows) {
      book_row book;
      for (std::size_t i = 0; i < levels; ++i)
        for (const std::size_t side : {5U, 2U}) { // ask, then bid
          const auto at = side + i * 6;
          const auto price = sim::parse_price(row[at]);
          book.emplace_back(price ? *price / 100'000 : 0, std::stoll(row[at + 1]));
        }
      rows[std::stoull(row[0])] = std::move(book);
    }
    return rows;
  }

  /// The rows of a LOBSTER order book file, its first `levels` levels.
  [[nodiscard]] static std::vector<book_row> reference_rows(const fs::path& file) {
    std::vector<book_row> rows;
    for (const auto& row : read_csv(file, false).rows) {
      book_row book;
      for (std::size_t i = 0; i + 1 < row.size(); i += 2)
        book.emplace_back(std::stoll(row[i]), std::stoll(row[i + 1]));
      rows.push_back(std::move(book));
    }
    return rows;
  }

  /// How many best-bid/ask states in a row equal those of the reference, and how many there are.
  [[nodiscard]] std::pair<std::size_t, std::size_t> equal_states() const {
    const auto rows = our_rows(1);
    auto reference = reference_rows(data / "lobster" / "orderbook_1.csv");
    reference.erase(std::unique(reference.begin(), reference.end()), reference.end());
    std::size_t states = 0;
    std::size_t equal = 0;
    const book_row* last = nullptr;
    for (const auto& [line, row] : rows) {
      if (line == 0 || (last != nullptr && *last == row))
        continue;
      last = &row;
      if (equal == states && states < reference.size() && reference[states] == row)
        ++equal;
      ++states;
    }
    return {equal, states};
  }
};

TEST_F(lobster_feed, equals_the_first_15999_states_and_999_rows_of_ten_levels) {
  const auto done = run();
  EXPECT_EQ(done.unknown_orders, 84U);
  EXPECT_EQ(done.taken_by_initial_book + done.rejections.at("unknown_order"), 84U) << "none lost";
  EXPECT_EQ(done.rejections.size(), 1U);
  EXPECT_EQ(done.commands, 91'997U + 20U - 1U) << "a halt aside, each message is one command";
  EXPECT_EQ(done.resting_orders, 380U);
  EXPECT_EQ(done.trades.displayed.count, 4'067U);
  EXPECT_EQ(done.trades.displayed.volume, 350'494);
  EXPECT_TRUE(done.trades.displayed.notional
              == projections::notional_type{2'053'777'664'200} * 100'000);
  EXPECT_EQ(done.trades.all.count, 4'067U + 2'201U);
  EXPECT_EQ(equal_states().first, 15'999U);

  // The ten-level file has the messages that touch ten levels only; each is found in the feed
  // again.
  const auto messages = read_csv(data / "lobster" / "message_10.first999.csv", false).rows;
  const auto feed = read_csv(chosen.feed_file, false).rows;
  const auto reference = reference_rows(chosen.initial_book);
  const auto rows = our_rows(10);
  ASSERT_EQ(messages.size(), 999U);
  std::size_t line = 0;
  std::size_t equal = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto same = [&](const std::vector<std::string>& one) {
      return std::equal(one.begin() + 1, one.end(), messages[i].begin() + 1)
             && std::abs(std::stod(one[0]) - std::stod(messages[i][0])) < 1e-5;
    };
    while (line < feed.size() && !same(feed[line]))
      ++line;
    ASSERT_LT(line, feed.size()) << "message " << i + 1;
    const auto found = rows.upper_bound(++line);
    equal += found != rows.begin() && std::prev(found)->second == reference[i] ? 1U : 0U;
  }
  EXPECT_EQ(equal, 999U);
}

TEST_F(lobster_feed, equals_all_23440_states_without_the_order_whose_removal_is_missing) {
  chosen.skipped_orders = {45'367'855};
  run();
  EXPECT_EQ(equal_states(), std::pair(std::size_t{23'440}, std::size_t{23'440}));
}

TEST_F(lobster_feed, ends_with_the_same_book_with_many_commands_in_flight) {
  chosen.final_book = out("final.csv");
  chosen.book_out.clear();
  run();
  const auto in_order = text(out("final.csv"));
  chosen.window = options{}.window;
  const auto done = run();
  EXPECT_EQ(text(out("final.csv")), in_order);
  EXPECT_EQ(done.resting_orders, 380U);
}

TEST_F(lobster_feed, refuses_unknown_orders_where_no_book_is_given) {
  chosen.initial_book.clear();
  chosen.window = options{}.window;
  const auto done = run();
  EXPECT_EQ(done.rejections.at("unknown_order"), 84U);
  EXPECT_EQ(done.unknown_orders, 84U);
}

} // namespace
} // namespace acta::tests
