#include "../support/engine_fixture.hpp"
#include "../support/spawn.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>

#include <caf/all.hpp>

#include <gtest/gtest.h>

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;
using runtime::commit_by;
using runtime::engine;
using runtime::outcome;
using runtime::waiting;

/// An engine whose only worker commits, however it waits.
class inline_commit_test : public engine_fixture, public testing::WithParamInterface<waiting> {
protected:
  std::unique_ptr<engine> open_inline(std::size_t in_flight = 1U << 20U) {
    return open({.wait = GetParam(), .commit = commit_by::worker, .max_in_flight = in_flight});
  }
};

TEST_P(inline_commit_test, answers_on_the_worker_and_not_before_the_commit) { // I1
  auto e = open_inline();
  faults_->hold_commits();
  std::atomic<bool> answered{false};
  std::latch done(1);
  log_position tail;
  ASSERT_TRUE(e->tell<limit_order>(7, buy(10), [&](outcome&& how) {
    EXPECT_TRUE(how);
    std::array<char, 16> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    EXPECT_STREQ(name.data(), "acta.worker");
    tail = log->tail();
    answered = true;
    done.count_down();
  }));
  faults_->wait_for_held_commit();
  EXPECT_FALSE(answered);
  faults_->release_commits();
  done.wait();
  EXPECT_EQ(tail, log_position(1));
}

TEST_P(inline_commit_test, keeps_positions_and_versions_free_of_gaps_while_aggregates_come_and_go) {
  // I2, I3, I8
  constexpr int callers = 3;
  constexpr int commands = 2'000;
  std::atomic<int> repeats{0};
  {
    auto e = open_inline();
    std::vector<std::jthread> threads;
    for (int caller = 0; caller < callers; ++caller)
      threads.emplace_back([&, caller] {
        std::mt19937_64 random(static_cast<std::uint64_t>(caller));
        for (int i = 0; i < commands; ++i) {
          const auto order = static_cast<std::uint64_t>(caller) + callers * (random() % 20);
          const auto id = command_id::of(order, random() % 50);
          const replace command{.instrument = 1, .side = side::buy, .price = 5, .quantity = i + 1};
          EXPECT_TRUE(e->tell<limit_order>(
            order, command,
            [&](outcome&& how) { repeats += how.has_value() && how->repeat ? 1 : 0; }, {id}));
          if (i % 10 == 0) // closes it, if it is open, so that the housekeeper may drop it
            (void)e->ask<limit_order>(order, cancel{});
        }
      });
  }
  EXPECT_GT(repeats, 100);
  std::map<std::uint64_t, std::uint64_t> versions;
  std::uint16_t remaining = 0;
  const auto now = log->snapshot();
  for (std::uint64_t position = 1; position <= (*now)->tail().value(); ++position) {
    const auto record = (*now)->at(log_position(position));
    ASSERT_TRUE(record);
    ASSERT_EQ(record->version().value(), ++versions[record->integer_key()]);
    if (remaining != 0) {
      ASSERT_EQ(record->header().remaining, remaining - 1);
    }
    remaining = record->header().remaining;
  }
  EXPECT_EQ(remaining, 0);
}

TEST_P(inline_commit_test, fails_everything_from_the_failed_commit_on) { // I5
  {
    auto e = open_inline();
    ASSERT_TRUE(e->ask<limit_order>(1, buy(10)));
    faults_->fail_next_commit();
    const auto failed = e->ask<limit_order>(1, reduce{.quantity = 4});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), errc::commit_failed);
    EXPECT_EQ(e->ask<limit_order>(2, buy(1)).error().code(), errc::commit_failed);
  }
  EXPECT_EQ(headers().size(), 1U);
}

TEST_P(inline_commit_test, gives_the_first_receipt_of_a_repeat_to_a_caller_who_waits_alone) { // I8
  auto e = open_inline();
  const auto id = command_id::of(1, 1);
  const auto first = e->ask<limit_order>(1, buy(10), {id});
  ASSERT_TRUE(first);
  for (int i = 0; i < 100; ++i) { // the answer comes from the housekeeper to a worker at rest
    const auto again = e->ask<limit_order>(1, buy(10), {id});
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->repeat);
    EXPECT_EQ(again->position, first->position);
  }
}

