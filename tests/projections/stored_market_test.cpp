// The order book and the trade tape on disk against those in memory, over generated order flow.
#include "../support/order_flow.hpp"
#include "../support/scratch_directory.hpp"
#include "../support/trades.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/stored_order_book.hpp>
#include <acta/projections/stored_trade_tape.hpp>
#include <acta/runtime/engine.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;
using projections::lmdb_view;
using projections::memory_view;
using projections::order_book;
using projections::stored_order_book;
using projections::stored_trade_tape;
using projections::table_reader;
using projections::timed_trade;
using projections::trade_tape;

/// Every trade there is, as the log has them.
class all_trades final {
public:
  static constexpr std::string_view name = "all_trades";
  static constexpr std::uint32_t version = 1;
  using events = trade_tape::events;

  void on(const order_executed& event, const storage::record_view& record) {
    add(record, {record.position(), event.price(), event.quantity(), event.instrument(), true});
  }
  void on(const trade_printed& event, const storage::record_view& record) {
    add(record, {record.position(), event.price(), event.quantity(),
                 static_cast<std::uint32_t>(record.integer_key()), false});
  }
  std::vector<timed_trade> seen;

private:
  void add(const storage::record_view& record, const projections::trade& one) {
    seen.push_back({record.header().recorded_at_ns, one});
  }
};

class stored_market_test : public ::testing::TestWithParam<unsigned> {
protected:
  static constexpr std::size_t kept = 25;

  void SetUp() override {
    auto log = storage::open_log(directory_.path() / "store");
    ASSERT_TRUE(log) << log.error().message();
    auto opened = runtime::engine::open<limit_order, instrument>(
      std::move(*log), {.deterministic_seed = 1, .clock = &time});
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
  }
  void trade_on(int commands) {
    for (int i = 0; i < commands; ++i) {
      time.advance_ns(static_cast<std::int64_t>(random() % 3));
      if (random() % 20 == 0) {
        const print_trade print{.price = -4 + static_cast<std::int64_t>(random() % 9),
                                .quantity = 2};
        ASSERT_TRUE(engine->ask<instrument>(2 + random() % 2, print));
      }
      (void)engine->ask<limit_order>(1 + random() % 60, random_command(random)); // or refused
    }
  }
  template <class... Views>
  void follow(Views&... views) {
    (follow_one(views), ...);
  }
  template <class View>
  void follow_one(View& view) {
    const auto done = projections::replay(engine->log(), view);
    ASSERT_TRUE(done) << done.error().message();
  }

  void expect_same_book(const order_book& wanted) const {
    const auto read = stored_book->read([&](const table_reader& now) {
      EXPECT_EQ(now.position(), engine->log().tail());
      std::vector<std::uint32_t> resting;
      for (const std::uint32_t instrument : {0U, 1U, 2U, 3U, 4U}) {
        const auto depth = wanted.depth(instrument);
        if (!depth.bids.empty() || !depth.asks.empty())
          resting.push_back(instrument);
        for (const std::size_t levels : {std::size_t{0}, std::size_t{2}, SIZE_MAX})
          EXPECT_EQ(stored_order_book::depth(now, instrument, levels),
                    wanted.depth(instrument, levels));
        const auto top = stored_order_book::top(now, instrument);
        EXPECT_EQ(top.bid, wanted.top(instrument).bid);
        EXPECT_EQ(top.ask, wanted.top(instrument).ask);
        auto bids = depth.bids; // best first: the highest
        std::ranges::reverse(bids);
        std::erase_if(bids, [](const auto& one) { return one.price < -1 || one.price >= 5; });
        EXPECT_EQ(stored_order_book::between(now, instrument, side::buy, -1, 5), bids);
      }
      EXPECT_EQ(stored_order_book::instruments(now), resting);
    });
    EXPECT_TRUE(read) << read.error().message();
  }

  void expect_same_tape(const trade_tape& wanted, const std::vector<timed_trade>& all) {
    const auto read = stored_tape->read([&](const table_reader& now) {
      EXPECT_EQ(stored_trade_tape::totals(now), wanted.totals());
      const auto newest = wanted.newest();
      const auto found = stored_trade_tape::newest(now, kept);
      EXPECT_TRUE(std::ranges::equal(found, newest, {}, &timed_trade::what));
      for (const std::uint32_t instrument : {0U, 1U, 2U, 3U, 4U}) {
        EXPECT_EQ(stored_trade_tape::totals(now, instrument), wanted.totals(instrument));
        auto of_it = all;
        std::erase_if(of_it, [&](const auto& one) { return one.what.instrument != instrument; });
        EXPECT_EQ(stored_trade_tape::newest(now, instrument, SIZE_MAX), of_it);
        EXPECT_EQ(stored_trade_tape::newest(now, instrument, 0).size(), 0U);
        const auto from = start + static_cast<std::int64_t>(random() % 500);
        const auto to = from + static_cast<std::int64_t>(random() % 500);
        std::erase_if(of_it, [&](const auto& one) { return one.at_ns < from || one.at_ns >= to; });
        EXPECT_EQ(stored_trade_tape::between(now, instrument, from, to), of_it);
      }
    });
    EXPECT_TRUE(read) << read.error().message();
  }

  static constexpr std::int64_t start = 1'000'000'000;
  std::mt19937 random{GetParam()};
  manual_clock time{start};
  scratch_directory directory_{memory_folder()};
  std::unique_ptr<runtime::engine> engine;
  std::unique_ptr<lmdb_view<stored_order_book>> stored_book;
  std::unique_ptr<lmdb_view<stored_trade_tape>> stored_tape;
};

TEST_P(stored_market_test, is_what_the_models_in_memory_are) {
  memory_view<order_book> book;
  memory_view<trade_tape> tape(trade_tape{kept});
  memory_view<all_trades> trades;
  for (int round = 0; round < 8; ++round) {
    stored_book.reset(); // it is there again
    stored_tape.reset();
    stored_book = std::make_unique<lmdb_view<stored_order_book>>();
    stored_tape = std::make_unique<lmdb_view<stored_trade_tape>>();
    trade_on(100);
    follow(book, tape, trades, *stored_book, *stored_tape);
    expect_same_book(book.read([](const auto& now) { return now; }));
    expect_same_tape(tape.read([](const auto& now) { return now; }),
                     trades.read([](const auto& now) { return now.seen; }));
  }
}

INSTANTIATE_TEST_SUITE_P(seeds, stored_market_test, ::testing::Range(1U, 4U));

TEST(stored_trade_tape, a_volume_beyond_64_bits_is_an_error_of_its_event) {
  const scratch_directory directory{memory_folder()};
  auto log = storage::open_log(directory.path() / "store");
  ASSERT_TRUE(log);
  for (int i = 0; i < 2; ++i)
    append_trade(**log, {.quantity = std::int64_t{1} << 62U});
  lmdb_view<stored_trade_tape> view;
  const auto done = projections::replay(**log, view);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::handler_failed) << done.error().message();
  EXPECT_NE(done.error().message().find("position 2"), std::string::npos);
}

} // namespace
} // namespace acta::tests
