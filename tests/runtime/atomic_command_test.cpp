#include "../support/atomic_fixture.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/runtime/interceptor.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using domain::decision;
using runtime::atomic;
using runtime::atomic_outcome;
using runtime::engine;
using runtime::outcome;
using runtime::part;
using runtime::participant;

class atomic_command_test : public atomic_fixture {};

TEST_F(atomic_command_test, decides_over_several_aggregates_and_commits_them_together) {
  auto e = open({.workers = 2});
  ASSERT_TRUE(e->ask<counter>(1, add{100}));
  const auto commits = e->counters().commits;
  const auto moved = e->ask_all(atomic(part<counter>(1), part<counter>(2)), moving(30));
  ASSERT_TRUE(moved.has_value()) << moved.error().message();
  EXPECT_EQ(moved->versions, (std::vector{stream_version(2), stream_version(1)}));
  EXPECT_EQ(moved->position, log_position(3));
  EXPECT_EQ(moved->events, 2U);
  EXPECT_FALSE(moved->repeat);
  EXPECT_EQ(e->counters().commits, commits + 1);
  EXPECT_EQ(sum(*e, 1), 70);
  EXPECT_EQ(sum(*e, 2), 30);
  const auto next = e->ask<counter>(2, add{1});
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->version, stream_version(2));
  e.reset();
  e = open();
  EXPECT_EQ(sum(*e, 1), 70) << "as it is loaded";
  EXPECT_EQ(sum(*e, 2), 31);
}

TEST_F(atomic_command_test, shows_the_function_each_stream_and_version) {
  auto e = open();
  ASSERT_TRUE(e->ask<counter>(8, add{1, 3}));
  std::vector<stream_id> streams;
  std::vector<stream_version> versions;
  std::vector<std::int64_t> times;
  const auto look = [&](participant<counter>& one, participant<wallet>& other) {
    streams = {one.stream(), other.stream()};
    versions = {one.version(), other.version()};
    times = {one.out().now_ns(), other.out().now_ns()};
    return domain::accept();
  };
  const auto nothing = e->ask_all(atomic(part<counter>(8), part<wallet>(8)), look);
  ASSERT_TRUE(nothing.has_value()) << nothing.error().message();
  EXPECT_EQ(streams, (std::vector{e->stream<counter>(8), e->stream<wallet>(8)}));
  EXPECT_EQ(versions, (std::vector{stream_version(3), stream_version(0)}));
  EXPECT_EQ(times[0], times[1]);
  EXPECT_EQ(nothing->versions, versions);
  EXPECT_EQ(nothing->events, 0U);
  EXPECT_EQ(nothing->position, log_position(3)) << "the tail";
}

TEST_F(atomic_command_test, takes_aggregates_of_different_types_and_their_own_decide) {
  auto e = open({.workers = 2});
  const auto both = [](participant<wallet>& from, participant<counter>& to) -> decision {
    if (const auto put = wallet::decide(from.state(), put_in{5}, from.out()); !put)
      return std::unexpected(put.error());
    return counter::decide(to.state(), add{2, 2}, to.out());
  };
  const auto done = e->ask_all(atomic(part<wallet>(1), part<counter>(1)), both);
  ASSERT_TRUE(done.has_value()) << done.error().message();
  EXPECT_EQ(done->versions, (std::vector{stream_version(1), stream_version(2)}));
  EXPECT_EQ(done->events, 3U);
  EXPECT_EQ(sum(*e, 1), 4);
  EXPECT_EQ(e->ask<wallet>(1, put_in{1})->reply, 6);
  EXPECT_EQ(e->counters<wallet>().accepted, 2U) << "each category counts its own";
}

