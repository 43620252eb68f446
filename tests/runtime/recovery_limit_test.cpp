#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <support/counter_generated.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::engine;
using runtime::outcome;

/// An aggregate whose loading can be held, and counts how many load.
struct slow {
  static constexpr std::string_view category = "slow";
  static constexpr std::int64_t unloadable = 13;

  struct gauge {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = true;
    int loading = 0;
    int most = 0;

    /// Waits until so many stand at the closed gate.
    void wait_for(int so_many) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return loading == so_many; });
    }
    void set(bool is_open) {
      const std::lock_guard guard(mutex);
      open = is_open;
      changed.notify_all();
    }
    void pass() {
      std::unique_lock lock(mutex);
      most = std::max(most, ++loading);
      changed.notify_all();
      changed.wait(lock, [this] { return open; });
      --loading;
    }
  };
  static inline std::atomic<gauge*> at = nullptr; ///< Where loading passes, if anywhere.

  struct put {
    std::int64_t amount = 1;
    std::latch* until = nullptr; ///< It is decided no sooner.
  };
  struct state {
    std::int64_t sum = 0;
  };
  using command = put;
  using events = domain::event_list<added>;

  static domain::decision decide(const state&, const put& c, domain::emitter<slow>& out) {
    if (c.until != nullptr)
      c.until->wait();
    if (c.amount != 0)
      out.emit<added>([&](auto& b) { return Createadded(b, c.amount); });
    return domain::accept();
  }
  static void evolve(state& now, const added& e) {
    now.sum += e.amount();
    if (auto* gate = at.load(); gate != nullptr) {
      gate->pass();
      if (now.sum == unloadable)
        throw std::runtime_error("as told");
    }
  }
};

/// A log with so many aggregates of one event, and an engine that has not loaded any of them.
class recovery_limit_test : public testing::Test {
protected:
  static constexpr std::uint64_t aggregates = 32;

  void SetUp() override {
    auto e = open({});
    for (std::uint64_t key = 0; key < aggregates; ++key)
      ASSERT_TRUE(e->ask<slow>(key, slow::put{key == 5 ? slow::unloadable : 1}));
    e.reset();
    slow::at = &gauge_;
  }
  void TearDown() override { slow::at = nullptr; }

  [[nodiscard]] std::unique_ptr<engine> open(const runtime::engine_options& options) {
    return std::move(*engine::open<slow>(std::make_unique<storage::forwarding_log>(log_), options));
  }

  std::shared_ptr<storage::event_log> log_ = storage::make_memory_log();
  slow::gauge gauge_;
};

TEST_F(recovery_limit_test, loads_so_many_at_a_time_and_all_in_the_end) { // G135, G136
  for (const std::size_t limit : {1U, 2U}) {
    SCOPED_TRACE(limit);
    gauge_.most = 0;
    auto e = open({.workers = 4, .max_recoveries = limit});
    std::latch all(aggregates);
    std::atomic<int> failed = 0;
    for (std::uint64_t key = 0; key < aggregates; ++key)
      ASSERT_TRUE(e->tell<slow>(key, slow::put{0}, [&](outcome&& how) {
        failed += how ? 0 : 1;
        all.count_down();
      }));
    all.wait();
    EXPECT_EQ(failed, 1) << "the one whose evolve() throws gives its permit back, as others do";
    EXPECT_LE(gauge_.most, static_cast<int>(limit));
    EXPECT_EQ(e->counters().recoveries, aggregates);
  }
}

TEST_F(recovery_limit_test, lets_the_workers_of_those_that_wait_go_on) {
  auto e = open({.workers = 4, .max_recoveries = 1});
  gauge_.set(false);
  std::latch loaded(aggregates);
  for (std::uint64_t key = 0; key < aggregates; ++key)
    ASSERT_TRUE(e->tell<slow>(key, slow::put{0}, [&](outcome&&) { loaded.count_down(); }));
  gauge_.wait_for(1);
  // New ones need not be loaded. Those at home with the worker that loads wait for it.
  std::atomic<int> answered = 0;
  std::latch some(1);
  for (std::uint64_t key = 1'000; key < 1'000 + aggregates; ++key)
    ASSERT_TRUE(e->tell<slow>(key, slow::put{0}, [&](outcome&& how) {
      EXPECT_TRUE(how.has_value());
      if (++answered == 1)
        some.count_down();
    }));
  some.wait();
  gauge_.set(true);
  loaded.wait();
  e->stop();
  EXPECT_EQ(answered, static_cast<int>(aggregates));
}

