#include "../support/log_doubles.hpp"
#include "../support/scratch_directory.hpp"
#include "../support/subscription_fixture.hpp"

#include <acta/storage/archive.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using domain::trading::limit_order;
using projections::event_batch;
using projections::pull_subscription;
using projections::subscription;
using numbers = positions_seen;

constexpr log_position beginning{0};

class subscription_test : public subscription_fixture {};

TEST_F(subscription_test, to_a_stream_gets_its_events_as_they_are_committed) { // I156
  add(1, 2);
  collector got;
  const auto live = subscribe(got, {.filter = counter_filter(1)});
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{3})) << "none that is older";
  add(2);
  add(1, 2);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{3, 5, 6})) << "none of another stream";
  add(1, 3);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{3, 5, 6, 7, 8, 9}));
}

TEST_F(subscription_test, to_all_gets_events_of_every_stream_in_the_order_of_the_log) { // I157
  std::vector<std::pair<stream_id, std::uint64_t>> seen;
  const auto live = subscription::open(*engine, {}, [&](subscription&, event_batch events) {
    for (const auto& record : events.records())
      seen.emplace_back(record.stream(), record.version().value());
  });
  add(1, 2);
  submit(5);
  add(2);
  add(1);
  engine->run_until_idle();
  const auto one = engine->stream<counter>(1);
  const decltype(seen) all{{one, 1},
                           {one, 2},
                           {engine->stream<limit_order>(5), 1},
                           {engine->stream<counter>(2), 1},
                           {one, 3}};
  EXPECT_EQ(seen, all);
}

TEST_F(subscription_test, from_the_beginning_gets_history_and_what_follows_it) { // I158
  add(1, 2);
  add(2, 2);
  collector of_one;
  collector of_all;
  collector of_new;
  const auto first = subscribe(of_one, {.filter = counter_filter(1), .after = beginning});
  const auto second = subscribe(of_all, {.after = beginning});
  const auto third = subscribe(of_new);
  add(1);
  engine->run_until_idle();
  add(2);
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(of_one.seen, (numbers{1, 2, 5, 7}));
  EXPECT_EQ(of_all.seen, (numbers{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(of_new.seen, (numbers{5, 6, 7}));
  EXPECT_EQ(first->lag(), 0);
}

TEST_F(subscription_test, counts_what_it_does_not_want_as_handled) { // I159
  add(1, 3);
  submit(1);
  add(1, 3);
  collector by_category;
  collector by_type;
  const auto orders = subscribe(
    by_category, {.filter = {.category = engine->category<limit_order>()}, .after = beginning});
  const auto submitted =
    subscribe(by_type, {.filter = {.event_types = {"acta.domain.trading.order_submitted"}},
                        .after = beginning});
  engine->run_until_idle();
  EXPECT_EQ(by_category.seen, (numbers{4}));
  EXPECT_EQ(orders->position(), log_position(7)) << "in the history";
  submit(2);
  ASSERT_TRUE(engine->ask<limit_order>(2, domain::trading::cancel{}));
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(by_category.seen, (numbers{4, 8, 9}));
  EXPECT_EQ(by_type.seen, (numbers{4, 8}));
  EXPECT_EQ(orders->position(), log_position(10)) << "and live";
  EXPECT_EQ(submitted->position(), log_position(10));
  EXPECT_EQ(submitted->lag(), 0);
}

TEST_F(subscription_test, gets_nothing_once_it_was_stopped) { // I163, I166
  collector got;
  const auto live = subscribe(got);
  add(1);
  engine->run_until_idle();
  live->stop();
  live->stop();
  ASSERT_TRUE(got.ended);
  EXPECT_TRUE(got.ended->has_value()) << "nothing was wrong";
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{1}));
  EXPECT_TRUE(live->status());
}

TEST_F(subscription_test, is_resumed_behind_what_was_handled) { // I165, I166
  add(1, 10);
  log_position last;
  {
    collector got;
    got.then = [&](subscription& from) {
      if (got.seen.size() > 3)
        throw std::runtime_error("told to fail");
      last = from.position();
    };
    const auto live = subscribe(got, {.after = beginning, .buffer = 3});
    engine->run_until_idle();
    EXPECT_EQ(got.seen, (numbers{1, 2, 3, 4, 5, 6})) << "of which the last three were not handled";
    EXPECT_EQ(last, beginning) << "within a handler its batch is not handled yet";
    last = live->position();
  }
  add(1);
  EXPECT_EQ(last, log_position(3));
  collector rest;
  const auto again = subscribe(rest, {.after = last});
  engine->run_until_idle();
  EXPECT_EQ(rest.seen, (numbers{4, 5, 6, 7, 8, 9, 10, 11}));
  collector all;
  const auto anew = subscribe(all, {.after = beginning});
  engine->run_until_idle();
  EXPECT_EQ(all.seen.size(), 11) << "who begins at the beginning starts over";
}

TEST_F(subscription_test, refuses_to_go_on_behind_what_was_never_there) { // I167
  add(1, 3);
  EXPECT_EQ(refusal({.after = log_position(4)}, "position 4 is beyond the log, which ends at 3"),
            errc::invalid_argument);
  collector got;
  const auto live = subscribe(got, {.after = log_position(3)});
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{4}));
}