TEST_F(atomic_command_test, takes_as_many_as_are_known_at_run_time_up_to_the_limit) {
  auto e = open({.workers = 4});
  const auto give_each = [](std::span<participant<counter>> all) {
    for (std::size_t i = 0; i < all.size(); ++i)
      add_to(all[i], static_cast<std::int64_t>(i));
    return domain::accept();
  };
  std::vector<part<counter>> parts;
  parts.reserve(limits::max_aggregates_per_command + 1);
  for (std::uint64_t key = 0; key < limits::max_aggregates_per_command; ++key)
    parts.emplace_back(key);
  const auto all = e->ask_all(atomic(parts), give_each);
  ASSERT_TRUE(all.has_value()) << all.error().message();
  EXPECT_EQ(all->versions, std::vector(parts.size(), stream_version(1)));
  for (std::uint64_t key = 0; key < parts.size(); ++key)
    EXPECT_EQ(sum(*e, key), static_cast<std::int64_t>(key));
  parts.emplace_back(99U);
  EXPECT_EQ(e->ask_all(atomic(parts), give_each).error().code(), errc::invalid_argument);
  parts.clear();
  EXPECT_EQ(e->ask_all(atomic(parts), give_each).error().code(), errc::invalid_argument);
}

TEST_F(atomic_command_test, refuses_what_cannot_be_sent_and_calls_nobody) {
  auto e = open();
  const auto never = [](participant<counter>&, participant<counter>&) -> decision {
    ADD_FAILURE() << "decided";
    return domain::accept();
  };
  const auto expect_invalid = [&](const auto& parts, const runtime::command_options& options) {
    const auto sent =
      e->tell_all(parts, never, [](atomic_outcome&&) { ADD_FAILURE() << "answered"; }, options);
    ASSERT_FALSE(sent.has_value());
    EXPECT_EQ(sent.error().code(), errc::invalid_argument) << sent.error().message();
  };
  expect_invalid(atomic(part<counter>(1), part<counter>(1)), {});
  expect_invalid(atomic(part<counter>(1), part<counter>(e->stream<counter>(1))), {});
  expect_invalid(atomic(part<counter>(1), part<counter>(e->stream<wallet>(1))), {});
  expect_invalid(atomic(part<counter>(1), part<counter>(2)),
                 {.expected = expected_version::exists()});
  expect_invalid(atomic(part<counter>(1), part<counter>(2)),
                 {.answered = runtime::acknowledgement::durable});
  EXPECT_FALSE(e->tell_all(atomic(part<counter>(1), part<counter>(2)), never, {}).has_value());
  auto only_counters = engine::open<counter>(storage::make_memory_log());
  ASSERT_TRUE(only_counters.has_value());
  EXPECT_EQ(
    (*only_counters)
      ->ask_all(atomic(part<wallet>(1)), [](participant<wallet>&) { return domain::accept(); })
      .error()
      .code(),
    errc::invalid_argument);
  e->stop();
  EXPECT_EQ(e->ask_all(atomic(part<counter>(1), part<counter>(2)), never).error().code(),
            errc::engine_stopped);
}

TEST_F(atomic_command_test, leaves_all_as_they_were_when_it_is_refused) {
  auto e = open({.workers = 2});
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  const auto refused = e->ask_all(parts, moving(11));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().rejection(), too_little);
  const auto emitted_first =
    e->ask_all(parts, [](participant<counter>& one, participant<counter>&) -> decision {
      add_to(one, 5);
      return refuse();
    });
  EXPECT_EQ(emitted_first.error().code(), errc::rejected);
  const auto thrown =
    e->ask_all(parts, [](participant<counter>& one, participant<counter>& other) -> decision {
      add_to(one, 5);
      add_to(other, 5);
      throw std::runtime_error("as told");
    });
  EXPECT_EQ(thrown.error().code(), errc::handler_failed);
  EXPECT_NE(thrown.error().message().find("as told"), std::string::npos);
  const auto too_many =
    e->ask_all(parts, [](participant<counter>& one, participant<counter>& other) -> decision {
      for (std::size_t i = 0; i < limits::max_events_per_command; ++i)
        add_to(one, 1);
      add_to(other, 1);
      return domain::accept();
    });
  EXPECT_EQ(too_many.error().code(), errc::too_large);
  EXPECT_EQ(log->tail(), log_position(1));
  EXPECT_EQ(sum(*e, 1), 10);
  EXPECT_EQ(sum(*e, 2), 0);
  EXPECT_EQ(e->ask_all(parts, moving(10))->versions[1], stream_version(1));
}

