#include "../support/cart_fixture.hpp"
#include "../support/process_fixture.hpp"

#include <acta/domain/testing.hpp>
#include <acta/domain/trading/limit_order.hpp>
#include <acta/storage/event_metadata.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::engine;
using runtime::process_journal;
using runtime::process_progress;

class process_manager_test : public process_fixture {};

// J205
TEST_F(process_manager_test, routes_events_to_instances_that_start_go_on_and_stop) {
  open_and_start();
  done({deed::continue_with, 1, 5}); // nobody is there
  done({deed::stop, 1, 5});
  done({deed::ignored, 1, 5});
  EXPECT_EQ(moved(), steps{});
  done({deed::start, 1, 5});
  done({deed::start, 2, 50});
  done({deed::start, 1, 7});
  done({deed::continue_with, 1, 1});
  done({deed::must_continue, 1, 1});
  done({deed::stop, 1, 2});
  EXPECT_EQ(moved(), (steps{"1:+5", "2:+50", "1:+12", "1:+13", "1:+14", "1:+16"}));
  done({deed::continue_with, 1, 5}); // gone
  done({deed::start_new, 1, 3});     // begins anew
  done({deed::continue_with, 2, 1});
  EXPECT_EQ(moved(), (steps{"1:+5", "2:+50", "1:+12", "1:+13", "1:+14", "1:+16", "1:+3", "2:+51"}));
}

// J205
TEST_F(process_manager_test, hands_an_event_to_several_instances) {
  open_and_start();
  done({deed::start, 2, 10});
  done({deed::start_two, 1, 5});
  auto all = moved();
  std::ranges::sort(all);
  EXPECT_EQ(all, (steps{"1:+5", "2:+10", "2:+15"}));
  const auto records = this->records("wallet");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_NE(records[1].header().command, records[2].header().command);
}

// J205
TEST_F(process_manager_test, stops_where_an_instance_must_not_be_there_and_is) {
  open_and_start();
  done({deed::start_new, 1, 5});
  const auto why = stops_at({deed::start_new, 1, 7});
  EXPECT_EQ(why.code(), errc::wrong_version);
  EXPECT_EQ(why.message(),
            "process manager 'clerk': event at position 4: start_new(): the instance "
            "is there already; the manager stops before the event");
  EXPECT_EQ(moved(), steps{"1:+5"});
}

// J205
TEST_F(process_manager_test, stops_where_an_instance_must_be_there_and_is_not) {
  open_and_start();
  EXPECT_EQ(stops_at({deed::must_continue, 1, 7}).code(), errc::not_found);
  EXPECT_EQ(moved(), steps{});
}

// J205
TEST_F(process_manager_test, goes_on_with_the_same_state_when_it_is_started_again) {
  open_and_start();
  done({deed::start, 1, 5});
  done({deed::start, 2, 50});
  done({deed::stop, 2, 1});
  done({deed::start, 1, 7});
  const auto before = moved();
  restart();
  done({deed::continue_with, 2, 1});
  done({deed::must_continue, 1, 1});
  auto expected = before;
  expected.push_back("1:+13");
  EXPECT_EQ(moved(), expected) << "nothing is sent again";
  clerk_.reset(); // and on the same engine
  start();
  done({deed::must_continue, 1, 1});
  expected.push_back("1:+14");
  EXPECT_EQ(moved(), expected);
}

TEST_F(process_manager_test, does_not_need_the_aggregates_memory_to_send_once) {
  open({.repeat_window = 0});
  start();
  for (int i = 0; i < 20; ++i)
    done({deed::start, 1, 1});
  const auto before = moved();
  EXPECT_EQ(before.size(), 20U);
  EXPECT_EQ(progress_of(*engine_).settled, 0U) << "no more was noted than where it began";
  close();
  open({.repeat_window = 0});
  start();
  done({deed::ignored});
  EXPECT_EQ(moved(), before);
}