TEST_F(subscription_test, that_is_slow_falls_behind_and_catches_up_without_loss) { // I168
  const auto slow = pull({.buffer = 5});
  add(1, 3);
  EXPECT_EQ(positions_of(*slow->next(0ns)), (numbers{1, 2, 3})) << "live";
  add(1, 12);
  EXPECT_EQ(slow->lag(), 12);
  auto some = slow->next(0ns);
  EXPECT_EQ(positions_of(*some), (numbers{4, 5, 6, 7, 8})) << "no more than its buffer";
  EXPECT_EQ(some->reached(), log_position(8));
  add(2, 2);
  EXPECT_EQ(slow->lag(), 9);
  EXPECT_EQ(positions_of(*slow->next(0ns)), (numbers{9, 10, 11, 12, 13}));
  EXPECT_EQ(positions_of(*slow->next(0ns)), (numbers{14, 15, 16, 17}));
  EXPECT_EQ(slow->lag(), 0);
  EXPECT_TRUE(slow->next(0ns)->empty());
  add(1);
  EXPECT_EQ(positions_of(*slow->next(0ns)), (numbers{18})) << "live again";
}

TEST_F(subscription_test, hands_its_handler_no_more_than_its_buffer_at_a_time) { // I168
  collector got;
  std::vector<std::uint64_t> lags;
  got.then = [&](subscription& from) {
    lags.push_back(from.lag());
    if (lags.size() == 1) {
      EXPECT_TRUE(engine->tell<counter>(1, tests::add{.times = 4}, [](runtime::outcome&&) {}));
    }
  };
  add(1, 12);
  const auto live = subscribe(got, {.after = beginning, .buffer = 5});
  engine->run_until_idle();
  EXPECT_EQ(got.largest, 5);
  EXPECT_EQ(got.seen, expected(*log, {}, beginning));
  EXPECT_EQ(got.seen.size(), 16) << "what was committed meanwhile, too";
  EXPECT_EQ(lags.front(), 12);
}

TEST_F(subscription_test, tells_that_its_subscriber_is_too_slow_and_that_he_is_not_any_more) {
  add(1, 20);
  std::vector<std::pair<std::uint64_t, bool>> told;
  const auto slow = pull(
    {.after = beginning, .buffer = 10, .alarm_over = 5, .alarm = [&](std::uint64_t lag, bool over) {
       told.emplace_back(lag, over);
     }});
  EXPECT_EQ(slow->next(0ns)->records().size(), 10);
  EXPECT_EQ(slow->next(0ns)->records().size(), 10);
  EXPECT_TRUE(told.empty()) << "who begins in the past is not slow";
  add(1, 5);
  EXPECT_EQ(slow->next(0ns)->records().size(), 5);
  EXPECT_TRUE(told.empty());
  add(1, 16);
  EXPECT_EQ(slow->next(0ns)->records().size(), 10);
  EXPECT_EQ(slow->next(0ns)->records().size(), 6);
  EXPECT_TRUE(slow->next(0ns)->empty());
  const decltype(told) once{{16, true}, {0, false}};
  EXPECT_EQ(told, once);
}