TEST_F(atomic_command_test, changes_none_when_an_evolve_throws) {
  auto e = open();
  ASSERT_TRUE(e->ask<wallet>(1, put_in{1}));
  const auto give = [](std::int64_t first, std::int64_t second) {
    return [=](participant<wallet>& one, participant<wallet>& other, participant<counter>& third) {
      add_to(one, first);
      add_to(other, second);
      add_to(third, 1);
      return domain::accept();
    };
  };
  const auto parts = atomic(part<wallet>(1), part<wallet>(2), part<counter>(3));
  const auto both_ways = {give(1, wallet::unspeakable), give(wallet::unspeakable - 1, 1)};
  for (const auto& way : both_ways)
    EXPECT_EQ(e->ask_all(parts, way).error().code(), errc::handler_failed);
  EXPECT_EQ(log->tail(), log_position(1));
  EXPECT_EQ(e->ask<wallet>(1, put_in{1})->reply, 2);
  EXPECT_EQ(e->ask<wallet>(2, put_in{1})->reply, 1);
  EXPECT_EQ(sum(*e, 3), 0);
  ASSERT_TRUE(e->ask_all(parts, give(1, 1)));
  EXPECT_EQ(e->ask<wallet>(2, put_in{1})->reply, 3);
}

TEST_F(atomic_command_test, decides_only_where_each_part_is_at_the_version_it_is_expected_at) {
  auto e = open();
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  const auto at = [](std::uint64_t version) {
    return expected_version::exactly(stream_version(version));
  };
  const auto stale =
    e->ask_all(atomic(part<counter>(1, at(1)), part<counter>(2, at(1))), moving(1));
  ASSERT_FALSE(stale.has_value());
  EXPECT_EQ(stale.error().code(), errc::wrong_version);
  EXPECT_NE(stale.error().message().find("counter/2"), std::string::npos);
  EXPECT_TRUE(e->ask_all(atomic(part<counter>(1, at(1)), part<counter>(2, at(0))), moving(1)));
}

TEST_F(atomic_command_test, gives_a_repeat_the_first_receipt_also_after_a_restart) { // I8
  auto e = open({.workers = 2});
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  const runtime::command_options named{.id = command_id::of(1, 2)};
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  const auto first = e->ask_all(parts, moving(3), named);
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE(e->ask<counter>(2, add{1}));
  const auto expect_repeat = [&](const runtime::command_options& options, bool has_position) {
    const auto again = e->ask_all(parts, moving(3), options);
    ASSERT_TRUE(again.has_value()) << again.error().message();
    EXPECT_TRUE(again->repeat);
    EXPECT_EQ(again->versions, first->versions);
    EXPECT_EQ(again->position, has_position ? first->position : log_position(0));
    EXPECT_EQ(again->events, 2U);
  };
  expect_repeat(named, true);
  expect_repeat({.id = named.id, .answered = runtime::acknowledgement::accepted}, false);
  e.reset();
  e = open();
  expect_repeat(named, true);
  EXPECT_EQ(sum(*e, 1), 7);
}

TEST_F(atomic_command_test, is_known_by_any_aggregate_that_remembers_it) {
  auto e = open({.repeat_window = 1});
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  const runtime::command_options named{.id = command_id::of(1, 2)};
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  const auto first = e->ask_all(parts, moving(3), named);
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE(e->ask<counter>(1, add{1}, {.id = command_id::of(1, 3)}));
  const auto again = e->ask_all(parts, moving(3), named);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->repeat);
  EXPECT_EQ(again->versions, (std::vector{stream_version(0), first->versions[1]}));
  EXPECT_EQ(sum(*e, 1), 8);
}

