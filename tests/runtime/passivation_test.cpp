// Which aggregates leave memory, and that nothing is lost when they do.
#include "../support/wallet.hpp"

#include <acta/base/clock.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::engine;

class passivation_test : public testing::Test {
protected:
  std::unique_ptr<engine> open(const runtime::engine_options& options) {
    auto opened = engine::open<wallet>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  static void run_until_idle(engine& e) {
    while (e.run_one()) {
    }
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
  manual_clock time{1'000'000};
};

TEST_F(passivation_test, drops_aggregates_that_had_no_command_for_long) { // G141
  const auto e = open({.deterministic_seed = 1, .passivate_after = 800ns, .clock = &time});
  for (std::uint64_t key = 0; key < 10; ++key)
    ASSERT_TRUE(e->ask<wallet>(key, put_in{5}));
  time.advance_ns(700);
  run_until_idle(*e); // the housekeeper looks at the clock
  ASSERT_TRUE(e->ask<wallet>(0, put_in{5}));
  run_until_idle(*e);
  EXPECT_EQ(e->counters().live_aggregates, 10U) << "not yet";
  time.advance_ns(101);
  run_until_idle(*e);
  EXPECT_EQ(e->counters().live_aggregates, 1U) << "one had a command since";
  EXPECT_EQ(e->counters().passivated, 9U);
  EXPECT_EQ(e->ask<wallet>(3, put_in{1})->reply, 6) << "the next command brings it back";
  time.advance_ns(900);
  run_until_idle(*e);
  EXPECT_EQ(e->counters().live_aggregates, 0U);
  EXPECT_EQ(e->counters().aggregate_memory, 0U);
}

TEST_F(passivation_test, goes_on_when_32_bits_of_time_have_passed) {
  constexpr std::int64_t tick = 100;
  const auto e = open({.deterministic_seed = 1, .passivate_after = 8 * tick * 1ns, .clock = &time});
  time.advance_ns((std::int64_t{1} << 32U) * tick - 20 * tick);
  run_until_idle(*e);
  for (int i = 0; i < 4; ++i) { // before, at and after the end of the tick's bits
    ASSERT_TRUE(e->ask<wallet>(1, put_in{1}));
    time.advance_ns(7 * tick);
    run_until_idle(*e);
    EXPECT_EQ(e->counters().live_aggregates, 1U) << i;
    time.advance_ns(3 * tick);
    run_until_idle(*e);
    EXPECT_EQ(e->counters().live_aggregates, 0U) << i;
  }
}

TEST_F(passivation_test, goes_on_when_the_clock_was_set_back_or_leaps) {
  const auto e = open({.deterministic_seed = 1, .passivate_after = 800ns, .clock = &time});
  const std::int64_t hour = std::chrono::nanoseconds(1h).count();
  for (const auto leap : {hour, -2 * hour, INT64_MAX, -hour, INT64_MAX, INT64_MIN}) {
    ASSERT_TRUE(e->ask<wallet>(1, put_in{1}));
    time.advance_ns(leap);
    run_until_idle(*e);
    ASSERT_TRUE(e->ask<wallet>(1, put_in{1}));
    time.advance_ns(900);
    run_until_idle(*e);
    EXPECT_EQ(e->counters().live_aggregates, 0U) << leap;
  }
}

TEST_F(passivation_test, drops_idle_aggregates_by_the_wall_clock_while_nothing_happens) {
  const auto e = open({.passivate_after = 1ms});
  for (std::uint64_t key = 0; key < 10; ++key)
    ASSERT_TRUE(e->ask<wallet>(key, put_in{5}));
  while (e->counters().live_aggregates != 0) // the test's time limit is this one's
    std::this_thread::yield();
  EXPECT_EQ(e->ask<wallet>(3, put_in{1})->reply, 6);
}

TEST_F(passivation_test, keeps_the_memory_of_aggregates_near_its_budget) {
  constexpr std::size_t budget = 1'000'000;
  const auto e = open({.deterministic_seed = 1, .memory_budget = budget});
  for (std::uint64_t key = 0; key < 5'000; ++key) {
    ASSERT_TRUE(e->ask<wallet>(key, put_in{5}));
    run_until_idle(*e);
    ASSERT_LE(e->counters().aggregate_memory, budget);
  }
  EXPECT_GT(e->counters().passivated, 2'000U);
  EXPECT_GT(e->counters().aggregate_memory, budget / 2) << "not more are dropped than need be";
  const auto before = e->counters().passivated;
  EXPECT_EQ(e->ask<wallet>(4'999, put_in{5})->reply, 10);
  EXPECT_EQ(e->counters().recoveries, 0U) << "the newest was still there";
  EXPECT_EQ(e->ask<wallet>(1, put_in{5})->reply, 10);
  EXPECT_EQ(e->counters().recoveries, 1U);
  EXPECT_EQ(e->counters().passivated, before);
}

TEST_F(passivation_test, refuses_further_aggregates_while_all_there_is_room_for_are_busy) {
  const auto e = open({.memory_budget = 10'000});
  faults_->hold_commits();
  std::atomic<int> answered = 0;
  std::uint64_t sent = 0;
  const auto send = [&](std::uint64_t key, std::chrono::nanoseconds patience = 0ns) {
    return e->tell<wallet>(key, put_in{}, [&](auto&& how) { answered += how.has_value() ? 1 : 0; },
                           {.wait_for_room = patience});
  };
  auto last = send(sent);
  for (; last && sent < 10'000; ++sent) {
    while (e->counters().aggregate_memory < sent * 100) // until its size is known
      std::this_thread::yield();
    last = send(sent + 1);
  }
  ASSERT_FALSE(last.has_value());
  EXPECT_EQ(last.error().code(), errc::overloaded);
  EXPECT_NE(last.error().message().find("memory_budget"), std::string::npos);
  EXPECT_TRUE(send(0)) << "those in memory go on";
  std::thread patient([&] { EXPECT_TRUE(send(sent + 1, 1h)); });
  faults_->release_commits();
  patient.join();
  e->stop();
  EXPECT_EQ(static_cast<std::uint64_t>(answered.load()), sent + 2);
}

/// Aggregates are dropped as soon as they are idle while commands for them arrive.
TEST_F(passivation_test, loses_and_repeats_no_command_in_the_race_with_an_arriving_one) {
  const bool is_long = std::getenv("ACTA_LONG_TESTS") != nullptr;
  const std::uint64_t passivations = is_long ? 100'000 : 10'000;
  constexpr std::uint64_t streams = 16;
  const auto e = open({.workers = 2, .memory_budget = 1'024});
  std::array<std::atomic<std::int64_t>, streams> accepted{};
  std::atomic<std::uint64_t> id = 0;
  const auto call = [&](std::uint64_t first) {
    for (auto key = first; e->counters().passivated < passivations; key = (key + 1) % streams) {
      const auto name = command_id::of(1, ++id);
      const auto once = e->ask<wallet>(key, put_in{1}, {.id = name, .wait_for_room = 1h});
      ASSERT_TRUE(once.has_value()) << once.error().message();
      ++accepted[key];
      const auto again = e->ask<wallet>(key, put_in{1}, {.id = name, .wait_for_room = 1h});
      ASSERT_TRUE(again.has_value()) << again.error().message();
      ASSERT_TRUE(again->repeat);
      ASSERT_EQ(again->position, once->position);
    }
  };
  std::vector<std::thread> callers;
  for (std::uint64_t i = 0; i < 3; ++i)
    callers.emplace_back(call, i * 5);
  for (auto& one : callers)
    one.join();
  for (std::uint64_t key = 0; key < streams; ++key)
    EXPECT_EQ(e->ask<wallet>(key, put_in{0}, {.wait_for_room = 1h})->reply, accepted[key]) << key;
}

/// The same in an order drawn from a seed, with aggregates that are closed and empty, too.
TEST_F(passivation_test, leaves_every_balance_right_in_any_order_of_steps) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    log = storage::make_memory_log();
    const auto e = open({.deterministic_seed = seed, .memory_budget = 2'000});
    std::array<std::int64_t, 20> balance{};
    int answered = 0;
    for (std::uint64_t i = 0; i < 400; ++i) {
      const auto key = (i * 7 + seed) % balance.size();
      if (i % 5 == 0) { // rejected where nothing is: an empty aggregate
        ASSERT_TRUE(e->tell<wallet>(key, take_out{1'000'000}, [&](auto&&) { ++answered; },
                                    {.wait_for_room = 1h}));
      } else {
        ++balance[key];
        ASSERT_TRUE(
          e->tell<wallet>(key, put_in{1}, [&](auto&&) { ++answered; }, {.wait_for_room = 1h}));
      }
      if (i % 3 == 0)
        e->run_one();
    }
    run_until_idle(*e);
    EXPECT_EQ(answered, 400);
    for (std::uint64_t key = 0; key < balance.size(); ++key) {
      const auto now = e->ask<wallet>(key, put_in{0}, {.wait_for_room = 1h});
      ASSERT_TRUE(now.has_value()) << now.error().message();
      EXPECT_EQ(now->reply, balance[key]) << seed;
    }
  }
}

TEST_F(passivation_test, refuses_a_budget_that_cannot_be_counted) {
  constexpr std::size_t most = std::size_t{INT64_MAX} / 9 * 8;
  for (const auto budget : {most + 1, std::size_t{INT64_MAX}, SIZE_MAX}) {
    const auto opened =
      engine::open<wallet>(storage::make_faulty_log(log, faults_), {.memory_budget = budget});
    ASSERT_FALSE(opened) << budget;
    EXPECT_EQ(opened.error().code(), errc::invalid_argument);
    EXPECT_NE(opened.error().message().find("0 sets none"), std::string::npos);
  }
  const auto e = open({.deterministic_seed = 1, .memory_budget = most});
  EXPECT_TRUE(e->ask<wallet>(1, put_in{1}));
  EXPECT_TRUE(e->ask<wallet>(2, put_in{1}));
  run_until_idle(*e);
  EXPECT_EQ(e->counters().live_aggregates, 2U);
}

} // namespace
} // namespace acta::tests
