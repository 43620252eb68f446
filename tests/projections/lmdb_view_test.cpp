// Read models in tables on disk: typed keys and values, whole steps, exactly once.
#include "../support/scratch_directory.hpp"
#include "../support/trades.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/projector.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
namespace trading = domain::trading;
using namespace std::chrono_literals;
using projections::dead_letter;
using projections::lmdb_view;
using projections::ordered_table;
using projections::table_reader;
using projections::table_writer;
using storage::direction;

/// Counts each event once, into four rows that are always the same; keeps the newest trade of each
/// instrument as a FlatBuffer, and names of prices.
struct counts {
  static constexpr std::string_view name = "counts";
  static constexpr std::uint32_t version = 3;
  using events = domain::event_list<trading::order_executed>;

  static constexpr ordered_table<std::int32_t, std::uint64_t> rows{1};
  static constexpr ordered_table<std::uint32_t, trading::order_submitted> newest{2};
  static constexpr ordered_table<std::tuple<std::string, std::int64_t>, std::uint64_t> named{255};

  static constexpr std::int64_t bad_price = 13;
  static constexpr std::int64_t long_name = 14;
  static constexpr std::int64_t refused_price = 15;

  result<void> on(const trading::order_executed& event, const storage::record_view& record,
                  table_writer& tables) const {
    for (const std::int32_t row : {-2, -1, 0, 1})
      tables.put(rows, row, tables.get(rows, row).value_or(0) + 1);
    tables.put(newest, event.instrument(), [&](auto& builder) {
      return trading::Createorder_submitted(builder, event.price(), event.quantity(),
                                            event.instrument(), trading::side::sell);
    });
    const auto text = event.price() == long_name ? std::string(600, 'n')
                                                 : std::string(event.price() < 0 ? "low" : "high");
    tables.put(named, {text, event.price()}, record.position().value());
    if (event.price() == bad_price)
      throw std::runtime_error("thirteen");
    if (event.price() == refused_price)
      return failure(errc::rejected, "fifteen");
    return {};
  }
};

class lmdb_view_test : public ::testing::Test {
protected:
  void SetUp() override { reopen(); }
  void reopen() {
    view.reset();
    log.reset();
    auto opened = storage::open_log(directory_.path() / "store");
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    view = std::make_unique<lmdb_view<counts>>();
  }
  void trade(std::int64_t price, std::uint32_t instrument = 1) {
    append_trade(*log, {.instrument = instrument, .price = price, .quantity = 5});
  }
  /// Applies the events at these positions as one step.
  [[nodiscard]] projections::step_result apply(const std::vector<std::uint64_t>& positions,
                                               const std::vector<dead_letter>& dead = {}) {
    const auto now = log->snapshot();
    std::vector<storage::record_view> records;
    for (const auto each : positions)
      records.push_back(*(*now)->at(log_position(each)));
    return view->apply({.records = records, .reached = records.back().position(), .dead = dead});
  }
  /// All four rows have it, and the state says it is of that position.
  void expect_counted(std::uint64_t events, std::uint64_t position) const {
    const auto read = view->read([&](const table_reader& now) {
      EXPECT_EQ(now.position(), log_position(position));
      for (const std::int32_t row : {-2, -1, 0, 1})
        EXPECT_EQ(now.get(counts::rows, row).value_or(0), events);
    });
    EXPECT_TRUE(read) << read.error().message();
  }

  scratch_directory directory_{memory_folder()};
  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<lmdb_view<counts>> view;
};

TEST_F(lmdb_view_test, is_there_again_when_it_is_opened_again_and_handles_each_event_once) {
  for (std::uint64_t i = 1; i <= 40; ++i) {
    trade(static_cast<std::int64_t>(i % 10));
    if (i % 8 != 0)
      continue;
    reopen();
    const auto attached = view->attach(*log);
    ASSERT_TRUE(attached) << attached.error().message();
    EXPECT_EQ(view->position(), log_position(i - 8)) << "where it was left";
    const auto done = projections::replay(*log, *view);
    ASSERT_TRUE(done) << done.error().message();
    expect_counted(i, i);
  }
  EXPECT_TRUE(fs::exists(directory_.path() / "store" / "views" / "counts@3" / "data.mdb"));
}

