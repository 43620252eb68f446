#include "../support/subscription_fixture.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <list>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using domain::trading::limit_order;
using projections::event_filter;
using projections::pull_subscription;
using projections::subscription;
using projections::subscription_options;

/// A subscriber who comes and goes, and has to have seen, in the end, what follows the position he
/// began behind: each event once, in order.
struct follower {
  event_filter filter{};
  std::size_t buffer = 1;
  log_position began{};
  collector got{};
  std::unique_ptr<subscription> pushed{};
  std::unique_ptr<pull_subscription> pulled{};
  log_position handled{};          ///< Behind what was handled before it was opened the last time.
  std::size_t fails_at = SIZE_MAX; ///< Throws once it has seen so many, of which it keeps fewer.
};

/// One seed: subscribers of both forms open, stop, fail and are resumed between the steps of an
/// engine that takes commands all the time.
class course {
public:
  explicit course(std::uint64_t seed) : random_(seed) {
    auto opened = runtime::engine::open<counter, limit_order>(
      std::make_unique<storage::forwarding_log>(log_), {.deterministic_seed = seed});
    EXPECT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
  }

  void run() {
    for (int i = 0; i < 60; ++i) {
      act();
      for (auto steps = draw(8); steps != 0 && engine_->run_one(); --steps) {
      }
    }
    for (auto& one : followers_) {
      one.fails_at = SIZE_MAX;
      open_again(one);
    }
    engine_->run_until_idle();
    for (auto& one : followers_) {
      pull(one, SIZE_MAX);
      const auto all = expected(*log_, one.filter, one.began);
      EXPECT_EQ(one.got.seen, all);
      EXPECT_LE(one.got.largest, one.buffer);
      EXPECT_EQ(one.pushed ? one.pushed->position() : one.pulled->position(), log_->tail());
      events_ += all.size();
    }
    followers_.clear();
  }

  [[nodiscard]] std::size_t events() const noexcept { return events_; }
  [[nodiscard]] std::size_t failures() const noexcept { return failures_; }
  [[nodiscard]] std::size_t resumed() const noexcept { return resumed_; }

private:
  [[nodiscard]] std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  void act() {
    const auto which = draw(10);
    if (which < 5)
      return tell();
    if (which == 5 || followers_.empty())
      return begin();
    auto one = followers_.begin();
    std::advance(one, draw(followers_.size()));
    if (which == 6)
      open_again(*one);
    else
      pull(*one, 1 + draw(3));
  }

  void tell() {
    const auto ignore = [](runtime::outcome&&) {};
    if (draw(3) == 0)
      EXPECT_TRUE(engine_->tell<limit_order>(++orders_, buy(1), ignore));
    else
      EXPECT_TRUE(engine_->tell<counter>(
        draw(3), tests::add{.times = 1 + static_cast<int>(draw(4))}, ignore));
  }

  void begin() {
    auto& one = followers_.emplace_back();
    one.buffer = 1 + draw(6);
    const auto of = draw(4);
    if (of == 0)
      one.filter.stream = engine_->stream<counter>(draw(3));
    else if (of == 1)
      one.filter.category = engine_->category<counter>();
    else if (of == 2)
      one.filter.event_types = {added::GetFullyQualifiedName()};
    one.began = log_position(draw(2) == 0 ? log_->tail().value() : draw(log_->tail().value() + 1));
    one.handled = one.began;
    one.fails_at = draw(3) == 0 ? 1 + draw(10) : SIZE_MAX;
    open(one, draw(2) == 0);
  }

  void open(follower& one, bool pushes) {
    one.got.ended.reset();
    subscription_options options{.filter = one.filter, .buffer = one.buffer};
    if (one.handled != log_->tail() || draw(2) == 0) // else "from now" is the same
      options.after = one.handled;
    one.got.then = [&](subscription&) {
      if (one.got.seen.size() < one.fails_at)
        return;
      one.fails_at = SIZE_MAX;
      ++failures_;
      throw std::runtime_error("told to fail");
    };
    if (pushes) {
      auto made = subscription::open(*engine_, options, one.got.handler(), one.got.end_handler());
      ASSERT_TRUE(made) << made.error().message();
      one.pushed = std::move(*made);
    } else {
      auto made = pull_subscription::open(*engine_, options);
      ASSERT_TRUE(made) << made.error().message();
      one.pulled = std::move(*made);
    }
  }

  /// What was seen and not handled comes again: it is forgotten here.
  void open_again(follower& one) {
    if (one.pushed)
      one.pushed->stop();
    one.handled = one.pushed ? one.pushed->position() : one.pulled->position();
    one.pushed.reset();
    one.pulled.reset();
    std::erase_if(one.got.seen, [&](std::uint64_t at) { return at > one.handled.value(); });
    ++resumed_;
    open(one, draw(2) == 0);
  }