TEST_F(subscription_test, is_dropped_where_it_may_not_be_so_far_behind) { // I168
  collector got;
  got.then = [&](subscription& from) {
    if (from.position() == beginning) { // while it is at the first
      EXPECT_TRUE(engine->tell<counter>(1, tests::add{.times = 9}, [](runtime::outcome&&) {}));
    }
  };
  const auto dropped = subscribe(got, {.buffer = 2, .drop_over = 9});
  const auto also = pull({.buffer = 2, .drop_over = 9});
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(got.seen.size(), 10) << "nine are not too many";
  add(1, 12); // it gets two of them
  engine->run_until_idle();
  ASSERT_TRUE(got.ended);
  ASSERT_FALSE(got.ended->has_value());
  EXPECT_EQ(got.ended->error().code(), errc::overloaded);
  EXPECT_NE(got.ended->error().message().find("is 10 events behind, and drop_over is 9; to go on "
                                              "where it is, open one with after = 12"),
            std::string::npos)
    << got.ended->error().message();
  EXPECT_EQ(dropped->position(), log_position(12));
  EXPECT_EQ(got.seen.back(), 12);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(also->next(0ns).error().code(), errc::overloaded);
  EXPECT_EQ(also->position(), beginning);
}

TEST_F(subscription_test, ends_with_what_its_handler_throws_and_hurts_nobody) { // I170, I172
  collector bad;
  bad.then = [](subscription&) { throw std::runtime_error("told to throw"); };
  collector worse;
  worse.then = [](subscription&) { throw 1; };
  collector good;
  const auto first = subscribe(bad);
  const auto second = subscribe(worse);
  const auto third = subscribe(good);
  add(1);
  add(1);
  engine->run_until_idle();
  ASSERT_TRUE(bad.ended && worse.ended);
  EXPECT_EQ(bad.ended->error().code(), errc::handler_failed);
  EXPECT_EQ(bad.ended->error().message(),
            "subscription: its handler threw behind position 0: told to throw");
  EXPECT_EQ(worse.ended->error().code(), errc::handler_failed);
  EXPECT_EQ(first->status().error().message(), bad.ended->error().message());
  EXPECT_EQ(good.seen, (numbers{1, 2}));
  EXPECT_FALSE(good.ended);
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(good.seen, (numbers{1, 2, 3})) << "and the engine never notices";
  EXPECT_EQ(first->position(), beginning);
}

TEST_F(subscription_test, may_be_stopped_by_its_alarm) {
  collector got;
  std::unique_ptr<subscription> live;
  live = subscribe(got, {.buffer = 1, .alarm_over = 2, .alarm = [&](std::uint64_t, bool is_over) {
                           EXPECT_TRUE(is_over);
                           live->stop();
                         }});
  add(1, 5);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{1}));
  ASSERT_TRUE(got.ended);
  EXPECT_TRUE(got.ended->has_value());
}

TEST_F(subscription_test, to_a_stream_that_is_not_there_waits_for_its_first_event) { // I172
  add(2, 5);
  collector got;
  const auto live = subscribe(got, {.filter = counter_filter(1), .after = beginning});
  engine->run_until_idle();
  EXPECT_TRUE(got.seen.empty());
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{6}));
}

TEST_F(subscription_test, may_be_stopped_by_its_handler) { // I163, I172
  add(1, 6);
  collector got;
  got.then = [&](subscription& from) {
    from.stop();
    from.stop();
    EXPECT_FALSE(got.ended) << "not before it returns";
  };
  const auto live = subscribe(got, {.after = beginning, .buffer = 2});
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{1, 2}));
  ASSERT_TRUE(got.ended);
  EXPECT_TRUE(got.ended->has_value());
  EXPECT_EQ(live->position(), log_position(2)) << "what it had in hand is handled";
}