TEST_F(lmdb_view_test, a_step_that_fails_in_the_middle_changes_nothing_and_names_its_record) {
  for (const std::int64_t price : {1, 2, 3, 4, 5, 6})
    trade(price);
  for (const auto price : {counts::bad_price, counts::refused_price, counts::long_name}) {
    reopen();
    ASSERT_TRUE(view->attach(*log));
    if (view->position() == log_position(0)) {
      ASSERT_TRUE(apply({1, 2, 3}));
    }
    trade(price);
    const auto failed = apply({4, 5, log->tail().value()});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().at, 2U);
    EXPECT_EQ(failed.error().why.code(), price == counts::bad_price       ? errc::handler_failed
                                         : price == counts::refused_price ? errc::rejected
                                                                          : errc::too_large)
      << failed.error().why.message();
    expect_counted(3, 3);
  }
  ASSERT_TRUE(apply({4, 5, 6}));
  expect_counted(6, 6);
}

TEST_F(lmdb_view_test, flatbuffers_are_read_where_they_lie) {
  for (std::uint32_t instrument = 1; instrument <= 50; ++instrument)
    trade(instrument * 100, instrument);
  trade(-7, 9);
  ASSERT_TRUE(projections::replay(*log, *view));
  const auto read = view->read([](const table_reader& now) {
    EXPECT_EQ(now.get(counts::newest, 51), nullptr);
    const auto* nine = now.get(counts::newest, 9);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(nine) % 4, 0U);
    return nine == nullptr ? std::tuple<std::int64_t, trading::side>()
                           : std::tuple(nine->price(), nine->side());
  });
  EXPECT_EQ(read, std::tuple(std::int64_t{-7}, trading::side::sell));
}

TEST_F(lmdb_view_test, ranges_go_by_the_order_of_keys) {
  for (const std::int64_t price : {30, -5, 200, -300, 7, 0})
    trade(price);
  ASSERT_TRUE(projections::replay(*log, *view));
  using prices = std::vector<std::int64_t>;
  const auto found = [&](const auto& range, direction way = direction::forward) {
    prices all;
    const auto read = view->read([&](const table_reader& now) {
      now.each(
        range, [&](const auto& key, std::uint64_t) { all.push_back(std::get<1>(key)); }, way);
    });
    EXPECT_TRUE(read) << read.error().message();
    return all;
  };
  const auto& named = counts::named;
  EXPECT_EQ(found(named.all()), (prices{0, 7, 30, 200, -300, -5})) << "high comes before low";
  EXPECT_EQ(found(named.all(), direction::backward), (prices{-5, -300, 200, 30, 7, 0}));
  EXPECT_EQ(found(named.with("low")), (prices{-300, -5}));
  EXPECT_EQ(found(named.with_text("hi")), (prices{0, 7, 30, 200}));
  EXPECT_EQ(found(named.between({"high", 7}, {"high", 200})), (prices{7, 30}));
  EXPECT_EQ(found(named.from({"high", 31}), direction::backward), (prices{-5, -300, 200}));
  EXPECT_EQ(found(named.before({"high", 30})), (prices{0, 7}));
  EXPECT_EQ(found(named.between({"low", 0}, {"high", 0})), prices{});
  const auto ends = view->read([&](const table_reader& now) {
    std::pair<std::int64_t, std::int64_t> both;
    EXPECT_TRUE(
      now.first(named.with("low"), [&](const auto& key, auto) { both.first = std::get<1>(key); }));
    EXPECT_TRUE(
      now.last(named.with("low"), [&](const auto& key, auto) { both.second = std::get<1>(key); }));
    EXPECT_FALSE(now.first(named.with("middle"), [](const auto&, auto) {}));
    return both;
  });
  EXPECT_EQ(ends, (std::pair<std::int64_t, std::int64_t>(-300, -5)));
}

