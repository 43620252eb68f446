#include "../support/engine_fixture.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <latch>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;
using runtime::engine;
using runtime::outcome;

class engine_test : public engine_fixture {};

TEST_F(engine_test, gives_a_receipt_with_version_position_and_number_of_events) {
  auto e = open();
  const auto first = e->ask<limit_order>(7, buy(10));
  ASSERT_TRUE(first.has_value()) << first.error().message();
  EXPECT_EQ(first->version, stream_version(1));
  EXPECT_EQ(first->position, log_position(1));
  EXPECT_EQ(first->events, 1U);
  EXPECT_FALSE(first->repeat);
  const auto second = e->ask<limit_order>(7, reduce{.quantity = 4});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->version, stream_version(2));
  EXPECT_EQ(second->position, log_position(2));
}

TEST_F(engine_test, dates_records_by_the_clock_it_was_given) {
  manual_clock now(5'000);
  auto e = open({.clock = &now});
  ASSERT_TRUE(e->ask<limit_order>(7, buy(10)));
  now.advance_ns(1'000);
  ASSERT_TRUE(e->ask<limit_order>(7, reduce{.quantity = 4}));
  const auto all = headers();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].recorded_at_ns, 5'000);
  EXPECT_EQ(all[1].recorded_at_ns, 6'000);
}

TEST_F(engine_test, reads_the_streams_it_writes) {
  auto e = open();
  for (const std::int64_t quantity : {4, 3, 2})
    ASSERT_TRUE(e->ask<limit_order>(
      7, replace{.instrument = 1, .side = side::buy, .price = 5, .quantity = quantity}));
  ASSERT_TRUE(e->ask<limit_order>(8, buy(1)));
  const auto expect = [&](std::vector<std::uint64_t> expected, stream_version from, std::size_t max,
                          storage::direction way) {
    const auto now = e->log().snapshot();
    const auto read = e->read(e->stream<limit_order>(7), **now, from, max, way);
    ASSERT_TRUE(read.has_value()) << read.error().message();
    std::vector<std::uint64_t> versions;
    for (const auto& record : read->records)
      versions.push_back(record.version().value());
    EXPECT_EQ(versions, expected);
  };
  const auto expect_all = [&] {
    expect({1, 2, 3}, {}, 100, storage::direction::forward);
    expect({2}, stream_version(2), 1, storage::direction::forward);
    expect({3, 2}, stream_version(UINT64_MAX), 2, storage::direction::backward);
  };
  expect_all();
  const auto now = e->log().snapshot();
  EXPECT_TRUE(e->read(e->stream<limit_order>(9), **now)->records.empty());
  const auto other = engine::open<limit_order>(std::make_unique<storage::forwarding_log>(
    std::shared_ptr<storage::event_log>(storage::make_memory_log())));
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ((*other)->read(stream_id(category_id(1), 7), **now).error().code(),
            errc::invalid_argument)
    << "the snapshot is of another log";
  e->stop();
  expect_all();
}

TEST_F(engine_test, reads_its_own_writes_from_many_threads) {
  auto e = open({.workers = 2});
  std::vector<std::jthread> threads;
  for (std::uint64_t order = 1; order <= 4; ++order)
    threads.emplace_back([&, order] {
      for (std::int64_t i = 1; i <= 200; ++i) {
        const replace command{.instrument = 1, .side = side::buy, .price = i, .quantity = 1};
        ASSERT_TRUE(e->ask<limit_order>(order, command));
        const auto now = e->log().snapshot();
        const auto newest = e->read(e->stream<limit_order>(order), **now,
                                    stream_version(UINT64_MAX), 1, storage::direction::backward);
        ASSERT_TRUE(newest.has_value());
        ASSERT_EQ(newest->records.size(), 1U);
        ASSERT_EQ(newest->records.front().version(), stream_version(static_cast<std::uint64_t>(i)));
      }
    });
}

TEST_F(engine_test, answers_a_refused_command_with_the_domains_code_and_stores_nothing) {
  auto e = open();
  const auto refused = e->ask<limit_order>(7, reduce{.quantity = 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), errc::rejected);
  EXPECT_EQ(refused.error().rejection(), static_cast<std::uint16_t>(refusal::unknown_order));
  EXPECT_EQ(log->tail(), log_position(0));
}

TEST_F(engine_test, accepts_a_command_that_emits_nothing) { // G140
  auto e = open();
  ASSERT_TRUE(e->ask<limit_order>(7, buy(10)).has_value());
  const auto nothing = e->ask<limit_order>(7, modify{});
  ASSERT_TRUE(nothing.has_value());
  EXPECT_EQ(nothing->events, 0U);
  EXPECT_EQ(nothing->version, stream_version(1));
  EXPECT_EQ(nothing->position, log_position(1));
}

TEST_F(engine_test, gives_no_receipt_before_the_commit) { // I1, G130, G131, G139
  auto e = open();
  faults_->hold_commits();
  std::atomic<int> answered{0};
  std::latch both(2);
  const auto count = [&](outcome&&) {
    ++answered;
    both.count_down();
  };
  ASSERT_TRUE(e->tell<limit_order>(7, buy(10), count).has_value());
  faults_->wait_for_held_commit();
  EXPECT_EQ(answered, 0);
  // Pipelining: the next command of the aggregate is decided before the first one is durable.
  ASSERT_TRUE(e->tell<limit_order>(7, reduce{.quantity = 10}, count).has_value());
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(log->tail(), log_position(0));
  faults_->release_commits();
  both.wait();
  EXPECT_EQ(log->tail(), log_position(2));
}

TEST_F(engine_test, keeps_positions_and_versions_free_of_gaps_under_concurrent_callers) { // I2, I3
  constexpr int callers = 4;
  constexpr int commands = 5'000;
  {
    auto e = open({.workers = 2, .max_in_flight = 1U << 20U});
    std::atomic<int> answered{0};
    std::vector<std::jthread> threads;
    for (int caller = 0; caller < callers; ++caller)
      threads.emplace_back([&, caller] {
        std::mt19937_64 random(static_cast<std::uint64_t>(caller));
        for (int i = 0; i < commands; ++i) {
          const auto sides = (random() & 1U) != 0 ? side::buy : side::sell;
          const replace command{.instrument = 1, .side = sides, .price = 5, .quantity = i + 1};
          const auto id =
            command_id::of(static_cast<std::uint64_t>(caller) + 1, static_cast<std::uint64_t>(i));
          auto sent = e->tell<limit_order>(random() % 50, command,
                                           [&](outcome&& how) { answered += how ? 1 : 0; }, {id});
          EXPECT_TRUE(sent.has_value());
        }
      });
    threads.clear();
    e->stop();
    EXPECT_EQ(answered, callers * commands);
  }
  std::map<std::uint64_t, std::uint64_t> versions;
  auto snapshot = log->snapshot();
  command_id command;
  std::uint16_t remaining = 0;
  std::uint64_t split = 0;
  for (std::uint64_t position = 1; position <= (*snapshot)->tail().value(); ++position) {
    const auto record = (*snapshot)->at(log_position(position));
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->version().value(), ++versions[record->integer_key()]);
    if (remaining != 0) {
      ++split;
      EXPECT_EQ(record->header().command, command);
      EXPECT_EQ(record->header().remaining, remaining - 1);
    }
    command = record->header().command;
    remaining = record->header().remaining;
  }
  EXPECT_EQ(remaining, 0);
  EXPECT_GT(split, 100U) << "the test should have had commands of two events";
}

TEST_F(engine_test, handles_one_callers_commands_in_order) {
  auto e = open({.workers = 2});
  std::latch done(1'000);
  ASSERT_TRUE(e->ask<limit_order>(1, buy(1)).has_value());
  std::uint64_t last_version = 1;
  bool in_order = true;
  for (int i = 2; i <= 1'001; ++i)
    ASSERT_TRUE(e->tell<limit_order>(1, modify{.price = i, .quantity = {}},
                                     [&](outcome&& how) {
                                       in_order = in_order && how.has_value()
                                                  && how->version.value() == last_version + 1;
                                       last_version = how->version.value();
                                       done.count_down();
                                     })
                  .has_value());
  done.wait();
  EXPECT_TRUE(in_order);
}

// G133
TEST_F(engine_test, fails_everything_from_the_failed_commit_on_and_loses_nothing_before) { // I5
  {
    auto e = open();
    ASSERT_TRUE(e->ask<limit_order>(1, buy(10)).has_value());
    faults_->hold_commits();
    std::latch settled(3);
    std::mutex mutex;
    std::vector<errc> codes;
    const auto record = [&](outcome&& how) {
      const std::lock_guard guard(mutex);
      codes.push_back(how ? errc{} : how.error().code());
      settled.count_down();
    };
    faults_->fail_next_commit({errc::no_space, "no space left on device"});
    ASSERT_TRUE(e->tell<limit_order>(1, reduce{.quantity = 4}, record).has_value());
    faults_->wait_for_held_commit();
    // Both are decided on a state that will never be true: also the refusal must not be believed.
    ASSERT_TRUE(e->tell<limit_order>(1, execute{.quantity = 10, .price = {}}, record).has_value());
    ASSERT_TRUE(e->tell<limit_order>(2, buy(1), record).has_value());
    faults_->release_commits();
    settled.wait();
    EXPECT_EQ(codes, std::vector(3, errc::commit_failed));
    ASSERT_TRUE(e->failed().has_value());
    EXPECT_NE(e->failed()->message().find("no space"), std::string::npos);
    const auto refused = e->ask<limit_order>(3, buy(1));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), errc::commit_failed);
  }
  EXPECT_EQ(headers().size(), 1U);
  auto again = open();
  const auto executed = again->ask<limit_order>(1, execute{.quantity = 10, .price = {}});
  ASSERT_TRUE(executed.has_value()) << "the state must be that of the log: 10 rest";
  EXPECT_EQ(executed->position, log_position(2));
  EXPECT_EQ(executed->version, stream_version(2));
}

TEST_F(engine_test, answers_a_repeated_command_with_its_first_receipt) { // I8, B40
  const auto id = command_id::of(1, 1);
  runtime::receipt first;
  {
    auto e = open();
    ASSERT_TRUE(e->ask<limit_order>(9, buy(5)).has_value());
    const auto receipt = e->ask<limit_order>(1, buy(10), {id});
    ASSERT_TRUE(receipt.has_value());
    first = *receipt;
    ASSERT_TRUE(e->ask<limit_order>(1, reduce{.quantity = 1}).has_value());
    const auto repeat = e->ask<limit_order>(1, buy(10), {id});
    ASSERT_TRUE(repeat.has_value()) << repeat.error().message();
    EXPECT_TRUE(repeat->repeat);
    EXPECT_EQ(repeat->position, first.position);
    EXPECT_EQ(repeat->version, first.version);
    EXPECT_EQ(repeat->events, first.events);
  }
  auto again = open();
  const auto repeat = again->ask<limit_order>(1, buy(10), {id});
  ASSERT_TRUE(repeat.has_value());
  EXPECT_TRUE(repeat->repeat);
  EXPECT_EQ(repeat->position, first.position);
  EXPECT_EQ(log->tail(), log_position(3));
}

TEST_F(engine_test, answers_a_repeat_of_a_command_that_is_not_committed_yet) { // I8, I1
  auto e = open();
  faults_->hold_commits();
  const auto id = command_id::of(1, 2);
  std::latch both(2);
  std::vector<runtime::receipt> receipts;
  const auto keep = [&](outcome&& how) {
    ASSERT_TRUE(how.has_value());
    receipts.push_back(*how);
    both.count_down();
  };
  ASSERT_TRUE(e->tell<limit_order>(1, buy(10), keep, {id}).has_value());
  faults_->wait_for_held_commit();
  ASSERT_TRUE(e->tell<limit_order>(1, buy(10), keep, {id}).has_value());
  faults_->release_commits();
  both.wait();
  EXPECT_FALSE(receipts.at(0).repeat);
  EXPECT_TRUE(receipts.at(1).repeat);
  EXPECT_EQ(receipts.at(0).position, receipts.at(1).position);
  EXPECT_EQ(log->tail(), log_position(1));
}

/// Commands of random ids, many of them sent before, against a list of the newest that stored
/// events; also after the engine was opened again and the aggregate loaded.
TEST_F(engine_test, remembers_as_many_command_ids_as_its_window_has) {
  std::mt19937_64 random(1);
  for (const std::size_t window : {0U, 1U, 2U, 4U, 5U, 16U, 17U, 100U}) {
    log = storage::make_memory_log();
    auto e = open({.repeat_window = window});
    std::vector<std::pair<std::uint64_t, runtime::receipt>> newest; // oldest first
    for (int i = 0; i < 600; ++i) {
      if (i % 200 == 100) {
        e.reset();
        e = open({.repeat_window = window});
      }
      const auto id = random() % (2 * window + 3);
      const auto known =
        std::ranges::find(newest, id, &std::pair<std::uint64_t, runtime::receipt>::first);
      const auto changed =
        replace{.instrument = 1, .side = side::buy, .price = 1 + i, .quantity = 1 + i % 7};
      const auto got = e->ask<limit_order>(1, changed, {command_id::of(7, id)});
      ASSERT_TRUE(got.has_value());
      ASSERT_EQ(got->repeat, known != newest.end()) << "window " << window << ", command " << i;
      if (got->repeat) {
        EXPECT_EQ(got->position, known->second.position);
        EXPECT_EQ(got->version, known->second.version);
        EXPECT_EQ(got->events, known->second.events);
        continue;
      }
      newest.emplace_back(id, *got);
      if (newest.size() > window)
        newest.erase(newest.begin());
    }
  }
}

TEST_F(engine_test, drops_closed_aggregates_and_loads_them_when_asked_again) { // G140
  constexpr std::uint64_t orders = 2'000;
  auto e = open({.workers = 2});
  for (std::uint64_t order = 1; order <= orders; ++order) {
    const auto ignore = [](outcome&&) {};
    ASSERT_TRUE(e->tell<limit_order>(order, buy(1), ignore, {command_id::of(7, order)}));
    ASSERT_TRUE(e->tell<limit_order>(order, cancel{}, ignore));
  }
  ASSERT_TRUE(e->ask<limit_order>(orders + 1, buy(1)).has_value());
  // Dropping follows the commit in the background; commands that drive it along bound the wait.
  std::uint64_t key = orders + 2;
  while (e->counters().live_aggregates > orders / 2 && key < 1'000'000) {
    ASSERT_TRUE(e->ask<limit_order>(key, buy(1)).has_value());
    ASSERT_TRUE(e->ask<limit_order>(key++, cancel{}).has_value());
  }
  EXPECT_LE(e->counters().live_aggregates, orders / 2);
  for (std::uint64_t order = 1; order <= orders; order += 97) {
    const auto closed = e->ask<limit_order>(order, reduce{.quantity = 1});
    ASSERT_FALSE(closed.has_value());
    EXPECT_EQ(closed.error().rejection(), static_cast<std::uint16_t>(refusal::order_closed));
    const auto repeat = e->ask<limit_order>(order, buy(1), {command_id::of(7, order)});
    ASSERT_TRUE(repeat.has_value());
    EXPECT_TRUE(repeat->repeat);
    EXPECT_EQ(repeat->version, stream_version(1));
  }
}

TEST_F(engine_test, loses_and_repeats_no_command_while_aggregates_are_dropped_and_loaded) {
  // `replace` opens a closed order again, so each key is dropped and loaded over and over.
  constexpr std::uint64_t rounds = 20'000;
  constexpr std::uint64_t keys = 16;
  std::atomic<std::uint64_t> accepted{0};
  {
    auto e = open({.workers = 2, .max_in_flight = 1U << 20U});
    const auto count = [&](outcome&& how) { accepted += how.has_value() ? 1U : 0U; };
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const replace again{.instrument = 1, .side = side::buy, .price = 5, .quantity = 1};
      ASSERT_TRUE(e->tell<limit_order>(i % keys, again, count).has_value());
      ASSERT_TRUE(e->tell<limit_order>(i % keys, cancel{}, count).has_value());
      if (i % 64 == 0) {
        ASSERT_TRUE(e->ask<instrument>(1, print_trade{.price = 1, .quantity = 1}).has_value());
      }
    }
    e->stop();
  }
  EXPECT_EQ(accepted, 2 * rounds);
  std::map<std::pair<std::uint16_t, std::uint64_t>, std::uint64_t> versions;
  auto snapshot = log->snapshot();
  for (std::uint64_t p = 1; p <= (*snapshot)->tail().value(); ++p) {
    const auto record = (*snapshot)->at(log_position(p));
    const auto stream = record->stream();
    auto& version = versions[{stream.category().value(), stream.integer()}];
    EXPECT_EQ(record->version().value(), ++version);
  }
}