TEST_F(recovery_limit_test, keeps_commands_that_come_while_it_loads_in_their_order) { // G131
  auto e = open({.workers = 2});
  gauge_.set(false);
  std::vector<std::uint64_t> versions;
  const auto send = [&] {
    for (int i = 0; i < 10; ++i)
      ASSERT_TRUE(e->tell<slow>(1, slow::put{100}, [&](outcome&& how) {
        versions.push_back(how ? how->version.value() : 0);
      }));
  };
  send();
  gauge_.wait_for(1);
  send();
  gauge_.set(true);
  e->stop();
  std::vector<std::uint64_t> expected(20);
  std::iota(expected.begin(), expected.end(), 2);
  EXPECT_EQ(versions, expected);
}

TEST_F(recovery_limit_test, goes_on_when_a_caller_waits_no_longer) { // G134
  auto e = open({.workers = 2});
  gauge_.set(false);
  const auto late = e->ask<slow>(1, slow::put{100}, {.wait_for_outcome = 1ms});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), errc::timed_out);
  gauge_.wait_for(1);
  gauge_.set(true);
  EXPECT_EQ(e->ask<slow>(1, slow::put{0})->version, stream_version(2));
  EXPECT_EQ(e->counters().recoveries, 1U);
  EXPECT_EQ(e->counters().recovery_failures, 0U);
}

/// Its actor is dropped before its last turn, for which it must not wait: nobody holds it then.
TEST_F(recovery_limit_test, does_not_keep_what_an_atomic_command_could_not_load_waiting) {
  constexpr std::size_t workers = 3;
  constexpr std::uint64_t failing = 5;
  auto e = open({.workers = workers, .max_recoveries = 1});
  const auto home = [&](std::uint64_t key) {
    return (stream_hash(e->stream<slow>(key)) >> 32U) % workers;
  };
  const auto next_at = [&](std::size_t where, std::uint64_t key) {
    while (home(key) % workers != where % workers)
      ++key;
    return key;
  };
  const auto busy = next_at(home(failing), 1'000);
  std::latch go_on(1);
  std::latch refused(1);
  ASSERT_TRUE(e->tell_all(
    runtime::atomic(runtime::part<slow>(failing)),
    [](auto&) -> domain::decision { return domain::accept(); },
    [&](auto&& how) { // before its actor goes on, whose worker is busy from here on
      EXPECT_FALSE(how);
      EXPECT_TRUE(e->tell<slow>(busy, slow::put{0, &go_on}, [](outcome&&) {}));
      refused.count_down();
    }));
  refused.wait();
  gauge_.set(false);
  ASSERT_TRUE(e->tell<slow>(next_at(home(failing) + 1, 6), slow::put{0}, [](outcome&&) {}));
  gauge_.wait_for(1); // it has the only permit
  constexpr std::uint64_t worth_a_visit = 256;
  for (std::uint64_t key = 1'000, sent = 0; sent <= worth_a_visit; ++sent) {
    key = next_at(home(failing) + 2, key + 1);
    ASSERT_TRUE(e->tell<slow>(key, slow::put{0}, [](outcome&&) {})); // empty, and so dropped
  }
  while (e->counters().passivated < worth_a_visit) // that which failed among them
    std::this_thread::yield();
  go_on.count_down();
  EXPECT_EQ(e->ask<slow>(busy, slow::put{0})->version, stream_version(0)) << "its turn has passed";
  gauge_.set(true);
  EXPECT_EQ(e->ask<slow>(failing, slow::put{0}).error().code(), errc::handler_failed);
}

TEST_F(recovery_limit_test, refuses_to_load_none) {
  const auto opened =
    engine::open<slow>(std::make_unique<storage::forwarding_log>(log_), {.max_recoveries = 0});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), errc::invalid_argument);
}

} // namespace
} // namespace acta::tests
