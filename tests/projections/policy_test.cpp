// What projectors do about events that cannot be handled.
#include "sums.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using projections::failure_policy;
using positions = std::vector<std::uint64_t>;

class policy_test : public projection_fixture {};

TEST_F(policy_test, handles_each_event_once_and_is_at_the_last) { // J175
  put(1, 6);
  start();
  EXPECT_EQ(text(), "1 2 3 4 5 6 ");
  EXPECT_EQ(view.position(), log_position(6));
  put(7, 8);
  run();
  EXPECT_EQ(text(), "1 2 3 4 5 6 7 8 ");
}

TEST_F(policy_test, stops_before_the_event_by_default_and_goes_on_when_told) { // J202
  told->left[4] = 1;
  put(1, 6);
  start();
  EXPECT_EQ(text(), "1 2 3 ");
  EXPECT_EQ(projector->position(), log_position(3));
  const auto why = projector->status();
  ASSERT_FALSE(why);
  EXPECT_EQ(why.error().code(), errc::handler_failed);
  EXPECT_TRUE(why.error().message().contains("position 4")) << why.error().message();
  EXPECT_TRUE(why.error().message().contains("resume()")) << why.error().message();
  put(7, 7);
  run();
  EXPECT_EQ(projector->position(), log_position(3)) << "more events do not make it go on";
  projector->resume();
  run();
  EXPECT_TRUE(projector->status());
  EXPECT_EQ(text(), "1 2 3 4 5 6 7 ");
}

TEST_F(policy_test, tries_again_after_growing_pauses_and_then_stops) { // J179, J202
  told->left[4] = 100;
  put(1, 6);
  start({.retries = 3, .pause = 100ms});
  EXPECT_EQ(told->happened[4], 1) << "at once";
  pass(99ms);
  EXPECT_EQ(told->happened[4], 1) << "no further one during the pause";
  put(7, 7);
  run();
  EXPECT_EQ(told->happened[4], 1) << "also not when there are more events";
  pass(1ms);
  EXPECT_EQ(told->happened[4], 2);
  EXPECT_TRUE(projector->status()) << "it has not given up";
  pass(199ms);
  EXPECT_EQ(told->happened[4], 2);
  pass(1ms);
  EXPECT_EQ(told->happened[4], 3);
  pass(400ms);
  EXPECT_EQ(told->happened[4], 4);
  ASSERT_FALSE(projector->status());
  EXPECT_EQ(projector->position(), log_position(3));
  pass(24h);
  EXPECT_EQ(told->happened[4], 4);
}

TEST_F(policy_test, goes_on_where_a_retry_helps) { // J179
  told->left[4] = 2;
  put(1, 6);
  start({.retries = 3, .pause = 100ms});
  pass(100ms);
  pass(200ms);
  EXPECT_EQ(text(), "1 2 3 4 5 6 ");
  EXPECT_TRUE(projector->status());
}

TEST_F(policy_test, does_not_try_at_all_while_it_is_paused) { // J179
  told->left[1] = 100;
  put(1, 3);
  start({.retries = 3, .paused = true});
  pass(1h);
  EXPECT_TRUE(told->happened.empty());
  projector->resume();
  run();
  EXPECT_EQ(told->happened[1], 1);
  projector->pause();
  pass(1h);
  EXPECT_EQ(told->happened[1], 1) << "no further one";
}

TEST_F(policy_test, passes_a_dead_event_also_the_last) { // J177
  told->left = {{4, 100}, {6, 100}};
  put(1, 6);
  start({.on_failure = failure_policy::dead_letter});
  EXPECT_EQ(text(), "1 2 3 5 ");
  EXPECT_EQ(view.position(), log_position(6));
  EXPECT_TRUE(projector->status());
  const auto letters = view.dead_letters().value();
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_EQ(letters[0].position, log_position(4));
  EXPECT_EQ(letters[0].stream, "wallet/1");
  EXPECT_EQ(letters[0].attempts, 1U);
  EXPECT_EQ(letters[0].code, errc::handler_failed);
  EXPECT_TRUE(letters[0].why.contains("told to fail")) << letters[0].why;
  EXPECT_EQ(letters[0].since_ns, time.now_ns());
  EXPECT_EQ(letters[1].position, log_position(6));
}

TEST_F(policy_test, tries_as_often_as_it_may_before_an_event_is_dead) {
  told->left[2] = 100;
  put(1, 3);
  start({.retries = 1, .pause = 1s, .on_failure = failure_policy::dead_letter});
  EXPECT_TRUE(dead().empty());
  pass(1s);
  EXPECT_EQ(dead(), positions{2});
  EXPECT_EQ(view.dead_letters().value()[0].attempts, 2U);
  EXPECT_EQ(text(), "1 3 ");
}