  void pull(follower& one, std::size_t times) {
    for (; one.pulled && times != 0; --times) {
      const auto some = one.pulled->next(0ns);
      ASSERT_TRUE(some) << some.error().message();
      const auto got = positions_of(*some);
      one.got.seen.insert(one.got.seen.end(), got.begin(), got.end());
      one.got.largest = std::max(one.got.largest, got.size());
      if (got.empty())
        return;
    }
  }

  std::mt19937_64 random_;
  std::shared_ptr<storage::event_log> log_ = storage::make_memory_log();
  std::unique_ptr<runtime::engine> engine_;
  std::list<follower> followers_;
  std::uint64_t orders_ = 0;
  std::size_t events_ = 0;
  std::size_t failures_ = 0;
  std::size_t resumed_ = 0;
};

TEST(subscription_seeds, nothing_is_lost_or_repeated_whoever_comes_and_goes_when) { // I158, I165
  const std::uint64_t seeds = std::getenv("ACTA_LONG_TESTS") != nullptr ? 5'000 : 300;
  std::size_t events = 0;
  std::size_t failures = 0;
  std::size_t resumed = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(seed);
    course one(seed);
    one.run();
    events += one.events();
    failures += one.failures();
    resumed += one.resumed();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(events, 100 * seeds);
  EXPECT_GT(failures, seeds / 4);
  EXPECT_GT(resumed, seeds);
}

/// With threads: writers commit while subscriptions are opened and stopped.
class subscription_race_test : public subscription_fixture {
protected:
  void SetUp() override { open({.workers = 2}); }

  void write(std::uint64_t key) {
    for (int i = 0; i < 400; ++i)
      add(key, 1 + i % 3);
  }
  /// Opens one behind the other, each where the last one was; what they saw between them.
  void follow(bool pushes, positions_seen& seen) {
    for (log_position last;;) {
      const bool is_over = is_over_.load();
      last = pushes ? push_once(last, seen) : pull_thrice(last, seen);
      if (is_over && last == log->tail())
        return;
    }
  }

  std::atomic<bool> is_over_{false};

private:
  /// One batch, if there is one.
  [[nodiscard]] log_position push_once(log_position after, positions_seen& seen) {
    collector got;
    got.then = [](subscription& from) { from.stop(); };
    const auto live = subscribe(got, {.after = after, .buffer = 7});
    while (live->position() == after && live->lag() != 0)
      std::this_thread::yield();
    live->stop();
    seen.insert(seen.end(), got.seen.begin(), got.seen.end());
    return live->position();
  }
  [[nodiscard]] log_position pull_thrice(log_position after, positions_seen& seen) {
    const auto live = pull({.after = after, .buffer = 7});
    for (int i = 0; i < 3; ++i) {
      const auto some = live->next(1ms);
      EXPECT_TRUE(some) << some.error().message();
      const auto got = some ? positions_of(*some) : positions_seen{};
      seen.insert(seen.end(), got.begin(), got.end());
    }
    return live->position();
  }
};

TEST_F(subscription_race_test, commits_while_subscribing_are_neither_lost_nor_repeated) { // I158
  positions_seen pushed;
  positions_seen pulled;
  positions_seen of_one;
  std::atomic<std::size_t> live_events{0};
  const auto live =
    subscription::open(*engine, {.buffer = 3}, [&](subscription&, projections::event_batch events) {
      live_events += events.records().size();
    });
  std::thread first([&] { follow(true, pushed); });
  std::thread second([&] { follow(false, pulled); });
  std::thread third([&] {
    const auto one = pull({.filter = counter_filter(1), .after = log_position(0)});
    while (of_one.size() < 799) {
      const auto some = one->next(1s);
      ASSERT_TRUE(some) << some.error().message();
      const auto got = positions_of(*some);
      of_one.insert(of_one.end(), got.begin(), got.end());
    }
  });
  std::thread writer([&] { write(2); });
  write(1);
  writer.join();
  is_over_ = true;
  first.join();
  second.join();
  third.join();
  const auto all = expected(*log, {}, log_position(0));
  EXPECT_EQ(pushed, all);
  EXPECT_EQ(pulled, all);
  EXPECT_EQ(of_one, expected(*log, counter_filter(1), log_position(0)));
  while (live_events < all.size())
    std::this_thread::yield();
  (*live)->stop();
  EXPECT_EQ(live_events, all.size());
}

} // namespace
} // namespace acta::tests