TEST_P(inline_commit_test, removes_a_stream) {
  auto e = open_inline();
  ASSERT_TRUE(e->ask<limit_order>(1, buy(10)));
  const auto removed = e->remove<limit_order>(1); // an errand, which is given to a worker at rest
  ASSERT_TRUE(removed) << removed.error().message();
  const auto again = e->ask<limit_order>(1, buy(10));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->version, stream_version(2));
}

TEST_P(inline_commit_test, commits_when_enough_is_staged_and_does_not_wait_for_an_empty_queue) {
  constexpr int commands = 10'000;
  auto e = open_inline();
  faults_->hold_commits();
  ASSERT_TRUE(e->tell<limit_order>(0, buy(1), [](outcome&&) {}));
  faults_->wait_for_held_commit();
  for (std::uint64_t i = 1; i <= commands; ++i)
    ASSERT_TRUE(e->tell<limit_order>(i, buy(1), [](outcome&&) {}));
  faults_->release_commits();
  e->stop();
  EXPECT_EQ(e->counters().events, commands + 1);
  EXPECT_EQ(e->counters().commits, 1 + 3) << "4,096 commands a commit at most, or few more";
}

TEST_P(inline_commit_test, commits_although_other_actors_never_rest) {
  auto e = open_inline();
  for (int i = 0; i < 2; ++i)
    spawn<caf::hidden>(*e, [](caf::event_based_actor* self) -> caf::behavior {
      self->send(self, 1);
      return {[self](int) { self->send(self, 1); }};
    });
  EXPECT_TRUE(e->ask<limit_order>(7, buy(1)));
  EXPECT_TRUE(e->ask<limit_order>(8, buy(1)));
}

TEST_P(inline_commit_test, takes_commands_from_outcome_handlers) {
  auto e = open_inline();
  std::latch done(1);
  int left = 1'000;
  std::function<void(outcome&&)> next = [&](outcome&& how) {
    EXPECT_TRUE(how);
    if (--left == 0)
      return done.count_down();
    EXPECT_TRUE(e->tell<limit_order>(static_cast<std::uint64_t>(left), buy(1),
                                     [&](outcome&& then) { next(std::move(then)); }));
  };
  ASSERT_TRUE(e->tell<limit_order>(5'000, buy(1), [&](outcome&& how) { next(std::move(how)); }));
  done.wait();
}

TEST_P(inline_commit_test, answers_every_command_before_it_stops_and_none_after) {
  for (int round = 0; round < 20; ++round) {
    log = storage::make_memory_log();
    auto e = open_inline();
    std::atomic<int> taken{0};
    std::atomic<int> answered{0};
    {
      std::jthread caller([&] {
        for (std::uint64_t i = 0; i < 500; ++i)
          taken += e->tell<limit_order>(i % 7, buy(1), [&](outcome&&) { ++answered; }) ? 1 : 0;
      });
      e->stop();
      EXPECT_EQ(e->ask<limit_order>(1, buy(1)).error().code(), errc::engine_stopped);
    }
    EXPECT_EQ(taken, answered);
  }
}

TEST_P(inline_commit_test, keeps_callers_from_spinning_where_there_is_no_core_for_them) {
  auto e = open_inline();
  std::vector<std::jthread> callers; // more than cores: most of them must sleep
  for (std::uint64_t caller = 0; caller < 6; ++caller)
    callers.emplace_back([&, caller] {
      for (std::uint64_t i = 0; i < 200; ++i)
        ASSERT_TRUE(e->ask<limit_order>(caller * 1'000 + i, buy(1)));
    });
  callers.clear();
  EXPECT_EQ(e->counters().events, 1'200U);
}

[[nodiscard]] std::string name_of_waiting(const testing::TestParamInfo<waiting>& of) {
  constexpr std::array names{"park", "yield", "spin"};
  return names.at(static_cast<std::size_t>(of.param));
}

INSTANTIATE_TEST_SUITE_P(ways, inline_commit_test,
                         testing::Values(waiting::park, waiting::yield, waiting::spin),
                         name_of_waiting);

class inline_commit_options_test : public engine_fixture {};

TEST_F(inline_commit_options_test, refuse_a_second_worker) {
  const auto opened = engine::open<limit_order>(std::make_unique<storage::forwarding_log>(log),
                                                {.workers = 2, .commit = commit_by::worker});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), errc::invalid_argument);
  EXPECT_NE(opened.error().message().find("workers to 1"), std::string::npos);
}

} // namespace
} // namespace acta::tests
