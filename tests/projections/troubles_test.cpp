// Projectors whose view, log, clock or alarm is in trouble, and those who control them meanwhile.
#include "sums.hpp"

#include <acta/base/limits.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using projections::failure_policy;

class troubles_test : public projection_fixture {
protected:
  /// How many steps there are until nothing is left to do, `most` if there is no end of them.
  int steps_until_idle(int most = 1'000) {
    int steps = 0;
    while (steps < most && engine->run_one())
      ++steps;
    return steps;
  }
};

/// A clock as most are: it tells nobody that it moved.
class silent_clock final : public clock {
public:
  [[nodiscard]] std::int64_t now_ns() const noexcept override { return now; }
  std::int64_t now = 1'000'000'000;
};

TEST_F(troubles_test, a_view_whose_projector_has_stopped_is_sound_under_the_next_one) {
  told->left[2] = 1;
  put(1, 3);
  start();
  ASSERT_FALSE(projector->status());
  projector.reset();
  start();
  EXPECT_EQ(text(), "1 2 3 ");
  EXPECT_TRUE(projector->status()) << "the trouble was the last one's";
  const auto late = view.read(log_position(4), 1ms, [](const sums& now) { return now.text; });
  EXPECT_EQ(late.error().code(), errc::timed_out);
}

TEST_F(troubles_test, one_that_is_paused_between_two_attempts_does_nothing_at_all) {
  silent_clock own;
  engine.reset();
  auto opened = runtime::engine::open<wallet>(storage::make_faulty_log(log, faults),
                                              {.deterministic_seed = 1, .clock = &own});
  ASSERT_TRUE(opened);
  engine = std::move(*opened);
  told->left[1] = 1;
  put(1, 1);
  auto started = projections::projector::start(*engine, view, {.retries = 1, .pause = 1s});
  ASSERT_TRUE(started);
  projector = std::move(*started);
  while (told->happened[1] == 0)
    ASSERT_TRUE(engine->run_one());
  projector->pause();
  own.now += std::chrono::nanoseconds(2s).count();
  EXPECT_LT(steps_until_idle(), 1'000);
  projector->resume();
  EXPECT_LT(steps_until_idle(), 1'000);
  EXPECT_EQ(text(), "1 ");
}

TEST_F(troubles_test, a_clock_that_is_set_back_does_not_make_a_pause_longer) {
  told->left[1] = 1;
  put(1, 1);
  start({.retries = 1, .pause = 1s});
  pass(-1h);
  pass(1s);
  EXPECT_EQ(text(), "1 ");
}

TEST_F(troubles_test, an_alarm_may_control_its_projector) {
  std::vector<std::uint64_t> lags;
  put(1, 3);
  start({.paused = true, .alarm_over = {.events = 1}, .alarm = [&](const auto&, bool over) {
           lags.push_back(projector->lag()->events);
           if (over)
             projector->resume();
         }});
  EXPECT_EQ(text(), "1 2 3 ");
  EXPECT_EQ(lags, (std::vector<std::uint64_t>{3, 0}));
}

TEST_F(troubles_test, an_empty_log_is_nothing_to_be_behind_of_wherever_it_begins) {
  for (const std::uint64_t from : {0U, 1U, 7U}) {
    start({.from = log_position(from), .paused = true});
    const auto lag = projector->lag();
    ASSERT_TRUE(lag) << from << ": " << lag.error().message();
    EXPECT_EQ(lag->events, 0U);
    projector.reset();
  }
}

/// Snapshots cannot be refreshed so many times.
class stale_log final : public storage::forwarding_log {
public:
  using forwarding_log::forwarding_log;
  result<std::unique_ptr<storage::log_snapshot>> snapshot() const override {
    auto taken = forwarding_log::snapshot();
    if (!taken)
      return taken;
    return std::make_unique<stale>(std::move(*taken), failures);
  }
  std::shared_ptr<int> failures = std::make_shared<int>(0);

private:
  class stale final : public storage::log_snapshot {
  public:
    stale(std::unique_ptr<log_snapshot> of, std::shared_ptr<int> failures)
        : of_(std::move(of)), failures_(std::move(failures)) {}
    log_position first() const noexcept override { return of_->first(); }
    log_position tail() const noexcept override { return of_->tail(); }
    result<void> refresh() override {
      if (*failures_ > 0 && (*failures_)-- > 0)
        return failure(errc::io, "told to fail");
      return of_->refresh();
    }
    result<storage::record_view> at(log_position position) const& override {
      return of_->at(position);
    }
    result<std::unique_ptr<storage::log_cursor>>
    scan(log_position from, const storage::scan_options& options) const& override {
      return of_->scan(from, options);
    }

  private:
    std::unique_ptr<log_snapshot> of_;
    std::shared_ptr<int> failures_;
  };
};

TEST_F(troubles_test, a_log_that_could_not_be_read_once_leaves_nothing_behind) {
  silent_clock own;
  auto stale = std::make_unique<stale_log>(log);
  const auto failures = stale->failures;
  engine.reset();
  auto opened =
    runtime::engine::open<wallet>(std::move(stale), {.deterministic_seed = 1, .clock = &own});
  ASSERT_TRUE(opened);
  engine = std::move(*opened);
  put(1, 3);
  auto started = projections::projector::start(*engine, view, {.retries = 1, .pause = 1s});
  ASSERT_TRUE(started);
  projector = std::move(*started);
  run();
  for (int i = 0; i < 3; ++i) {
    *failures = 1;
    (void)projector->run_to(log_position(100)); // it looks
    while (*failures > 0)
      ASSERT_TRUE(engine->run_one());
    own.now += std::chrono::nanoseconds(1s).count();
    ASSERT_LT(steps_until_idle(), 1'000);
    EXPECT_TRUE(projector->status());
  }
}

/// Says that it has as many dead letters as a view may have.
class full_of_letters final : public projections::projection {
public:
  std::string_view name() const noexcept override { return "full"; }
  std::uint32_t version() const noexcept override { return 1; }
  result<storage::scan_options> attach(const storage::event_log&) override { return {}; }
  projections::step_result apply(const projections::view_step& step) override {
    ++steps;
    if (!step.records.empty())
      return std::unexpected(
        projections::failed_step{.why = error(errc::handler_failed, "told to fail"), .at = 0});
    return {};
  }
  result<void> clear() override { return {}; }
  result<std::vector<projections::dead_letter>> dead_letters() const override {
    std::vector<projections::dead_letter> all(limits::max_dead_letters);
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = {.position = log_position(i == 0 ? 1 : 1'000 + i),
                .stream = "wallet/1",
                .why = "told to",
                .attempts = 1};
    return all;
  }
  int steps = 0;
};

TEST_F(troubles_test, with_all_the_dead_letters_it_may_have_it_stops_also_where_it_tries_again) {
  full_of_letters full;
  put(1, 3);
  const auto fed = projections::projector::start(*engine, full,
                                                 {.from = log_position(2),
                                                  .retries = 2,
                                                  .pause = 1s,
                                                  .on_failure = failure_policy::dead_letter});
  ASSERT_TRUE(fed);
  run();
  for (int i = 0; i < 20; ++i)
    pass(1h);
  ASSERT_FALSE((*fed)->status());
  EXPECT_EQ((*fed)->status().error().code(), errc::overloaded);
  const auto again = (*fed)->retry(log_position(1));
  EXPECT_EQ(again.error().code(), errc::handler_failed) << "what it failed with, and no more room";
}

/// Of a view: by many, at once, in no order.
TEST(controlled_projector, handles_each_event_once_whatever_is_done_to_it_by_many_at_once) {
  auto engine = runtime::engine::open<wallet>(storage::make_memory_log());
  ASSERT_TRUE(engine);
  const auto told = std::make_shared<told_failures>();
  for (std::uint64_t position = 1; position < 400; position += 7)
    told->left[position] = 2; // copies of the model share it: the projector's thread alone looks
  projections::memory_view<sums> view(sums{.told = told});
  auto fed = projections::projector::start(**engine, view,
                                           {.batch = 3, .on_failure = failure_policy::hold_stream});
  ASSERT_TRUE(fed);
  auto& projector = **fed;
  std::atomic<bool> done{false};
  const auto meanwhile = [&](auto what) {
    return std::jthread([&done, what] {
      while (!done.load(std::memory_order_relaxed))
        what();
    });
  };
  std::vector<std::jthread> others;
  others.push_back(meanwhile([&] {
    projector.pause();
    projector.resume();
  }));
  others.push_back(meanwhile([&] { (void)projector.run_to(view.position()); }));
  others.push_back(meanwhile([&] {
    const auto dead = view.dead_letters();
    for (const auto& one : *dead)
      (void)projector.retry(one.position);
    (void)projector.lag();
    (void)projector.status();
  }));
  others.push_back(meanwhile([&] {
    try {
      view.read([](const sums& now) {
        if (now.text.size() % 2 == 0)
          throw std::runtime_error("a reader that throws leaves as others do");
      });
    } catch (const std::runtime_error&) {
    }
  }));
  log_position last;
  std::map<std::uint64_t, std::vector<std::int64_t>> all;
  for (std::int64_t n = 1; n <= 400; ++n) {
    const auto key = static_cast<std::uint64_t>(n % 3);
    last = (*engine)->ask<wallet>(key, put_in{n})->position;
    all[key].push_back(n);
    if (n == 200) {
      EXPECT_TRUE(projector.reset());
    }
  }
  done.store(true, std::memory_order_relaxed);
  others.clear();
  projector.resume();
  ASSERT_TRUE(projector.wait_for(last, 20s));
  for (auto dead = view.dead_letters(); !dead->empty(); dead = view.dead_letters())
    (void)projector.retry(dead->front().position); // those of other streams may be first
  EXPECT_EQ(view.read([](const sums& now) { return now.by_wallet; }), all);
}

/// What was put into each wallet: how often, how much, and in which order.
struct tallies {
  static constexpr std::string_view name = "tallies";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;
  struct one {
    std::uint64_t count = 0;
    std::uint64_t order = 0;
    std::int64_t sum = 0;
    bool operator==(const one&) const = default;
  };

  void on(const added& event, const storage::record_view& record) {
    const auto position = record.position().value();
    if (told != nullptr && told->left.contains(position) && told->left[position]-- > 0)
      throw std::runtime_error("told to fail");
    auto& of_it = wallets.at(record.integer_key());
    ++of_it.count;
    of_it.sum += event.amount();
    of_it.order = of_it.order * 31 + position;
  }

  std::shared_ptr<told_failures> told;
  std::array<one, 3> wallets{};
};

/// A view far behind shows some of its steps alone, and goes back to these where one fails.
class far_behind : public testing::TestWithParam<unsigned> {
protected:
  static constexpr std::int64_t events = 150'000;
  static void SetUpTestSuite() {
    log_ = storage::make_memory_log();
    auto writer = runtime::engine::open<wallet>(std::make_unique<storage::forwarding_log>(log_));
    ASSERT_TRUE(writer);
    for (std::int64_t n = 1; n <= events; ++n)
      while (!(*writer)->tell<wallet>(static_cast<std::uint64_t>(n % 3), put_in{n},
                                      [](runtime::outcome&&) {}))
        std::this_thread::yield();
    (*writer)->stop();
    ASSERT_EQ(log_->tail(), log_position(events));
  }
  static void TearDownTestSuite() { log_.reset(); }
  static inline std::shared_ptr<storage::event_log> log_;
};

TEST_P(far_behind, handles_each_event_once_whatever_fails_and_whoever_controls_it) {
  std::mt19937_64 random(GetParam());
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  manual_clock time{1'000'000'000};
  auto engine = runtime::engine::open<wallet>(std::make_unique<storage::forwarding_log>(log_),
                                              {.deterministic_seed = 1, .clock = &time});
  ASSERT_TRUE(engine);
  const auto told = std::make_shared<told_failures>();
  for (int i = 0; i < 12; ++i)
    told->left[1 + below(events)] = 1 + static_cast<int>(below(3));
  projections::memory_view<tallies> view(tallies{.told = told});
  const auto policy = std::array{failure_policy::stop, failure_policy::dead_letter,
                                 failure_policy::hold_stream}[below(3)];
  auto fed = projections::projector::start(**engine, view,
                                           {.batch = 500 + below(4'000),
                                            .retries = static_cast<unsigned>(below(2)),
                                            .on_failure = policy});
  ASSERT_TRUE(fed);
  auto& projector = **fed;
  const auto retry_some = [&] {
    const auto dead = view.dead_letters();
    for (const auto& one : *dead)
      if (one.attempts != 0) // the others follow
        (void)projector.retry(one.position);
  };
  for (int i = 0; i < 60; ++i) {
    switch (below(8)) {
      case 0: projector.pause(); break;
      case 1: (void)projector.run_to(log_position(1 + below(events))); break;
      case 2: retry_some(); break;
      case 3: time.advance_ns(1'000'000'000); break;
      case 4:
        if (below(8) == 0) {
          EXPECT_TRUE(projector.reset());
        }
        break;
      default: projector.resume();
    }
    for (auto steps = below(4); steps-- > 0;)
      (*engine)->run_one();
    const auto counted = view.read([](const tallies& now) {
      return now.wallets[0].count + now.wallets[1].count + now.wallets[2].count;
    });
    const auto dead = view.dead_letters()->size();
    EXPECT_EQ(counted + dead, view.position().value()) << "what is shown is as of its position";
  }
  while (view.position() < log_position(events)) {
    retry_some(); // with as many as it may have it goes no further
    projector.resume();
    (*engine)->run_until_idle();
    time.advance_ns(1'000'000'000);
  }
  while (!view.dead_letters()->empty())
    retry_some();
  projections::memory_view<tallies> plain;
  ASSERT_TRUE(projections::replay(*log_, plain));
  auto found = view.read([](const tallies& now) { return now.wallets; });
  auto wanted = plain.read([](const tallies& now) { return now.wallets; });
  for (std::size_t i = 0; policy == failure_policy::dead_letter && i < found.size(); ++i)
    found[i].order = wanted[i].order = 0; // those that were retried came late
  EXPECT_EQ(found, wanted);
}

INSTANTIATE_TEST_SUITE_P(seeds, far_behind, testing::Range(1U, 13U));

} // namespace
} // namespace acta::tests