TEST_F(subscription_test, of_one_store_knows_nothing_of_another) { // I174
  add(1);
  const auto other =
    runtime::engine::open<counter>(storage::make_memory_log(), {.deterministic_seed = 1});
  const auto here = pull({.filter = counter_filter(1), .after = beginning});
  const auto there = pull_subscription::open(
    **other, {.filter = {.stream = (*other)->stream<counter>(1)}, .after = beginning});
  EXPECT_EQ(positions_of(*here->next(0ns)), (numbers{1}));
  EXPECT_TRUE((*there)->next(0ns)->empty());
  ASSERT_TRUE((*other)->ask<counter>(1, tests::add{}));
  EXPECT_EQ(positions_of(*(*there)->next(0ns)), (numbers{1}));
  EXPECT_TRUE(here->next(0ns)->empty());
}

TEST_F(subscription_test, is_refused_for_what_the_store_does_not_know) {
  const auto wrong = errc::invalid_argument;
  EXPECT_EQ(refusal({.filter = {.event_types = {"nobody.knows"}}}, "'nobody.knows'"), wrong);
  EXPECT_EQ(refusal({.filter = {.category = category_id(77)}}, "no category 77"), wrong);
  EXPECT_EQ(refusal({.filter = {.stream = stream_id(category_id(0), 1)}}, "no category 0"), wrong);
  EXPECT_EQ(refusal({.filter = {.stream = engine->stream<counter>(1),
                                .category = engine->category<limit_order>()}},
                    "not of its category"),
            wrong);
  EXPECT_EQ(refusal({.buffer = 0}, "buffer is 0"), wrong);
  EXPECT_EQ(subscription::open(*engine, {}, {}).error().code(), wrong) << "no handler";
}

TEST_F(subscription_test, goes_on_reading_when_the_engine_was_stopped) {
  add(1, 4);
  collector got;
  const auto live = subscribe(got, {.after = beginning});
  engine->stop();
  const auto late = pull({.after = beginning});
  EXPECT_EQ(positions_of(*late->next(0ns)), (numbers{1, 2, 3, 4}));
  engine->run_until_idle();
  EXPECT_EQ(got.seen, (numbers{1, 2, 3, 4}));
  EXPECT_FALSE(got.ended);
  EXPECT_TRUE(live->status());
}

TEST_F(subscription_test, leaves_its_subscriber_the_events_he_got) {
  add(1, 3);
  event_batch kept;
  {
    const auto live =
      subscription::open(*engine, {.after = beginning},
                         [&](subscription&, event_batch events) { kept = std::move(events); });
    engine->run_until_idle();
  }
  engine.reset();
  log.reset();
  ASSERT_EQ(kept.records().size(), 3);
  for (const auto& record : kept.records()) {
    EXPECT_TRUE(record.verify());
    ASSERT_NE(domain::verified<added>(record.payload()), nullptr);
  }
}

TEST_F(subscription_test, ends_where_the_log_cannot_be_read_and_is_resumed_there) {
  const auto faults = std::make_shared<storage::log_faults>();
  auto opened = runtime::engine::open<counter>(storage::make_faulty_log(log, faults),
                                               {.deterministic_seed = 1});
  ASSERT_TRUE(opened) << opened.error().message();
  engine = std::move(*opened);
  const auto asks = pull();
  add(1);
  faults->fail_reads();
  EXPECT_EQ(asks->next(0ns).error().code(), errc::io);
  faults->heal_reads();
  EXPECT_EQ(positions_of(*asks->next(0ns)), (numbers{1})) << "nothing was lost";
  collector got;
  const auto live = subscribe(got, {.after = beginning});
  faults->fail_reads();
  while (!got.ended && engine->run_one()) {
  }
  ASSERT_TRUE(got.ended);
  EXPECT_EQ(got.ended->error().code(), errc::io);
  EXPECT_EQ(live->position(), beginning);
  faults->heal_reads();
}