TEST_F(process_manager_test, catches_up_with_what_happened_without_it) { // G150
  open();
  for (std::uint64_t i = 0; i < 300; ++i)
    ask({deed::start, i % 10, 1});
  EXPECT_EQ(moved(), steps{});
  start({.max_under_way = 3});
  done({deed::ignored});
  EXPECT_EQ(moved().size(), 300U);
}

TEST_F(process_manager_test, may_keep_silent_about_the_past) {
  open();
  const auto past = ask({deed::start, 1, 5});
  start({.silent_until = past});
  done({deed::start, 1, 7});
  EXPECT_EQ(moved(), steps{"1:+12"});
  restart(); // which is for good
  done({deed::ignored});
  EXPECT_EQ(moved(), steps{"1:+12"});
}

TEST_F(process_manager_test, sends_the_commands_of_an_event_one_after_the_other) {
  open_and_start();
  done({deed::put_in_two, 1, 5});
  done({deed::put_in_two, 1, 1});
  EXPECT_EQ(moved(), (steps{"1:+5", "1000:+5", "1:+6", "1000:+6"}));
}

// J205
TEST_F(process_manager_test, stops_when_a_command_is_rejected_and_sends_it_again_when_started) {
  open_and_start();
  const auto why = stops_at({deed::start, 1, -7});
  EXPECT_EQ(why.code(), errc::rejected);
  EXPECT_EQ(why.rejection(), 1);
  EXPECT_EQ(why.message(), "process manager 'clerk': event at position 2: its command to wallet/1 "
                           "failed: there is not so much in it");
  put(1, 10);
  clerk_.reset();
  start();
  done({deed::ignored});
  EXPECT_EQ(moved(), (steps{"1:+10", "1:-7"}));
}

// J205
TEST_F(process_manager_test, skips_a_command_for_good) {
  open_and_start();
  done({deed::start, 1, -clerk::skipped});
  EXPECT_EQ(progress_of(*engine_).failed.size(), 1U);
  put(1, 1'000); // it would be accepted now
  restart();
  done({deed::start, 1, 200});
  EXPECT_EQ(moved(), (steps{"1:+1000", "1:+100"})) << "the state has the event nevertheless";
}

// J205
TEST_F(process_manager_test, sends_another_command_in_the_place_of_one_that_failed) {
  open_and_start();
  done({deed::start, 1, -clerk::replaced});
  EXPECT_EQ(moved(), steps{"1000:+7"});
  put(1, 1'000);
  restart();
  done({deed::ignored});
  EXPECT_EQ(moved(), (steps{"1000:+7", "1:+1000"})) << "neither is sent again";
  const auto id = runtime::process_command_id("clerk", log_position(2), 0);
  EXPECT_EQ(records("wallet").front().header().command, id);
}

// J205
TEST_F(process_manager_test, may_replace_a_command_again_and_again) {
  open_and_start();
  put(1, 100);
  done({deed::start, 1, -clerk::halved});
  EXPECT_EQ(moved(), (steps{"1:+100", "1:-64"}));
  EXPECT_EQ(progress_of(*engine_).failed.back().attempt, 3U);
}

// J205
TEST_F(process_manager_test, retries_a_command_after_a_while) {
  open_and_start();
  const auto at = ask({deed::start, 1, -clerk::retried});
  const auto behind = ask({deed::start, 2, 5});
  EXPECT_EQ(clerk_->wait_for(behind, 5ms).error().code(), errc::timed_out)
    << "an event is settled when those before are";
  put(1, 300);
  ASSERT_TRUE(clerk_->wait_for(at, 10s));
  ASSERT_TRUE(clerk_->wait_for(behind, 10s));
  auto all = moved();
  std::ranges::sort(all);
  EXPECT_EQ(all, (steps{"1:+300", "1:-300", "2:+5"}));
}

// J205
TEST_F(process_manager_test, tells_the_policy_how_often_a_command_failed) {
  open_and_start();
  done({deed::start, 1, -clerk::retried_twice});
  const auto failed = progress_of(*engine_).failed;
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0], (process_progress::failed_command{.position = 2,
                                                         .index = 0,
                                                         .attempt = 3,
                                                         .code = errc::rejected,
                                                         .rejection = 1,
                                                         .message = "there is not so much in it"}));
}

