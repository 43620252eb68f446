// Commands that coroutines await.
#include "../support/wallet.hpp"

#include <acta/runtime/awaitable.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <pthread.h>

#include <array>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using runtime::engine;
using runtime::engine_options;

/// The least a coroutine needs: runs at once, and frees itself at its end.
struct task {
  struct promise_type {
    task get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

[[nodiscard]] std::string name_of_this_thread() {
  std::array<char, 16> name{};
  EXPECT_EQ(::pthread_getname_np(::pthread_self(), name.data(), name.size()), 0);
  return name.data();
}

class awaitable_test : public testing::Test {
protected:
  std::unique_ptr<engine> open(const engine_options& options = {}) {
    auto opened = engine::open<wallet>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
};

TEST_F(awaitable_test, gives_receipts_replies_and_refusals) {
  auto e = open();
  std::latch done(1);
  const auto run = [&]() -> task {
    const auto put = co_await e->send<wallet>(1, put_in{10});
    EXPECT_TRUE(put);
    EXPECT_EQ(put->version, stream_version(1));
    EXPECT_EQ(put->reply, 10);
    const auto taken = co_await e->send<wallet>(e->stream<wallet>(1), take_out{4});
    EXPECT_TRUE(taken);
    EXPECT_EQ(taken->position, log_position(2));
    const auto refused = co_await e->send<wallet>(1, wallet::command(take_out{7}));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::rejected);
    EXPECT_EQ(refused.error().rejection(), static_cast<std::uint16_t>(wallet::refusal::empty));
    done.count_down();
  };
  run();
  done.wait();
  EXPECT_EQ(log->tail(), log_position(2));
}

TEST_F(awaitable_test, sends_nothing_before_it_is_awaited) {
  auto e = open();
  std::latch done(1);
  const auto run = [&]() -> task {
    auto later = e->send<wallet>(1, put_in{1});
    EXPECT_TRUE(e->ask<wallet>(1, put_in{10}));
    const auto put = co_await later;
    EXPECT_EQ(put->reply, 11);
    done.count_down();
  };
  run();
  done.wait();
}

TEST_F(awaitable_test, takes_the_options_of_a_command) {
  auto e = open();
  std::latch done(1);
  const auto run = [&]() -> task {
    const runtime::command_options once{.id = command_id{7}};
    EXPECT_TRUE(co_await e->send<wallet>(1, put_in{10}, once));
    const auto again = co_await e->send<wallet>(1, put_in{10}, once);
    EXPECT_TRUE(again && again->repeat);
    const auto expected = co_await e->send<wallet>(
      1, put_in{1}, {.expected = expected_version::exactly(stream_version(7))});
    EXPECT_FALSE(expected);
    EXPECT_EQ(expected.error().code(), errc::wrong_version);
    const auto accepted =
      co_await e->send<wallet>(1, put_in{1}, {.answered = runtime::acknowledgement::accepted});
    EXPECT_TRUE(accepted);
    EXPECT_EQ(accepted->reply, 11);
    done.count_down();
  };
  run();
  done.wait();
}

TEST_F(awaitable_test, resumes_on_a_worker) {
  for (const auto commit : {runtime::commit_by::own_thread, runtime::commit_by::worker}) {
    auto e = open({.workers = 1, .commit = commit});
    std::latch done(1);
    std::string before;
    std::string after;
    const auto run = [&]() -> task {
      before = name_of_this_thread();
      (void)co_await e->send<wallet>(1, put_in{10});
      after = name_of_this_thread();
      done.count_down();
    };
    run();
    done.wait();
    EXPECT_EQ(before, name_of_this_thread());
    EXPECT_EQ(after, "acta.worker");
  }
}

TEST_F(awaitable_test, does_not_suspend_where_sending_fails) {
  auto e = open({.max_in_flight = 1});
  faults_->hold_commits();
  std::latch first(1);
  ASSERT_TRUE(e->tell<wallet>(1, put_in{1}, [&](auto&&) { first.count_down(); }));
  std::vector<errc> seen;
  std::vector<std::thread::id> on;
  const auto run = [&]() -> task {
    const auto refused =
      co_await e->send<wallet>(2, put_in{1}, {.wait_for_room = std::chrono::hours(1)});
    seen.push_back(refused ? errc::invalid_argument : refused.error().code());
    on.push_back(std::this_thread::get_id());
  };
  run();
  EXPECT_EQ(seen, std::vector{errc::overloaded}) << "at once, for all that wait_for_room says";
  faults_->release_commits();
  first.wait();
  e->stop();
  run();
  EXPECT_EQ(seen, (std::vector{errc::overloaded, errc::engine_stopped}));
  EXPECT_EQ(on, std::vector(2, std::this_thread::get_id()));
}

TEST_F(awaitable_test, gives_the_error_of_a_failed_commit) { // I5
  auto e = open();
  faults_->fail_next_commit();
  std::latch done(1);
  std::optional<errc> seen;
  const auto run = [&]() -> task {
    const auto failed = co_await e->send<wallet>(1, put_in{1});
    if (!failed)
      seen = failed.error().code();
    done.count_down();
  };
  run();
  done.wait();
  EXPECT_EQ(seen, errc::commit_failed);
}

TEST_F(awaitable_test, runs_many_coroutines_that_send_many) {
  constexpr std::uint64_t coroutines = 50;
  constexpr int commands = 40;
  auto e = open({.workers = 2});
  std::latch done(coroutines);
  std::atomic<int> wrong{0};
  const auto run = [&](std::uint64_t key) -> task {
    for (int i = 1; i <= commands; ++i) {
      const auto put = co_await e->send<wallet>(key, put_in{1});
      if (!put || put->reply != i)
        ++wrong;
    }
    done.count_down();
  };
  for (std::uint64_t key = 1; key <= coroutines; ++key)
    run(key);
  done.wait();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(log->tail(), log_position(coroutines * commands));
}

TEST_F(awaitable_test, stopping_the_engine_resumes_all_that_wait) {
  constexpr int coroutines = 20;
  auto e = open({.workers = 2});
  faults_->hold_commits();
  std::atomic<int> resumed{0};
  std::atomic<int> refused{0};
  const auto run = [&](std::uint64_t key) -> task {
    EXPECT_TRUE(co_await e->send<wallet>(key, put_in{1}));
    ++resumed;
    auto next = co_await e->send<wallet>(key, put_in{1});
    while (next) // until it is refused, without being suspended
      next = co_await e->send<wallet>(key, put_in{1});
    EXPECT_EQ(next.error().code(), errc::engine_stopped);
    ++refused;
  };
  for (std::uint64_t key = 1; key <= coroutines; ++key)
    run(key);
  faults_->wait_for_held_commit();
  std::thread stopping([&] { e->stop(); });
  faults_->release_commits();
  stopping.join();
  EXPECT_EQ(resumed, coroutines);
  EXPECT_EQ(refused, coroutines);
}

TEST_F(awaitable_test, is_resumed_in_a_step_of_a_deterministic_engine) {
  auto e = open({.deterministic_seed = 7});
  std::vector<std::int64_t> replies;
  const auto run = [&](std::uint64_t key) -> task {
    for (int i = 0; i < 3; ++i)
      if (const auto put = co_await e->send<wallet>(key, put_in{1}))
        replies.push_back(put->reply.value_or(0));
  };
  run(1);
  EXPECT_TRUE(replies.empty()) << "nothing happens before a step";
  std::size_t resumed = 0;
  while (e->run_one()) {
    EXPECT_LE(replies.size(), resumed + 1);
    resumed = replies.size();
  }
  EXPECT_EQ(replies, (std::vector<std::int64_t>{1, 2, 3}));
  run(2);
  e->stop();
  EXPECT_EQ(replies, (std::vector<std::int64_t>{1, 2, 3, 1})) << "and the next was refused";
}

TEST_F(awaitable_test, takes_the_same_course_with_the_same_seed) {
  const auto course = [](std::uint64_t seed) {
    auto e = engine::open<wallet>(storage::make_memory_log(), {.deterministic_seed = seed});
    std::vector<std::uint64_t> order;
    const auto run = [&](std::uint64_t key) -> task {
      for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(co_await (*e)->send<wallet>(key, put_in{1}));
        order.push_back(key);
      }
    };
    for (std::uint64_t key = 1; key <= 5; ++key)
      run(key);
    (*e)->run_until_idle();
    EXPECT_EQ(order.size(), 25U);
    return order;
  };
  EXPECT_EQ(course(1), course(1));
  EXPECT_NE(course(1), course(2));
}

} // namespace
} // namespace acta::tests