TEST(subscriptions_to_an_archived_log, are_told_of_the_events_that_they_would_miss) {
  const scratch_directory directory;
  const auto path = directory.path() / "store";
  {
    auto opened = runtime::engine::open<counter>(storage::open_log(path).value());
    ASSERT_TRUE(opened) << opened.error().message();
    for (std::uint64_t key = 1; key <= 4; ++key)
      ASSERT_TRUE((*opened)->ask<counter>(key, tests::add{}));
    for (std::uint64_t key = 1; key <= 2; ++key)
      ASSERT_TRUE((*opened)->remove<counter>(key));
  }
  ASSERT_TRUE(storage::archive(path, log_position(3), directory.path() / "archive"));
  auto opened = runtime::engine::open<counter>(storage::open_log(path).value());
  ASSERT_TRUE(opened) << opened.error().message();
  for (std::uint64_t after = 0; after < 2; ++after)
    EXPECT_EQ(pull_subscription::open(**opened, {.after = log_position(after)}).error().code(),
              errc::not_found);
  const auto made = pull_subscription::open(**opened, {.after = log_position(2)});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(positions_of(*(*made)->next(0ns)), (numbers{3, 4, 5, 6}));
}

/// With threads.
class subscription_threads_test : public subscription_fixture {
protected:
  void SetUp() override { open({}); }
};

TEST_F(subscription_threads_test, stop_waits_for_the_handler_in_hand) {
  gate at;
  at.close();
  collector got;
  bool inside = false;
  got.then = [&](subscription&) {
    inside = true;
    at.pass();
    inside = false;
  };
  const auto live = subscribe(got, {.buffer = 1});
  add(1, 3);
  at.wait_for_arrival();
  std::thread stopper([&] {
    live->stop();
    EXPECT_FALSE(inside);
    EXPECT_TRUE(got.ended);
  });
  at.open();
  stopper.join();
  const auto seen = got.seen;
  add(1);
  EXPECT_EQ(got.seen, seen);
  EXPECT_EQ(live->position(), log_position(seen.size()));
}

TEST_F(subscription_threads_test,
       a_slow_subscriber_holds_the_engine_back_no_more_than_a_quick_one) {
  gate at;
  at.close();
  collector got;
  got.then = [&](subscription&) { at.pass(); };
  const auto slow = subscribe(got, {.buffer = 5});
  add(1);
  at.wait_for_arrival();
  for (int i = 0; i < 500; ++i)
    add(1); // each is answered while the handler stands at the gate
  EXPECT_EQ(slow->lag(), 501);
  const auto all = pull({.after = beginning, .buffer = 501});
  EXPECT_EQ(all->next(10s)->records().size(), 501) << "nor others";
  at.open();
  while (slow->lag() != 0)
    std::this_thread::yield();
  slow->stop();
  EXPECT_EQ(got.seen, expected(*log, {}, beginning));
  EXPECT_LE(got.largest, 5);
}

TEST_F(subscription_threads_test, hands_out_what_there_is_after_the_engine_was_stopped) {
  add(1, 4);
  engine->stop();
  gate at;
  collector got;
  at.close();
  got.then = [&](subscription&) { at.pass(); };
  const auto late = subscribe(got, {.after = beginning});
  at.wait_for_arrival();
  at.open();
  late->stop();
  EXPECT_EQ(got.seen, (numbers{1, 2, 3, 4}));
  EXPECT_TRUE(pull()->next(1ms)->empty());
}

TEST_F(subscription_threads_test, next_waits_for_a_commit_and_no_longer_than_it_may) {
  const auto asks = pull({.filter = counter_filter(1)});
  add(2);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(asks->next(20ms)->empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
  EXPECT_EQ(asks->position(), log_position(1)) << "of another stream";
  std::thread writer([&] {
    add(2);
    add(1);
  });
  EXPECT_EQ(positions_of(*asks->next(std::chrono::nanoseconds::max())), (numbers{3}));
  writer.join();
}

} // namespace
} // namespace acta::tests