TEST_F(engine_test, refuses_more_commands_than_it_may_have_in_flight) {
  auto e = open({.max_in_flight = 2});
  faults_->hold_commits();
  std::latch both(2);
  const auto done = [&](outcome&&) { both.count_down(); };
  ASSERT_TRUE(e->tell<limit_order>(1, buy(1), done).has_value());
  ASSERT_TRUE(e->tell<limit_order>(2, buy(1), done).has_value());
  const auto third = e->tell<limit_order>(3, buy(1), [](outcome&&) { FAIL(); });
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code(), errc::overloaded);
  EXPECT_NE(third.error().message().find("max_in_flight"), std::string::npos);
  faults_->release_commits();
  both.wait();
}

TEST_F(engine_test, answers_every_command_before_it_stops_and_none_after) {
  auto e = open({.max_in_flight = 1U << 20U});
  std::atomic<int> answered{0};
  for (std::uint64_t i = 0; i < 10'000; ++i)
    ASSERT_TRUE(e->tell<limit_order>(i, buy(1), [&](outcome&&) { ++answered; }).has_value());
  e->stop();
  EXPECT_EQ(answered, 10'000);
  EXPECT_EQ(log->tail(), log_position(10'000));
  const auto late = e->ask<limit_order>(1, buy(1));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code(), errc::engine_stopped);
}

} // namespace
} // namespace acta::tests