TEST_F(policy_test, revives_a_dead_letter_or_gives_it_up) {
  told->left = {{2, 2}, {3, 100}};
  put(1, 4);
  start({.on_failure = failure_policy::dead_letter});
  EXPECT_EQ(dead(), (positions{2, 3}));
  const auto still = projector->retry(log_position(2));
  ASSERT_FALSE(still);
  EXPECT_EQ(still.error().code(), errc::handler_failed);
  EXPECT_EQ(view.dead_letters().value()[0].attempts, 2U);
  EXPECT_TRUE(projector->retry(log_position(2)));
  EXPECT_EQ(text(), "1 4 2 ");
  EXPECT_TRUE(projector->discard(log_position(3)));
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(projector->retry(log_position(3)).error().code(), errc::not_found);
  EXPECT_EQ(projector->discard(log_position(4)).error().code(), errc::not_found);
  EXPECT_EQ(text(), "1 4 2 ");
  EXPECT_EQ(view.position(), log_position(4));
}

TEST_F(policy_test, keeps_the_order_of_a_stream_behind_a_dead_event) {
  told->left = {{1, 1}, {7, 1}}; // of wallet 1, as 4, 10 and 13 are
  put(1, 10);
  start({.on_failure = failure_policy::hold_stream});
  EXPECT_EQ(text(), "2 3 5 6 8 9 ");
  EXPECT_EQ(dead(), (positions{1, 4, 7, 10}));
  put(11, 13);
  run();
  EXPECT_EQ(dead(), (positions{1, 4, 7, 10, 13}));
  const auto waits = projector->retry(log_position(4));
  ASSERT_FALSE(waits);
  EXPECT_EQ(waits.error().code(), errc::invalid_argument);
  EXPECT_TRUE(waits.error().message().contains("waits for position 1")) << waits.error().message();
  EXPECT_TRUE(projector->retry(log_position(1)));
  EXPECT_EQ(dead(), (positions{7, 10, 13})) << "4 followed, 7 failed";
  EXPECT_TRUE(projector->retry(log_position(7)));
  EXPECT_TRUE(dead().empty());
  put(14, 16);
  run();
  const auto of_one = view.read([](const sums& now) { return now.by_wallet.at(1); });
  EXPECT_EQ(of_one, (std::vector<std::int64_t>{1, 4, 7, 10, 13, 16}));
}

TEST_F(policy_test, lets_those_go_on_that_waited_for_a_discarded_event) {
  told->left[1] = 100;
  put(1, 7);
  start({.on_failure = failure_policy::hold_stream});
  EXPECT_EQ(dead(), (positions{1, 4, 7}));
  EXPECT_TRUE(projector->discard(log_position(1)));
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(text(), "2 3 5 6 4 7 ");
}

TEST_F(policy_test, holds_streams_also_after_it_was_started_anew) {
  told->left[1] = 1;
  put(1, 3);
  start({.on_failure = failure_policy::hold_stream});
  projector.reset();
  put(4, 4);
  start({.on_failure = failure_policy::hold_stream});
  EXPECT_EQ(dead(), (positions{1, 4}));
  EXPECT_TRUE(projector->retry(log_position(1)));
  EXPECT_EQ(text(), "2 3 1 4 ");
}

TEST_F(policy_test, begins_where_it_is_told_and_goes_on_from_its_checkpoint) { // J194, J184
  put(1, 6);
  start({.from = log_position(4)});
  EXPECT_EQ(text(), "4 5 6 ");
  projector.reset();
  put(7, 7);
  start({.from = log_position(2)});
  EXPECT_EQ(text(), "4 5 6 7 ") << "from its checkpoint, as it is not empty";
  EXPECT_TRUE(projector->reset());
  run();
  EXPECT_EQ(text(), "2 3 4 5 6 7 ");
}

TEST_F(policy_test, runs_to_a_position_and_waits_for_it) {
  put(1, 6);
  start({.paused = true});
  EXPECT_TRUE(projector->run_to(log_position(4)));
  run();
  EXPECT_EQ(text(), "1 2 3 4 ");
  EXPECT_EQ(projector->run_to(log_position(3)).error().code(), errc::invalid_argument);
  EXPECT_TRUE(projector->run_to(log_position(8)));
  run();
  EXPECT_EQ(view.position(), log_position(6));
  put(7, 10);
  run();
  EXPECT_EQ(view.position(), log_position(8));
  projector->resume();
  run();
  EXPECT_EQ(view.position(), log_position(10));
}

TEST_F(policy_test, is_empty_after_a_reset_and_dead_letters_are_gone) { // J199
  told->left[2] = 1;
  put(1, 3);
  start({.on_failure = failure_policy::hold_stream});
  EXPECT_EQ(dead(), positions{2});
  projector->pause();
  EXPECT_TRUE(projector->reset());
  EXPECT_EQ(text(), "");
  EXPECT_EQ(view.position(), log_position(0));
  EXPECT_TRUE(dead().empty());
  run();
  EXPECT_EQ(text(), "") << "a pause stays one";
  projector->resume();
  run();
  EXPECT_EQ(text(), "1 2 3 ");
}