TEST_F(lmdb_view_test, readers_see_whole_steps_while_it_is_written) {
  for (int i = 0; i < 400; ++i)
    trade(i % 10);
  ASSERT_TRUE(view->attach(*log));
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!done.load()) {
        const auto read = view->read([](const table_reader& now) {
          for (const std::int32_t row : {1, -2, 0, -1})
            EXPECT_EQ(now.get(counts::rows, row).value_or(0), now.position().value());
          return now.position();
        });
        EXPECT_TRUE(read) << read.error().message();
        reads.fetch_add(1);
        reads.notify_one();
      }
    });
  for (std::uint64_t position = 1; position <= 400; position += 4) {
    EXPECT_TRUE(apply({position, position + 1, position + 2, position + 3}));
    if (position % 40 == 1)
      reads.wait(reads.load());
  }
  done = true;
  readers.clear();
  expect_counted(400, 400);
}

TEST_F(lmdb_view_test, dead_letters_are_kept_with_the_step_they_are_of) {
  for (const std::int64_t price : {1, 2, 3, 4})
    trade(price);
  ASSERT_TRUE(view->attach(*log));
  const dead_letter second{.position = log_position(2),
                           .stream = "order/2",
                           .code = errc::corrupt,
                           .why = "why it is",
                           .attempts = 3,
                           .since_ns = -5};
  const dead_letter fourth{.position = log_position(4), .stream = "", .why = ""};
  ASSERT_TRUE(apply({1}, {fourth, second}));
  trade(counts::bad_price);
  EXPECT_FALSE(apply({2, 5}, {fourth})) << "nothing of it";
  reopen();
  ASSERT_TRUE(view->attach(*log));
  EXPECT_EQ(view->dead_letters(), (std::vector<dead_letter>{second, fourth}));
  expect_counted(1, 1);
  ASSERT_TRUE(view->apply({.reached = log_position(1), .revived = log_position(2)}));
  EXPECT_EQ(view->dead_letters(), std::vector<dead_letter>{fourth});
  auto tried_again = fourth;
  tried_again.attempts = 7;
  const std::array changed{tried_again};
  ASSERT_TRUE(view->apply({.dead = changed}));
  EXPECT_EQ(view->dead_letters(), std::vector<dead_letter>{tried_again});
  ASSERT_TRUE(view->clear());
  EXPECT_EQ(view->dead_letters(), std::vector<dead_letter>());
  expect_counted(0, 0);
}

TEST_F(lmdb_view_test, waits_for_a_position_before_it_reads) {
  trade(1);
  ASSERT_TRUE(projections::replay(*log, *view));
  const auto count = [](const table_reader& now) { return now.get(counts::rows, 0).value_or(0); };
  EXPECT_EQ(view->read(log_position(1), 1h, count), 1U);
  const auto late = view->read(log_position(2), 1ns, count);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), errc::timed_out);
}

TEST_F(lmdb_view_test, is_attached_anew_while_it_is_read) {
  trade(1);
  ASSERT_TRUE(projections::replay(*log, *view));
  const auto read = view->read([&](const table_reader& now) {
    const auto again = view->attach(*log);
    EXPECT_TRUE(again) << again.error().message();
    EXPECT_EQ(now.get(counts::rows, 0), 1U);
  });
  EXPECT_TRUE(read);
  trade(2);
  ASSERT_TRUE(projections::replay(*log, *view));
  expect_counted(2, 2);
}

TEST_F(lmdb_view_test, a_key_that_is_too_long_is_an_error_of_who_reads) {
  ASSERT_TRUE(view->attach(*log));
  const auto read = view->read([](const table_reader& now) {
    return now.get(counts::named, {std::string(600, 'x'), 1}).has_value();
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), errc::too_large) << read.error().message();
}

TEST_F(lmdb_view_test, is_not_read_before_it_is_attached) {
  const auto read = view->read([](const table_reader&) {});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), errc::not_found);
  EXPECT_NE(read.error().message().find("counts@3"), std::string::npos);
  EXPECT_FALSE(view->clear());
  EXPECT_FALSE(view->dead_letters());
  EXPECT_FALSE(view->apply({}));
}

/// The tables of `counts`, of other types.
struct other_counts {
  static constexpr std::string_view name = counts::name;
  static constexpr std::uint32_t version = counts::version;
  using events = domain::event_list<trading::order_executed>;
  void on(const trading::order_executed&, const storage::record_view&, table_writer&) const {}
  static constexpr ordered_table<std::int32_t, std::array<std::uint64_t, 4>> rows{1};
  static constexpr ordered_table<std::int64_t, std::uint64_t> keys{1};
  static constexpr ordered_table<std::int32_t, trading::order_submitted> buffers{1};
};