TEST_F(atomic_command_test, is_not_decided_after_its_deadline_and_stores_its_metadata) {
  manual_clock now(1'000);
  auto e = open({.clock = &now});
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  EXPECT_EQ(e->ask_all(parts, moving(1), {.deadline_ns = 1'000}).error().code(), errc::expired);
  const auto moved =
    e->ask_all(parts, moving(1), {.deadline_ns = 1'001, .metadata = {.user = "ada"}});
  ASSERT_TRUE(moved.has_value()) << moved.error().message();
  const auto snapshot = log->snapshot();
  for (const std::uint64_t at : {2U, 3U})
    EXPECT_EQ(storage::decode_metadata((*snapshot)->at(log_position(at))->metadata())->user, "ada");
}

TEST_F(atomic_command_test, is_answered_as_it_asked_and_holds_its_aggregates_until_the_commit) {
  auto e = open({.workers = 2});
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  faults_->hold_commits();
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  const auto accepted =
    e->ask_all(parts, moving(4), {.answered = runtime::acknowledgement::accepted});
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->versions, (std::vector{stream_version(2), stream_version(1)}));
  EXPECT_EQ(accepted->position, log_position(0));
  std::atomic<int> told = -1;
  ASSERT_TRUE(e->tell<counter>(2, tell_sum{},
                               [&](outcome&& how) { told = how.error().rejection(); },
                               {.answered = runtime::acknowledgement::accepted}));
  faults_->wait_for_held_commit();
  EXPECT_EQ(log->tail(), log_position(1));
  EXPECT_EQ(told, -1) << "it waits while what it would see is not committed";
  faults_->release_commits();
  e->stop();
  EXPECT_EQ(told, 4);
}

TEST_F(atomic_command_test, is_answered_behind_the_sync_where_it_asks_for_that) {
  const scratch_directory directory;
  auto on_disk = storage::open_log(directory.path(), {.durability = storage::durability::process});
  ASSERT_TRUE(on_disk.has_value());
  auto opened = engine::open<counter>(std::move(*on_disk), {.workers = 2});
  ASSERT_TRUE(opened.has_value());
  auto& e = **opened;
  ASSERT_TRUE(e.ask<counter>(1, add{10}));
  const runtime::command_options durable{.id = command_id::of(1, 1),
                                         .answered = runtime::acknowledgement::durable};
  for (const bool repeat : {false, true}) {
    const auto moved = e.ask_all(atomic(part<counter>(1), part<counter>(2)), moving(4), durable);
    ASSERT_TRUE(moved.has_value()) << moved.error().message();
    EXPECT_EQ(moved->repeat, repeat);
    EXPECT_EQ(moved->position, log_position(3));
    EXPECT_GE(e.log().synced_tail(), log_position(3));
  }
}

TEST_F(atomic_command_test, counts_as_one_in_flight_and_is_waited_for_as_long_as_it_is_told) {
  auto e = open({.workers = 2, .max_in_flight = 1});
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  ASSERT_TRUE(e->ask_all(parts, moving(0)));
  faults_->hold_commits();
  const auto unknown = // the place of the first is free a little after its answer
    e->ask_all(
      parts, moving(0),
      {.wait_for_room = std::chrono::hours(1), .wait_for_outcome = std::chrono::milliseconds(1)});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), errc::timed_out);
  const auto refused = e->ask_all(parts, moving(0));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), errc::overloaded);
  EXPECT_EQ(e->counters().overloaded, 1U);
  const std::jthread opens([&] { faults_->release_commits(); });
  EXPECT_TRUE(e->ask_all(parts, moving(0), {.wait_for_room = std::chrono::hours(1)}));
}

TEST_F(atomic_command_test, fails_whole_with_its_commit_and_nothing_comes_after) { // I5
  auto e = open({.workers = 2});
  ASSERT_TRUE(e->ask<counter>(1, add{10}));
  faults_->fail_next_commit();
  const auto parts = atomic(part<counter>(1), part<counter>(2));
  EXPECT_EQ(e->ask_all(parts, moving(4)).error().code(), errc::commit_failed);
  EXPECT_EQ(e->ask_all(parts, moving(4)).error().code(), errc::commit_failed);
  EXPECT_EQ(e->ask<counter>(2, add{1}).error().code(), errc::commit_failed);
  e.reset();
  e = open();
  EXPECT_EQ(sum(*e, 1), 10);
  EXPECT_EQ(sum(*e, 2), 0);
}

TEST_F(atomic_command_test, fails_with_the_error_of_an_aggregate_that_cannot_be_loaded) {
  {
    auto e = open();
    ASSERT_TRUE(e->ask<counter>(1, add{10}));
    ASSERT_TRUE(e->ask<counter>(3, add{10}));
  }
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Createadded(builder, wallet::unspeakable)); // evolve() throws for it
  const storage::new_event event{
    .type = *log->register_event_type(added::GetFullyQualifiedName()),
    .payload = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))};
  const stream_id damaged(*log->register_category(wallet::category), 2);
  const std::array step{storage::stream_append{damaged, expected_version::none(), {&event, 1}}};
  ASSERT_TRUE((*storage::stream_writer::open(*log))->append(step));
  auto e = open({.workers = 4});
  const auto failed =
    e->ask_all(atomic(part<counter>(1), part<wallet>(2), part<counter>(3)),
               [](participant<counter>&, participant<wallet>&, participant<counter>&) -> decision {
                 ADD_FAILURE() << "decided";
                 return domain::accept();
               });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), errc::handler_failed);
  EXPECT_NE(failed.error().message().find("wallet/2"), std::string::npos);
  EXPECT_EQ(sum(*e, 1), 10) << "they go on";
  EXPECT_EQ(sum(*e, 3), 10);
}