TEST_F(policy_test, moves_on_behind_events_that_nobody_handles) { // J200
  put(1, 1);
  ASSERT_TRUE(engine->remove<wallet>(1));
  start();
  EXPECT_EQ(view.position(), log_position(2));
  EXPECT_EQ(text(), "1 ");
}

TEST_F(policy_test, says_how_far_behind_it_is_and_gives_alarm) {
  std::vector<std::pair<std::uint64_t, bool>> alarms;
  put(1, 5);
  start({.paused = true,
         .alarm_over = {.events = 6, .time = 10s},
         .alarm = [&](const auto& lag, bool over) { alarms.emplace_back(lag.events, over); }});
  EXPECT_EQ(projector->lag()->events, 5U);
  EXPECT_TRUE(alarms.empty());
  pass(3s);
  EXPECT_EQ(projector->lag()->time, 3s);
  put(6, 8);
  run();
  ASSERT_EQ(alarms.size(), 1U);
  EXPECT_TRUE(alarms[0].second);
  projector->resume();
  run();
  ASSERT_EQ(alarms.size(), 2U);
  EXPECT_FALSE(alarms[1].second);
  EXPECT_EQ(projector->lag()->events, 0U);
  EXPECT_EQ(projector->lag()->time, 0s);
  projector->pause();
  put(9, 9);
  pass(11s);
  ASSERT_EQ(alarms.size(), 3U) << "for the time";
}

TEST_F(policy_test, parts_share_the_streams_among_them) {
  put(1, 30);
  std::map<std::uint64_t, std::vector<std::int64_t>> all;
  std::size_t parts_with_some = 0;
  for (std::uint32_t part = 0; part < 3; ++part) {
    view_type one(sums{.told = told}, {.part = part, .parts = 3});
    const auto fed = projections::projector::start(*engine, one);
    ASSERT_TRUE(fed);
    run();
    EXPECT_EQ(one.position(), log_position(30));
    const auto found = one.read([](const sums& now) { return now.by_wallet; });
    parts_with_some += found.empty() ? 0U : 1U;
    for (const auto& [key, amounts] : found)
      EXPECT_TRUE(all.emplace(key, amounts).second) << "a stream is of one part";
  }
  start();
  EXPECT_EQ(all, view.read([](const sums& now) { return now.by_wallet; }));
  EXPECT_GT(parts_with_some, 1U);
}

/// A view in memory that is far behind shows several steps at once: also then each event is handled
/// once, the one that fails alone is dead, and a pause shows what was done.
TEST_F(policy_test, far_behind_it_handles_each_event_once_whatever_fails) { // J175
  constexpr std::int64_t all = 100'000;
  static_assert(all > limits::view_window);
  put(1, all);
  told->left = {{20'000, 1}, {20'001, 3}, {25'000, 2}};
  std::string expected;
  for (std::int64_t n = 1; n <= all; ++n)
    if (n != 20'001)
      expected += std::to_string(n) + ' ';
  auto started = projections::projector::start(
    *engine, view,
    {.batch = 500, .retries = 2, .pause = 100ms, .on_failure = failure_policy::dead_letter});
  ASSERT_TRUE(started) << started.error().message();
  projector = std::move(*started);
  for (int pieces = 0; pieces < 30 && engine->run_one(); ++pieces) {
    projector->pause();
    const auto now = text();
    ASSERT_EQ(now, expected.substr(0, now.size()));
    ASSERT_EQ(static_cast<std::uint64_t>(std::ranges::count(now, ' ')),
              projector->position().value());
    projector->resume();
  }
  run();
  for (int pauses = 0; pauses < 10; ++pauses)
    pass(1s);
  EXPECT_EQ(projector->position(), log_position(all));
  EXPECT_EQ(dead(), positions{20'001});
  EXPECT_TRUE(text() == expected);
}

TEST_F(policy_test, a_view_is_fed_by_one_projector_at_a_time) { // J196
  put(1, 2);
  start();
  const auto second = projections::projector::start(*engine, view);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), errc::store_in_use);
  EXPECT_TRUE(second.error().message().contains("'sums'")) << second.error().message();
  EXPECT_EQ(projections::replay(engine->log(), view).error().code(), errc::store_in_use);
  projector.reset();
  start();
  EXPECT_EQ(text(), "1 2 ");
}

TEST_F(policy_test, options_that_cannot_be_are_refused_by_name) {
  const auto refusal = [&](projections::projector_options options) {
    const auto started = projections::projector::start(*engine, view, std::move(options));
    return started ? std::string("none") : started.error().message();
  };
  EXPECT_TRUE(refusal({.batch = 0}).contains("batch"));
  view_type none(sums{}, {.part = 2, .parts = 2});
  EXPECT_EQ(projections::projector::start(*engine, none).error().code(), errc::invalid_argument);
  EXPECT_TRUE(refusal({.pause = -1ns}).contains("pause"));
}

} // namespace
} // namespace acta::tests
