// Timers of aggregates: when they fire, and that they fire once, whatever happens.
#include "../support/alarm_fixture.hpp"
#include "../support/counter.hpp"
#include "../support/log_doubles.hpp"

#include <acta/runtime/interceptor.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

class timers_test : public alarm_fixture {};

TEST_P(timers_test, fires_when_it_is_due_and_once) {
  open();
  const auto receipt = set(7, bell::first, 2'000);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->events, 1U) << "the record of it is an event of the stream";
  EXPECT_EQ(receipt->version, stream_version(1));
  run_to(1'999);
  EXPECT_EQ(rung(), rings{});
  run_to(2'000);
  EXPECT_EQ(rung(), (rings{{7, 1, 2'000}}));
  run_to(9'000);
  EXPECT_EQ(rung().size(), 1U);
  EXPECT_EQ(set(7, bell::second, 0)->version, stream_version(3)) << "what fired, and that it did";
}

TEST_P(timers_test, fires_at_once_where_it_was_due_before) {
  open();
  ASSERT_TRUE(set(7, bell::first, 500));
  ASSERT_TRUE(set(7, bell::second, -3));
  engine->run_until_idle();
  EXPECT_EQ(rung(), (rings{{7, 1, 1'000}, {7, 2, 1'000}}));
}

TEST_P(timers_test, may_be_moved_earlier_and_later) {
  open();
  ASSERT_TRUE(set(7, bell::first, 5'000));
  ASSERT_TRUE(set(7, bell::second, 2'000));
  ASSERT_TRUE(set(7, bell::first, 1'500));
  ASSERT_TRUE(set(7, bell::second, 4'000));
  run_to(1'500);
  EXPECT_EQ(rung(), (rings{{7, 1, 1'500}}));
  run_to(3'999);
  EXPECT_EQ(rung().size(), 1U);
  run_to(9'000);
  EXPECT_EQ(rung(), (rings{{7, 1, 1'500}, {7, 2, 9'000}}));
}

TEST_P(timers_test, does_not_fire_once_it_is_cancelled) {
  open();
  ASSERT_TRUE(set(7, bell::first, 2'000));
  ASSERT_TRUE(set(8, bell::first, 2'000));
  ASSERT_TRUE(set(7, bell::first, 0));
  run_to(9'000);
  EXPECT_EQ(rung(), (rings{{8, 1, 9'000}}));
}

TEST_P(timers_test, stores_nothing_where_nothing_changes) {
  open();
  EXPECT_EQ(set(7, bell::first, 0)->events, 0U);
  EXPECT_EQ(set(7, bell::first, 2'000)->events, 1U);
  EXPECT_EQ(set(7, bell::first, 2'000)->events, 0U);
  reopen();
  EXPECT_EQ(set(7, bell::first, 2'000)->events, 0U);
  const auto both = engine->ask<alarm>(
    7,
    set_bells{{{bell::second, 3'000}, {bell::second, 4'000}, {bell::first, 9}, {bell::first, 0}}});
  EXPECT_EQ(both->events, 2U) << "what a command does last counts";
  run_to(3'999);
  EXPECT_EQ(rung(), rings{});
  run_to(4'000);
  EXPECT_EQ(rung(), (rings{{7, 2, 4'000}}));
}

TEST_P(timers_test, is_not_set_by_a_command_that_is_refused) {
  open();
  EXPECT_FALSE(set(7, bell::first, 2'000, set_bell::end::reject));
  EXPECT_FALSE(set(7, bell::first, 2'000, set_bell::end::fail));
  ASSERT_TRUE(set(7, bell::second, 2'000));
  EXPECT_FALSE(set(7, bell::second, 0, set_bell::end::reject));
  run_to(9'000);
  EXPECT_EQ(rung(), (rings{{7, 2, 9'000}}));
  EXPECT_EQ(log->tail(), log_position(3));
}

TEST_P(timers_test, survives_the_engine) {
  open();
  ASSERT_TRUE(set(7, bell::first, 2'000));
  reopen();
  run_to(1'999);
  EXPECT_EQ(rung(), rings{});
  reopen();
  run_to(2'000);
  EXPECT_EQ(rung(), (rings{{7, 1, 2'000}}));
  reopen();
  run_to(9'000);
  EXPECT_EQ(rung().size(), 1U);
}

TEST_P(timers_test, fires_what_was_overslept_in_the_order_it_was_due) {
  open();
  ASSERT_TRUE(set(3, bell::third, 4'000));
  ASSERT_TRUE(set(1, bell::first, 3'000));
  ASSERT_TRUE(set(2, bell::second, 2'000));
  ASSERT_TRUE(set(1, bell::second, 5'000));
  engine.reset();
  now.advance_ns(100'000);
  open();
  engine->run_until_idle();
  auto all = rung();
  ASSERT_EQ(all.size(), 4U);
  // Those of one alarm for certain; of several each goes its way.
  std::erase_if(all, [](const ring& one) { return one.key != 1; });
  EXPECT_EQ(all, (rings{{1, 1, 101'000}, {1, 2, 101'000}}));
}

TEST_P(timers_test, wakes_an_aggregate_whose_actor_is_gone) {
  open();
  ASSERT_TRUE(set(7, bell::first, 2'000));
  engine->run_until_idle();
  EXPECT_EQ(engine->counters().live_aggregates, 0U);
  run_to(2'000);
  EXPECT_EQ(rung(), (rings{{7, 1, 2'000}}));
  EXPECT_EQ(engine->counters().live_aggregates, 0U);
}

TEST_P(timers_test, is_known_to_an_aggregate_that_was_loaded_from_a_snapshot) {
  const std::shared_ptr<storage::snapshot_store> snapshots = *storage::open_snapshots(*log);
  const runtime::engine_options often{.snapshot_every = 1, .snapshots = snapshots};
  open(often);
  ASSERT_TRUE(set(7, bell::first, 2'000));
  ASSERT_TRUE(set(7, bell::second, 3'000));
  engine->run_until_idle();
  std::size_t saved = 0;
  ASSERT_TRUE(snapshots->read(engine->stream<alarm>(7), {}, [&](const auto& one) {
    saved = one->metadata.size();
    return false;
  }));
  EXPECT_EQ(saved, 8U + 2 * 16U) << "docs/format.md";
  reopen(often);
  EXPECT_EQ(set(7, bell::first, 2'000)->events, 0U);
  run_to(9'000);
  EXPECT_EQ(rung().size(), 2U);
  EXPECT_EQ(warnings, std::vector<std::string>{});
}

TEST_P(timers_test, is_kept_with_the_state_of_a_truncated_stream) {
  open({.snapshot_every = 0});
  ASSERT_TRUE(set(7, bell::first, 2'000));
  ASSERT_TRUE(set(7, bell::second, 3'000));
  ASSERT_TRUE(engine->truncate<alarm>(7));
  reopen({.snapshot_every = 0});
  EXPECT_EQ(set(7, bell::first, 2'000)->events, 0U);
  ASSERT_TRUE(set(7, bell::second, 0));
  run_to(9'000);
  EXPECT_EQ(rung(), (rings{{7, 1, 9'000}}));
}

TEST_P(timers_test, goes_with_the_stream_when_that_is_removed) {
  open();
  ASSERT_TRUE(set(7, bell::first, 2'000));
  ASSERT_TRUE(set(7, bell::second, 3'000));
  ASSERT_TRUE(engine->remove<alarm>(7));
  run_to(2'500);
  reopen();
  run_to(9'000);
  EXPECT_EQ(rung(), rings{});
  ASSERT_TRUE(set(7, bell::first, 10'000)) << "it begins anew";
  reopen();
  run_to(10'000);
  EXPECT_EQ(rung(), (rings{{7, 1, 10'000}}));
}

TEST_P(timers_test, is_tried_again_after_a_while_where_its_handler_throws) {
  std::vector<std::string> watched;
  alarm::throws = true;
  open({.watch = [&](const runtime::failure_report& one) {
    EXPECT_EQ(one.what, runtime::failure_report::part::handler);
    watched.push_back(one.why.message());
  }});
  constexpr auto pause = std::chrono::nanoseconds(limits::first_timer_backoff).count();
  ASSERT_TRUE(set(7, bell::throwing, 2'000));
  run_to(2'000);
  ASSERT_EQ(watched.size(), 1U);
  EXPECT_NE(watched.front().find("alarm/7: on_timer() threw: as told"), std::string::npos)
    << watched.front();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings.front().find("timer 10 did not fire, tried 1 times; tried again in 100 ms"),
            std::string::npos)
    << warnings.front();
  run_to(2'000 + pause - 1);
  EXPECT_EQ(watched.size(), 1U);
  run_to(2'000 + pause);
  EXPECT_EQ(watched.size(), 2U);
  run_to(2'000 + 3 * pause - 1);
  EXPECT_EQ(watched.size(), 2U) << "twice as long, the second time";
  alarm::throws = false;
  run_to(2'000 + 3 * pause);
  EXPECT_EQ(rung(), (rings{{7, 10, 2'000 + 3 * pause}}));
  run_to(900'000'000'000);
  EXPECT_EQ(watched.size(), 2U);
  EXPECT_EQ(rung().size(), 1U);
}

TEST_P(timers_test, is_gone_where_its_handler_rejects) {
  open();
  ASSERT_TRUE(set(7, bell::refusing, 2'000));
  run_to(2'000);
  EXPECT_EQ(log->tail(), log_position(2)) << "that it has fired, and nothing of what it emitted";
  reopen();
  run_to(9'000);
  EXPECT_EQ(rung(), rings{});
  EXPECT_EQ(log->tail(), log_position(2));
}

TEST_P(timers_test, may_be_set_again_by_what_it_does) {
  open();
  ASSERT_TRUE(set(7, bell::repeating, 2'000));
  for (std::int64_t time = 1'950; time < 3'000; time += 50)
    run_to(time);
  EXPECT_EQ(rung(), (rings{{7, 12, 2'000}, {7, 12, 2'100}, {7, 12, 2'200}}));
}

TEST_P(timers_test, may_set_and_cancel_others_by_what_it_does) {
  open();
  ASSERT_TRUE(set(7, bell::first, 2'001));
  ASSERT_TRUE(set(7, bell::crossing, 2'000));
  run_to(2'000);
  run_to(2'005);
  EXPECT_EQ(rung(), (rings{{7, 13, 2'000}, {7, 2, 2'005}}));
}

TEST_P(timers_test, fires_after_the_store_is_opened_again_where_its_commit_failed) { // I5
  open();
  ASSERT_TRUE(set(7, bell::first, 2'000));
  faults_->fail_next_commit();
  run_to(2'000);
  EXPECT_TRUE(engine->failed());
  EXPECT_EQ(rung(), rings{});
  reopen();
  engine->run_until_idle();
  EXPECT_EQ(rung(), (rings{{7, 1, 2'000}}));
}

TEST_P(timers_test, is_not_there_where_the_commit_failed_that_set_it) { // I5
  open();
  ASSERT_TRUE(set(7, bell::second, 3'000));
  faults_->fail_next_commit();
  EXPECT_FALSE(set(7, bell::first, 2'000));
  reopen();
  run_to(9'000);
  EXPECT_EQ(rung(), (rings{{7, 2, 9'000}}));
}

TEST_P(timers_test, are_as_many_as_the_limit_allows) {
  open();
  set_bells all;
  for (std::uint64_t i = 1; i <= limits::max_pending_timers; ++i)
    all.all.push_back({timer_id(100 + i), 2'000});
  EXPECT_EQ(engine->ask<alarm>(7, all)->events, limits::max_pending_timers);
  const auto one_more = set(7, bell::first, 2'000);
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().code(), errc::too_large);
  EXPECT_NE(one_more.error().message().find("1025 timers would be pending"), std::string::npos);
  EXPECT_TRUE(set(7, timer_id(101), 3'000)) << "which moves one";
  run_to(2'000);
  EXPECT_EQ(rung().size(), limits::max_pending_timers - 1);
}

TEST_P(timers_test, waits_for_room_in_the_engine) {
  open({.max_in_flight = 1, .max_mailbox = 1});
  for (std::uint64_t key = 1; key <= 20; ++key)
    ASSERT_TRUE(set(key, bell::first, 2'000));
  run_to(2'000);
  EXPECT_EQ(rung().size(), 20U);
}

TEST_P(timers_test, does_not_hold_up_the_end_of_the_engine) {
  open();
  for (std::uint64_t key = 1; key <= 20; ++key)
    ASSERT_TRUE(set(key, bell::first, 2'000));
  now.advance_ns(100'000);
  engine->stop(); // some of them fire, perhaps
  reopen();
  engine->run_until_idle();
  EXPECT_EQ(rung().size(), 20U);
}

TEST_P(timers_test, is_no_business_of_interceptors) {
  struct counting final : runtime::interceptor {
    result<void> before(const runtime::command_view&) override {
      ++seen;
      return {};
    }
    int seen = 0;
  } all;
  open({.interceptors = {&all}});
  ASSERT_TRUE(set(7, bell::first, 2'000));
  run_to(2'000);
  EXPECT_EQ(rung().size(), 1U);
  EXPECT_EQ(all.seen, 1);
}

/// Waits for what an engine with threads does.
class firing_test : public alarm_fixture {
protected:
  void open_with_threads(runtime::engine_options options = {}) {
    open_as_it_is(std::move(options));
    told_ = engine->on_tail([this](log_position) {
      const std::lock_guard guard(mutex_);
      moved_.notify_all();
    });
  }
  void TearDown() override {
    told_.reset();
    engine.reset();
  }
  void wait_for_rings(std::size_t wanted) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
      moved_.wait_for(lock, std::chrono::minutes(1), [&] { return rung().size() >= wanted; }))
      << "of " << wanted << " timers " << rung().size() << " fired";
  }

private:
  std::mutex mutex_;
  std::condition_variable moved_;
  std::unique_ptr<runtime::engine::tail_subscription> told_;
};

TEST_P(firing_test, happens_when_a_test_moves_its_clock) {
  open_with_threads();
  for (std::uint64_t key = 1; key <= 10; ++key)
    ASSERT_TRUE(set(key, bell::first, 1'000 + static_cast<std::int64_t>(key)));
  for (std::size_t fired = 1; fired <= 10; ++fired) {
    now.advance_ns(1);
    wait_for_rings(fired);
  }
  const auto all = rung();
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i], (ring{i + 1, 1, 1'001 + static_cast<std::int64_t>(i)}));
}

TEST_P(firing_test, happens_on_the_wall_clock_and_an_earlier_one_does_not_wait_for_a_later_one) {
  struct same_clock final : acta::clock { // not wall_clock() itself, which the fixture replaces
    std::int64_t now_ns() const noexcept override { return wall_clock().now_ns(); }
  } wall;
  open_with_threads({.clock = &wall});
  const auto start = wall.now_ns();
  ASSERT_TRUE(set(7, bell::second, start + 3'600'000'000'000));
  ASSERT_TRUE(set(7, bell::first, start + 20'000'000));
  wait_for_rings(1);
  const auto all = rung();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_GE(all.front().at_ns, start + 20'000'000);
  TearDown(); // before its clock
}

TEST_P(firing_test, goes_on_while_the_engine_has_hardly_any_room) {
  open_with_threads({.max_in_flight = 1, .max_mailbox = 1});
  constexpr std::size_t many = 500;
  for (std::uint64_t key = 1; key <= many; ++key)
    ASSERT_TRUE(engine->ask<alarm>(key % 7, set_bell{timer_id(1'000 + key), 2'000},
                                   {.wait_for_room = std::chrono::hours(1)}));
  now.advance_ns(1'000);
  wait_for_rings(many);
  EXPECT_EQ(rung().size(), many);
}

TEST_P(firing_test, goes_on_while_one_aggregate_has_no_room) {
  struct holding final : runtime::interceptor {
    result<void> before(const runtime::command_view&) override {
      at.pass();
      return {};
    }
    gate at;
  } held;
  open_with_threads({.workers = 2, .max_mailbox = 1, .interceptors = {&held}});
  const auto home = [&](std::uint64_t key) {
    return (stream_hash(engine->stream<alarm>(key)) >> 32U) % 2;
  };
  std::uint64_t other = 8; // on the other worker
  while (home(other) == home(7))
    ++other;
  ASSERT_TRUE(set(7, bell::first, 2'000));
  ASSERT_TRUE(set(other, bell::second, 3'000));
  held.at.close();
  for (int i = 0; i < 2; ++i) { // one in hand, and one that waits
    ASSERT_TRUE(engine->tell<alarm>(7, set_bell{bell::third, 9'000}, [](auto&&) {}));
    held.at.wait_for_arrival();
  }
  now.advance_ns(3'000);
  wait_for_rings(1);
  EXPECT_EQ(rung(), (rings{{other, 2, 4'000}}));
  held.at.open();
  wait_for_rings(2);
  EXPECT_EQ(rung().back(), (ring{7, 1, 4'000}));
  TearDown(); // before the interceptor
}

TEST_P(timers_test, is_tried_again_at_the_end_of_time) {
  open();
  now.advance_ns(INT64_MAX - 1'000 - now.now_ns());
  alarm::throws = true;
  ASSERT_TRUE(set(7, bell::throwing, 5));
  engine->run_until_idle();
  alarm::throws = false;
  now.advance_ns(999);
  engine->run_until_idle();
  EXPECT_EQ(rung(), rings{});
  now.advance_ns(1);
  engine->run_until_idle();
  EXPECT_EQ(rung(), (rings{{7, 10, INT64_MAX}}));
}

TEST_P(firing_test, is_done_once_by_one_engine_after_the_other) {
  constexpr std::size_t many = 300;
  open_with_threads();
  for (std::uint64_t key = 1; key <= many; ++key)
    ASSERT_TRUE(set(key % 50, timer_id(1'000 + key), 2'000));
  now.advance_ns(1'000);
  for (int i = 0; i < 10; ++i) {
    TearDown();
    open_with_threads();
  }
  wait_for_rings(many);
  TearDown();
  EXPECT_EQ(rung().size(), many);
}

TEST(timers_without_room, do_not_keep_an_engine_from_stopping) {
  manual_clock now(1'000);
  const auto faults = std::make_shared<storage::log_faults>();
  const std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  auto engine = runtime::engine::open<alarm, counter>(
    storage::make_faulty_log(log, faults),
    {.workers = 1, .index = {.memory = 1U << 20U}, .clock = &now});
  ASSERT_TRUE(engine) << engine.error().message();
  ASSERT_TRUE((*engine)->ask<alarm>(1, set_bell{bell::first, 2'000}));
  ASSERT_TRUE((*engine)->ask<counter>(1, add{}));
  faults->fail_reads();
  std::optional<errc> refused; // once the index is far behind
  while (!refused)
    if (auto done = (*engine)->ask<counter>(1, add{1, 50'000}); !done)
      refused = done.error().code();
  EXPECT_EQ(refused, errc::overloaded);
  now.advance_ns(1'000);
  (*engine)->stop();
  EXPECT_FALSE((*engine)->ask<counter>(1, add{}));
}

INSTANTIATE_TEST_SUITE_P(logs, timers_test, alarm_logs, name_of_alarm_log);
INSTANTIATE_TEST_SUITE_P(logs, firing_test, alarm_logs, name_of_alarm_log);

} // namespace
} // namespace acta::tests