/// Notes what passes.
class noting final : public runtime::interceptor {
public:
  result<void> before(const runtime::command_view& command) override {
    if (command.get<add>() == nullptr)
      ++before_count;
    return {};
  }
  void after(const runtime::command_view&, const outcome& how) noexcept override {
    after_count += how ? 1 : 0;
  }
  std::atomic<int> before_count = 0;
  std::atomic<int> after_count = 0;
};

TEST_F(atomic_command_test, passes_interceptors_once_for_each_aggregate) {
  noting notes;
  auto e = open({.interceptors = {&notes}});
  const auto nothing = [](participant<counter>&, participant<counter>&) {
    return domain::accept();
  };
  ASSERT_TRUE(e->ask_all(atomic(part<counter>(1), part<counter>(2)), nothing));
  EXPECT_EQ(notes.before_count, 2);
  EXPECT_EQ(notes.after_count, 2);
}

TEST_F(atomic_command_test, keeps_the_order_of_what_is_sent_to_one_aggregate) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    log = storage::make_memory_log();
    snapshots_ = std::move(*storage::open_snapshots(*log));
    auto e = open({.deterministic_seed = seed});
    std::map<std::uint64_t, std::vector<std::uint64_t>> versions;
    const auto tell = [&](std::uint64_t key) {
      ASSERT_TRUE(e->tell<counter>(
        key, add{5}, [&, key](outcome&& how) { versions[key].push_back(how->version.value()); }));
    };
    std::vector<stream_version> moved;
    tell(1);
    tell(1);
    ASSERT_TRUE(e->tell_all(atomic(part<counter>(1), part<counter>(2)), moving(10),
                            [&](atomic_outcome&& how) { moved = how->versions; }));
    tell(1);
    tell(2);
    tell(2);
    e->run_until_idle();
    ASSERT_EQ(moved.size(), 2U) << "both deposits came before";
    for (std::size_t i = 0; i < moved.size(); ++i) {
      auto& others = versions[i + 1];
      EXPECT_TRUE(std::ranges::is_sorted(others));
      others.push_back(moved[i].value());
      std::ranges::sort(others);
      EXPECT_EQ(others.back(), others.size()) << "each version was given once";
    }
  }
}

} // namespace
} // namespace acta::tests