TEST_F(process_manager_test, stops_when_one_of_its_functions_throws) {
  const auto message = [&](const ask_for& what) {
    log = storage::make_memory_log();
    restart();
    const auto why = stops_at(what);
    EXPECT_EQ(why.code(), errc::handler_failed);
    return why.message();
  };
  const std::string event = "process manager 'clerk': event at position 2: ";
  EXPECT_EQ(message({deed::fail_to_route}), event + "route() threw: told to fail");
  EXPECT_EQ(message({deed::fail_to_handle}), event + "handle() threw: told to fail");
  EXPECT_EQ(message({deed::start, 1, -clerk::policy_fails}),
            event + "failed() threw: told to fail");
}

TEST_F(process_manager_test, stops_when_an_aggregate_throws) {
  open_and_start();
  EXPECT_EQ(stops_at({deed::start, 1, wallet::unspeakable}).code(), errc::handler_failed);
}

TEST_F(process_manager_test, stops_when_an_event_is_for_the_same_instance_twice) {
  open_and_start();
  EXPECT_EQ(stops_at({deed::same_twice, 1, 5}).code(), errc::invalid_argument);
  EXPECT_EQ(moved(), steps{});
}

// G143
TEST_F(process_manager_test, its_commands_carry_the_correlation_and_the_event_as_the_cause) {
  open_and_start();
  const auto correlation = command_id::of(8, 9);
  const auto with = ask({deed::start, 1, 5}, {.metadata = {.correlation = correlation}});
  const auto command = command_id::of(1, 2);
  const auto without = ask({deed::start, 1, 5}, {.id = command});
  const auto bare = ask({deed::start, 1, 5});
  ASSERT_TRUE(clerk_->wait_for(bare, 10s));
  const auto records = this->records("wallet");
  ASSERT_EQ(records.size(), 3U);
  const auto check = [&](std::size_t i, log_position cause, const command_id& of) {
    const auto metadata = storage::decode_metadata(records[i].metadata());
    ASSERT_TRUE(metadata);
    EXPECT_EQ(metadata->correlation, of);
    EXPECT_EQ(metadata->causation, runtime::event_id(cause));
    EXPECT_EQ(records[i].header().command, runtime::process_command_id("clerk", cause, 0));
  };
  check(0, with, correlation);
  check(1, without, command); // whose id stands for it
  check(2, bare, command_id());
}

TEST(process_manager_ids_test, are_pinned) {
  EXPECT_EQ(runtime::process_command_id("clerk", log_position(7), 3).low(), (7U << 24U) + 3U);
  EXPECT_EQ(runtime::process_command_id("clerk", log_position(7), 3).high(), 13554757679860923979U);
  EXPECT_EQ(runtime::event_id(log_position(7)).low(), 7U);
  const auto id = runtime::event_id(log_position(7));
  EXPECT_EQ(std::string(id.bytes.begin(), id.bytes.begin() + 8), "acta.evt");
}

TEST_F(process_manager_test, notes_its_progress_when_a_command_left_no_trace) {
  open_and_start();
  const auto at = ask({deed::ask_time});
  ASSERT_TRUE(clerk_->wait_for(at, 10s));
  clerk_.reset(); // waits for the note
  EXPECT_EQ(progress_of(*engine_).settled, at.value());
}

TEST_F(process_manager_test, notes_its_progress_now_and_then) {
  open();
  start({.note_every = 10});
  for (std::uint64_t i = 0; i < 50; ++i)
    done({deed::start, i, 1});
  clerk_.reset();
  EXPECT_GE(progress_of(*engine_).settled, 50U);
  EXPECT_LE(records(process_journal::category).size(), 12U);
}