TEST_F(lmdb_view_test, values_of_other_types_are_not_taken_for_its_own) {
  trade(1);
  ASSERT_TRUE(projections::replay(*log, *view));
  view.reset();
  lmdb_view<other_counts> other;
  ASSERT_TRUE(other.attach(*log));
  const auto expect_damaged = [](const auto& read) {
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), errc::corrupt);
    EXPECT_NE(read.error().message().find("remove the view's directory"), std::string::npos);
  };
  expect_damaged(
    other.read([](const table_reader& now) { return now.get(other_counts::rows, 0).has_value(); }));
  expect_damaged(other.read(
    [](const table_reader& now) { return now.get(other_counts::buffers, 0) != nullptr; }));
  expect_damaged(other.read([](const table_reader& now) {
    now.each(other_counts::keys.all(), [](std::int64_t, std::uint64_t) { ADD_FAILURE(); });
  }));
}

TEST_F(lmdb_view_test, parts_of_a_view_lie_beside_each_other) {
  lmdb_view<counts> first({.part = 0, .parts = 2});
  lmdb_view<counts> second({.part = 1, .parts = 2});
  ASSERT_TRUE(first.attach(*log));
  ASSERT_TRUE(second.attach(*log));
  EXPECT_TRUE(fs::exists(directory_.path() / "store" / "views" / "counts@3.1of2" / "data.mdb"));
}

TEST_F(lmdb_view_test, an_engines_projector_feeds_it) {
  auto engine = runtime::engine::open<trading::limit_order>(std::move(log));
  ASSERT_TRUE(engine) << engine.error().message();
  std::uint64_t executions = 0;
  for (int round = 0; round < 2; ++round) {
    lmdb_view<counts> followed;
    auto following = projections::projector::start(**engine, followed);
    ASSERT_TRUE(following) << following.error().message();
    for (int i = 0; i < 20; ++i) {
      const auto id = static_cast<std::uint64_t>(round * 100 + i);
      ASSERT_TRUE(
        (*engine)->ask<trading::limit_order>(id, trading::submit{1, trading::side::buy, 100, 10}));
      const auto receipt =
        (*engine)->ask<trading::limit_order>(id, trading::execute{.quantity = 3, .price = {}});
      ASSERT_TRUE(receipt) << receipt.error().message();
      ++executions;
      const auto counted = followed.read(receipt->position, 30s, [](const table_reader& now) {
        return now.get(counts::rows, 1).value_or(0);
      });
      EXPECT_EQ(counted, executions) << "one reads one's own writes";
    }
  }
}

/// Notes where a view was.
struct moves final : projections::progress::listener {
  explicit moves(const projections::projection& of) : view(of) {}
  void moved() noexcept override { seen.push_back(view.position()); }
  const projections::projection& view;
  std::vector<log_position> seen;
};

TEST_F(lmdb_view_test, does_not_go_back_when_it_goes_on_behind_an_event_that_failed) {
  view.reset();
  log.reset();
  auto unsynced = storage::open_log(directory_.path() / "store",
                                    {.durability = storage::durability::process, .sync_every = 1h});
  ASSERT_TRUE(unsynced);
  for (const std::int64_t price : {1, 2, 3})
    append_trade(**unsynced, {.price = price});
  append_trade(**unsynced, {.price = counts::bad_price});
  auto engine =
    runtime::engine::open<trading::limit_order>(std::move(*unsynced), {.deterministic_seed = 1});
  ASSERT_TRUE(engine) << engine.error().message();
  lmdb_view<counts> followed;
  moves noted(followed);
  auto following = projections::projector::start(**engine, followed, {.batch = 1});
  ASSERT_TRUE(following) << following.error().message();
  (*engine)->run_until_idle();
  ASSERT_EQ(followed.position(), log_position(3));
  followed.progress().add_listener(noted);
  (*following)->resume();
  (*engine)->run_until_idle();
  followed.progress().remove_listener(noted);
  EXPECT_FALSE((*following)->status());
  EXPECT_TRUE(std::ranges::all_of(noted.seen, [](auto at) { return at == log_position(3); }))
    << "readers would see less than before";
}

} // namespace
} // namespace acta::tests
