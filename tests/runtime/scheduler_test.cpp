#include "../support/engine_fixture.hpp"
#include "../support/spawn.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>

#include <caf/all.hpp>

#include <gtest/gtest.h>

#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <latch>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;
using namespace std::chrono_literals;
using runtime::engine_options;
using runtime::outcome;
using runtime::waiting;

/// The cores this thread may use.
[[nodiscard]] cpu_set_t cores_of(pthread_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::pthread_getaffinity_np(thread, sizeof set, &set), 0);
  return set;
}
[[nodiscard]] unsigned cores() {
  const auto set = cores_of(::pthread_self());
  return static_cast<unsigned>(CPU_COUNT(&set));
}

class scheduler_test : public engine_fixture {};

class waiting_test : public engine_fixture, public testing::WithParamInterface<waiting> {};

TEST_P(waiting_test, loses_no_command_of_many_callers) {
  auto e = open({.workers = cores(), .pin_workers = true, .wait = GetParam()});
  ASSERT_NE(e, nullptr);
  constexpr int callers = 3;
  constexpr int commands = 300;
  {
    std::vector<std::jthread> threads;
    for (int caller = 0; caller < callers; ++caller)
      threads.emplace_back([&, caller] {
        for (int i = 0; i < commands; ++i)
          ASSERT_TRUE(
            e->ask<limit_order>(static_cast<std::uint64_t>(caller * commands + i), buy(1)));
      });
  }
  EXPECT_EQ(e->counters().events, callers * commands);
  e->stop();
  EXPECT_EQ(headers().size(), std::size_t{callers * commands});
}

TEST_P(waiting_test, runs_timeouts_and_delayed_messages_of_cafs_actors) {
  auto e = open({.workers = 1, .wait = GetParam()});
  ASSERT_NE(e, nullptr);
  auto silent = spawn(*e, [](caf::event_based_actor* self) -> caf::behavior {
    return {[self](int) { return self->make_response_promise(); }}; // never fulfilled
  });
  std::promise<caf::error> timed_out;
  spawn(*e, [&](caf::event_based_actor* self) {
    self->request(silent, 5ms, 1)
      .then([](int) { FAIL(); }, [&](caf::error& why) { timed_out.set_value(why); });
  });
  EXPECT_EQ(timed_out.get_future().get(), caf::sec::request_timeout);

  std::promise<int> delayed;
  auto waiter = spawn(*e, [&](caf::event_based_actor* self) -> caf::behavior {
    return {[&, self](int value) {
      delayed.set_value(value);
      self->quit();
    }};
  });
  caf::delayed_anon_send(waiter, 5ms, 7);
  EXPECT_EQ(delayed.get_future().get(), 7);

  std::promise<int> ticks;
  spawn(*e, [&](caf::event_based_actor* self) -> caf::behavior {
    self->delayed_send(self, 1ms, 0);
    return {[&, self](int count) {
      if (count < 3)
        return self->delayed_send(self, 1ms, count + 1);
      ticks.set_value(count);
      self->quit();
    }};
  });
  EXPECT_EQ(ticks.get_future().get(), 3);
  caf::anon_send_exit(silent, caf::exit_reason::user_shutdown);
}

[[nodiscard]] std::string name_of_waiting(const testing::TestParamInfo<waiting>& of) {
  constexpr std::array names{"park", "yield", "spin"};
  return names.at(static_cast<std::size_t>(of.param));
}

INSTANTIATE_TEST_SUITE_P(ways, waiting_test,
                         testing::Values(waiting::park, waiting::yield, waiting::spin),
                         name_of_waiting);

TEST_F(scheduler_test, pins_each_worker_to_a_core_of_its_own) {
  auto e = open({.workers = cores(), .pin_workers = true});
  ASSERT_NE(e, nullptr);
  std::mutex mutex;
  std::set<std::size_t> seen;
  std::latch all(cores());
  for (unsigned i = 0; i < cores(); ++i) // they are given to the workers in turn
    spawn(*e, [&](caf::event_based_actor*) {
      const auto mine = cores_of(::pthread_self());
      EXPECT_EQ(CPU_COUNT(&mine), 1);
      const std::lock_guard guard(mutex);
      for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &mine))
          seen.insert(core);
      all.count_down();
    });
  all.wait();
  EXPECT_EQ(seen.size(), cores());
}

TEST_F(scheduler_test, leaves_the_threads_of_the_caller_where_they_are) {
  const auto before = cores_of(::pthread_self());
  auto e = open({.workers = 1, .pin_workers = true});
  const auto after = cores_of(::pthread_self());
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST_F(scheduler_test, refuses_more_spinning_or_pinned_workers_than_cores) {
  const auto code = [&](const engine_options& options) {
    const auto opened =
      runtime::engine::open<limit_order>(std::make_unique<storage::forwarding_log>(log), options);
    return opened ? errc{} : opened.error().code();
  };
  EXPECT_EQ(code({.workers = cores() + 1, .wait = waiting::spin}), errc::invalid_argument);
  EXPECT_EQ(code({.workers = cores() + 1, .pin_workers = true}), errc::invalid_argument);
  EXPECT_EQ(code({.workers = cores() + 1, .wait = waiting::yield}), errc{});
  EXPECT_EQ(code({.workers = cores(), .pin_workers = true, .wait = waiting::spin}), errc{});
}

TEST_F(scheduler_test, ends_while_actors_still_send_to_one_another) {
  auto e = open({.workers = 2});
  std::atomic<int> rounds{0};
  std::latch running(1);
  for (int i = 0; i < 4; ++i)
    spawn<caf::hidden>(*e, [&](caf::event_based_actor* self) -> caf::behavior {
      self->send(self, 1);
      return {[&, self](int) {
        if (++rounds == 100)
          running.count_down();
        self->send(self, 1);
      }};
    });
  running.wait();
  ASSERT_TRUE(e->ask<limit_order>(7, buy(1))) << "and nobody is starved by them";
  e.reset();
  EXPECT_GE(rounds, 100);
}

TEST_F(scheduler_test, lets_others_have_their_turn_beside_an_actor_with_a_full_mailbox) {
  auto e = open({.workers = 1});
  std::atomic<bool> other{false};
  std::latch both(2);
  constexpr int many = 10'000;
  std::atomic<int> handled{0};
  auto busy = spawn(*e, [&](caf::event_based_actor* self) -> caf::behavior {
    return {[&, self](int last) {
      if (++handled == many / 2) {
        EXPECT_TRUE(other) << "what came behind the first message of a busy actor waits for all";
      }
      if (last != 0) {
        both.count_down();
        self->quit();
      }
    }};
  });
  // On the busy actor's worker all of it is queued before anything runs.
  spawn(*e, [&](caf::event_based_actor* self) {
    for (int i = 1; i <= many; ++i)
      self->send(busy, i == many ? 1 : 0);
    spawn(*e, [&](caf::event_based_actor*) {
      other = true;
      both.count_down();
    });
  });
  both.wait();
  EXPECT_EQ(handled, many);
}

} // namespace
} // namespace acta::tests