TEST_F(process_manager_test, stops_with_the_engine_and_goes_on_with_the_next) {
  open_and_start();
  done({deed::start, 1, 5});
  const auto at = ask({deed::start, 1, 7});
  ASSERT_TRUE(clerk_->wait_for(at, 10s));
  faults_->fail_commit(2);
  (void)engine_->ask<desk>(1, ask_for{deed::start, 1, 9}); // is stored, and its answer is not
  const auto failed = clerk_->wait_for(log_position(1'000), 10s);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), errc::commit_failed) << failed.error().message();
  EXPECT_EQ(clerk_->position().value() + 1, log->tail().value());
  restart();
  done({deed::ignored});
  EXPECT_EQ(moved(), (steps{"1:+5", "1:+12", "1:+21"}));
}

// G150
TEST_F(process_manager_test, sends_again_what_was_not_confirmed_before_what_is_new) {
  open_and_start();
  done({deed::start, 1, 5});
  faults_->fail_commit(2);
  const auto lost = ask({deed::start, 1, 9}); // is stored, and its command is not
  ASSERT_FALSE(clerk_->wait_for(lost, 10s));
  close();
  open();
  const auto fresh = ask({deed::start, 1, 2});
  EXPECT_EQ(moved(), steps{"1:+5"});
  start();
  ASSERT_TRUE(clerk_->wait_for(fresh, 10s));
  EXPECT_EQ(moved(), (steps{"1:+5", "1:+14", "1:+16"}));
  const auto sent = records("wallet");
  EXPECT_EQ(sent[1].header().command, runtime::process_command_id("clerk", lost, 0));
  EXPECT_EQ(sent[2].header().command, runtime::process_command_id("clerk", fresh, 0));
  restart(); // nobody knows by now what was confirmed, but the log
  done({deed::ignored});
  EXPECT_EQ(moved(), (steps{"1:+5", "1:+14", "1:+16"}));
}

TEST_F(process_manager_test, tries_again_where_there_is_no_room) {
  open({.deterministic_seed = 1, .max_in_flight = 1});
  for (std::uint64_t i = 0; i < 20; ++i)
    ask({deed::start, i, 5});
  start();
  engine_->run_until_idle();
  EXPECT_GT(engine_->counters().overloaded, 0U);
  EXPECT_EQ(clerk_->position(), log->tail()) << clerk_->status().error().message();
  EXPECT_EQ(moved().size(), 20U);
}

TEST_F(process_manager_test, tries_again_with_threads_too) {
  open({.max_in_flight = 1});
  for (std::uint64_t i = 0; i < 20; ++i)
    ask({deed::start, i, 5});
  start();
  const auto settled = clerk_->wait_for(log_position(20), 60s);
  ASSERT_TRUE(settled) << settled.error().message();
  EXPECT_EQ(moved().size(), 20U);
}

TEST_F(process_manager_test, waits_for_its_commands_when_it_ends) {
  open_and_start();
  faults_->hold_commits();
  std::thread asks([&] { ask({deed::start, 1, 5}); });
  faults_->wait_for_held_commit();
  faults_->release_commits();
  asks.join();
  clerk_.reset();
  const auto sent = moved().size();
  engine_.reset();
  EXPECT_EQ(moved().size(), sent);
}

TEST_F(process_manager_test, is_refused_where_something_is_missing) {
  const auto refused = [](auto&& started) {
    EXPECT_FALSE(started);
    EXPECT_EQ(started.error().code(), errc::invalid_argument);
    return started.error().message();
  };
  open();
  using domain::trading::limit_order;
  EXPECT_EQ(refused(manager::start<clerk>(*engine_, {.silent_until = log_position(1)})),
            "process manager 'clerk': process_options::silent_until is behind the log's end");
  EXPECT_NE(refused(manager::start<clerk>(*engine_, {.max_under_way = 0})).find("0"),
            std::string::npos);
  EXPECT_NE(refused(manager::start<clerk>(*engine_, {.note_every = 0})).find("0"),
            std::string::npos);
  const auto other = engine::open<limit_order>(storage::make_memory_log());
  EXPECT_EQ(refused(manager::start<clerk>(**other)),
            "process manager 'clerk': give runtime::process_journal to engine::open<...>, which "
            "keeps its progress");
  const auto without_target = engine::open<desk, process_journal>(storage::make_memory_log());
  EXPECT_EQ(refused(manager::start<clerk>(**without_target)),
            "process manager 'clerk': give its target, the aggregate 'wallet', to "
            "engine::open<...>");
}

/// Of a name that is none, or of an event that nobody emits.
template <char... Name>
struct named {
  static constexpr char letters[] = {Name..., '\0'};
  static constexpr std::string_view name{letters, sizeof...(Name)};
  struct state {};
  using events = domain::event_list<cart::put>;
  using targets = domain::aggregate_list<wallet>;
  static domain::route route(const cart::put& e, const domain::event_origin&) {
    return domain::start(std::string(e.by()->c_str()));
  }
  static void handle(const state&, const cart::put& e, const domain::event_origin&,
                     domain::commands<named>& out) {
    out.template send<wallet>(std::uint64_t{5}, put_in{e.pieces()});
  }
  static void evolve(state&, const cart::put&, const domain::event_origin&) noexcept {}
};

TEST_F(process_manager_test, is_refused_with_a_name_or_an_event_that_does_not_fit) {
  open();
  const auto nameless = manager::start<named<>>(*engine_);
  ASSERT_FALSE(nameless);
  EXPECT_EQ(nameless.error().message(), "process manager '': its name is to have 1 to 64 bytes");
  const auto nobodys = manager::start<named<'n'>>(*engine_);
  ASSERT_FALSE(nobodys);
  EXPECT_EQ(nobodys.error().message(),
            "process manager 'n': its event 'acta.tests.cart.put' is of no aggregate; give the one "
            "that emits it to engine::open<...>");
}

class process_upcasting_test : public cart::cart_fixture {};

// H151
TEST_P(process_upcasting_test, process_managers_see_old_events_as_new_ones) {
  write_added(1, 2);
  write_noted();
  write_put(3);
  write_added(2, 5);
  const auto engine = engine::open<cart::basket, wallet, process_journal>(
    std::make_unique<storage::forwarding_log>(shared_), {.upcasters = cart::upcasters()});
  ASSERT_TRUE(engine) << engine.error().message();
  const auto running = runtime::process_manager::start<named<'n'>>(**engine);
  ASSERT_TRUE(running) << running.error().message();
  const auto seen = (*running)->wait_for(log_position(4), 10s);
  ASSERT_TRUE(seen) << seen.error().message();
  const auto sum = (*engine)->ask<wallet>(5, put_in{0});
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum->reply, 24 + 3 + 5);
}

INSTANTIATE_TEST_SUITE_P(logs, process_upcasting_test, any_log, name_of_log);

using domain::testing::accepted;
using domain::testing::event;
using domain::testing::given;

TEST(process_journal_test, knows_how_far_a_manager_is_and_what_failed_behind_it) {
  using runtime::note_failed_command;
  using runtime::settle_process;
  const process_progress::failed_command first{.position = 5, .message = "first"};
  const process_progress::failed_command second{.position = 7, .index = 2, .message = "second"};
  const auto settled = [](std::uint64_t at) {
    return event<runtime::process_settled>(
      [&](auto& b) { return runtime::Createprocess_settled(b, at); });
  };
  const auto after = given<process_journal>()
                       .when(settle_process{3})
                       .when(note_failed_command{first})
                       .when(note_failed_command{second});
  EXPECT_EQ(after.problems(), std::vector<std::string>{});
  EXPECT_EQ(after.state(), (process_progress{.settled = 3, .failed = {first, second}}));
  const auto further = after.when(settle_process{5});
  EXPECT_EQ(further, accepted(settled(5)));
  EXPECT_EQ(further.state(), (process_progress{.settled = 5, .failed = {second}}));
  EXPECT_EQ(further.when(settle_process{4}), accepted()) << "it never goes back";
}

} // namespace
} // namespace acta::tests
