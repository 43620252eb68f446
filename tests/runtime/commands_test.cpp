// What a caller may ask of one command: a reply, a condition, a deadline, when it is answered.
#include "../support/counter.hpp"
#include "../support/log_doubles.hpp"
#include "../support/scratch_directory.hpp"
#include "../support/wallet.hpp"

#include <acta/base/clock.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/interceptor.hpp>
#include <acta/storage/event_metadata.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::acknowledgement;
using runtime::engine;
using runtime::outcome;

class commands_test : public testing::Test {
protected:
  std::unique_ptr<engine> open(const runtime::engine_options& options = {}) {
    auto opened = engine::open<wallet>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
  manual_clock time{1'000'000};
};

TEST_F(commands_test, are_answered_with_the_reply_of_their_type) { // G142
  const auto e = open();
  const auto put = e->ask<wallet>(1, put_in{70});
  ASSERT_TRUE(put.has_value()) << put.error().message();
  EXPECT_EQ(put->reply, 70);
  EXPECT_EQ(put->version, stream_version(1));
  const auto taken = e->ask<wallet>(1, take_out{30});
  static_assert(std::same_as<decltype(taken), const outcome>, "without a reply it is a receipt");
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(e->ask<wallet>(1, put_in{5})->reply, 45);
  const wallet::command whole = put_in{5};
  EXPECT_EQ(e->ask<wallet>(1, whole)->version, stream_version(4));
}

TEST_F(commands_test, have_no_reply_when_they_are_repeats) { // I8, B45
  const auto e = open();
  const runtime::command_options once{.id = command_id::of(1, 1)};
  const auto first = e->ask<wallet>(1, put_in{70}, once);
  const auto again = e->ask<wallet>(1, put_in{70}, once);
  ASSERT_TRUE(first.has_value() && again.has_value());
  EXPECT_TRUE(again->repeat);
  EXPECT_EQ(again->position, first->position);
  EXPECT_FALSE(again->reply.has_value());
}

TEST_F(commands_test, reach_a_callback_with_their_reply) {
  const auto e = open();
  std::latch done(1);
  std::optional<std::int64_t> balance;
  ASSERT_TRUE(e->tell<wallet>(1, put_in{7}, [&](auto&& how) {
    balance = how->reply;
    done.count_down();
  }));
  done.wait();
  EXPECT_EQ(balance, 7);
}

TEST_F(commands_test, are_decided_at_the_time_of_the_engines_clock) {
  const auto e = open({.clock = &time});
  EXPECT_EQ(e->ask<wallet>(1, tell_time{})->reply, 1'000'000);
  time.advance_ns(5);
  EXPECT_EQ(e->ask<wallet>(1, tell_time{})->reply, 1'000'005);
}

TEST_F(commands_test, are_not_decided_at_another_version_than_expected) { // G123, A7, A32
  const auto e = open();
  const auto expecting = [](expected_version version) {
    return runtime::command_options{.expected = version};
  };
  const auto exactly = [&](std::uint64_t version) {
    return expecting(expected_version::exactly(stream_version(version)));
  };
  EXPECT_EQ(e->ask<wallet>(1, put_in{1}, expecting(expected_version::exists())).error().code(),
            errc::wrong_version);
  EXPECT_TRUE(e->ask<wallet>(1, put_in{1}, expecting(expected_version::none())));
  EXPECT_TRUE(e->ask<wallet>(1, put_in{1}, exactly(1)));
  EXPECT_TRUE(e->ask<wallet>(1, put_in{1}, expecting(expected_version::exists())));
  const auto decisions = wallet::decisions.load();
  for (const auto& wrong : {exactly(2), exactly(4), expecting(expected_version::none())}) {
    const auto refused = e->ask<wallet>(1, put_in{1}, wrong);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), errc::wrong_version);
    EXPECT_NE(refused.error().message().find(wrong.expected.to_string()), std::string::npos);
    EXPECT_NE(refused.error().message().find("is at version 3"), std::string::npos)
      << refused.error().message();
  }
  EXPECT_EQ(wallet::decisions, decisions);
  ASSERT_TRUE(e->remove<wallet>(1));
  EXPECT_FALSE(e->ask<wallet>(1, put_in{1}, expecting(expected_version::exists())));
  EXPECT_TRUE(e->ask<wallet>(1, put_in{1}, expecting(expected_version::none())));
  EXPECT_EQ(e->counters<wallet>().wrong_version, 5U);
}

TEST_F(commands_test, are_repeats_before_they_are_at_a_wrong_version) { // B41
  const auto e = open();
  const runtime::command_options first{.id = command_id::of(1, 1),
                                       .expected = expected_version::none()};
  ASSERT_TRUE(e->ask<wallet>(1, put_in{1}, first));
  const auto again = e->ask<wallet>(1, put_in{1}, first);
  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_TRUE(again->repeat);
}

TEST_F(commands_test, are_refused_undecided_after_their_deadline) {
  const auto e = open({.clock = &time});
  EXPECT_TRUE(e->ask<wallet>(1, put_in{1}, {.deadline_ns = 1'000'001}));
  time.advance_ns(1);
  const auto decisions = wallet::decisions.load();
  const auto late = e->ask<wallet>(1, put_in{1}, {.deadline_ns = 1'000'001});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code(), errc::expired);
  EXPECT_EQ(wallet::decisions, decisions);
  EXPECT_EQ(e->counters<wallet>().expired, 1U);
  EXPECT_EQ(log->tail(), log_position(1));
}

TEST_F(commands_test, are_answered_before_the_commit_where_that_is_asked_for) { // G146
  const auto e = open();
  faults_->hold_commits();
  const auto early = e->ask<wallet>(1, put_in{7}, {.answered = acknowledgement::accepted});
  ASSERT_TRUE(early.has_value());
  EXPECT_EQ(early->reply, 7);
  EXPECT_EQ(early->version, stream_version(1));
  EXPECT_EQ(early->position, log_position(0));
  const auto refused = e->ask<wallet>(1, take_out{8}, {.answered = acknowledgement::accepted});
  EXPECT_EQ(refused.error().code(), errc::rejected);
  EXPECT_EQ(log->tail(), log_position(0));
  faults_->release_commits();
  EXPECT_EQ(e->ask<wallet>(1, take_out{7})->position, log_position(2));
  EXPECT_EQ(e->counters<wallet>().accepted, 2U);
  EXPECT_EQ(e->counters<wallet>().rejected, 1U);
}

TEST_F(commands_test, are_answered_when_they_are_synced_where_that_is_asked_for) { // I1
  const scratch_directory directory;
  auto opened = storage::open_log(directory.path() / "store",
                                  {.durability = storage::durability::process, .sync_every = 1ms});
  ASSERT_TRUE(opened.has_value());
  const auto& disk = **opened;
  auto e = engine::open<wallet>(std::move(*opened));
  ASSERT_TRUE(e.has_value());
  for (int i = 0; i < 20; ++i) {
    const auto durable = (*e)->ask<wallet>(1, put_in{1}, {.answered = acknowledgement::durable});
    ASSERT_TRUE(durable.has_value()) << durable.error().message();
    EXPECT_GE(disk.synced_tail(), durable->position);
    EXPECT_EQ(durable->reply, i + 1);
    EXPECT_FALSE(durable->repeat);
  }
}

TEST_F(commands_test, cannot_be_durable_in_memory) {
  const auto refused = open()->ask<wallet>(1, put_in{}, {.answered = acknowledgement::durable});
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
}

TEST_F(commands_test, are_waited_for_no_longer_than_asked) {
  const auto e = open();
  faults_->hold_commits();
  const auto late = e->ask<wallet>(1, put_in{7}, {.wait_for_outcome = 1ms});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code(), errc::timed_out);
  const auto longest_ago = std::chrono::nanoseconds::min();
  EXPECT_EQ(e->ask<wallet>(2, put_in{7}, {.wait_for_outcome = longest_ago}).error().code(),
            errc::timed_out);
  faults_->release_commits();
  const auto next = e->ask<wallet>(1, put_in{1}, {.wait_for_outcome = 1h});
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->reply, 8) << "what was not waited for happens all the same";
}

TEST_F(commands_test, are_refused_where_too_many_wait_for_their_aggregate) {
  gate held;
  struct holding final : runtime::interceptor {
    gate& at;
    explicit holding(gate& of) : at(of) {}
    result<void> before(const runtime::command_view&) override {
      at.pass();
      return {};
    }
  } interceptor(held);
  const auto e = open({.max_mailbox = 3, .interceptors = {&interceptor}});
  held.close();
  std::atomic<int> answered = 0;
  const auto send = [&](const runtime::command_options& options = {}) {
    return e->tell<wallet>(1, put_in{}, [&](auto&&) { ++answered; }, options);
  };
  ASSERT_TRUE(send());
  held.wait_for_arrival(); // one is in hand, and three may wait
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(send());
  const auto refused = send();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), errc::overloaded);
  EXPECT_NE(refused.error().message().find("wallet/1"), std::string::npos);
  EXPECT_NE(refused.error().message().find("max_mailbox"), std::string::npos);
  EXPECT_TRUE(e->tell<wallet>(2, put_in{}, [&](auto&&) { ++answered; })) << "others have room";
  EXPECT_EQ(send({.wait_for_room = 1ms}).error().code(), errc::overloaded);
  std::thread patient([&] { EXPECT_TRUE(send({.wait_for_room = 1h})); });
  held.open();
  patient.join();
  e->stop();
  EXPECT_EQ(answered, 6);
  EXPECT_EQ(e->counters().overloaded, 2U);
}

TEST_F(commands_test, wait_for_room_in_the_engine_until_their_time_limit) {
  const auto e = open({.max_in_flight = 1});
  faults_->hold_commits();
  std::atomic<int> answered = 0;
  ASSERT_TRUE(e->tell<wallet>(1, put_in{}, [&](auto&&) { ++answered; }));
  EXPECT_EQ(e->ask<wallet>(2, put_in{}, {.wait_for_room = 1ms}).error().code(), errc::overloaded);
  std::thread patient([&] { EXPECT_TRUE(e->ask<wallet>(2, put_in{}, {.wait_for_room = 1h})); });
  faults_->release_commits();
  patient.join();
  EXPECT_EQ(answered, 1);
}

TEST_F(commands_test, leave_their_metadata_on_each_event) { // A35, C59, G143
  const auto e = open();
  const storage::event_metadata from{.correlation = command_id::of(1, 2),
                                     .causation = command_id::of(3, 4),
                                     .user = "alice",
                                     .trace = "00-4bf92f3577b34da6-01"};
  ASSERT_TRUE(e->ask<wallet>(1, put_in{}, {.metadata = from}));
  ASSERT_TRUE(e->ask<wallet>(1, put_in{}));
  const auto snapshot = e->log().snapshot();
  const auto stored = e->read(e->stream<wallet>(1), **snapshot);
  ASSERT_TRUE(stored.has_value());
  const auto read = storage::decode_metadata(stored->records[0].metadata());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->correlation, from.correlation);
  EXPECT_EQ(read->causation, from.causation);
  EXPECT_EQ(read->user, from.user);
  EXPECT_EQ(read->trace, from.trace);
  EXPECT_TRUE(stored->records[1].metadata().empty());
  const std::string long_name(256, 'x');
  EXPECT_EQ(e->ask<wallet>(1, put_in{}, {.metadata = {.user = long_name}}).error().code(),
            errc::too_large);
}

TEST_F(commands_test, leave_no_trace_when_evolve_throws_for_what_they_emit) {
  std::vector<std::string> reports;
  const auto e = open({.watch = [&](const runtime::failure_report& report) {
    EXPECT_EQ(report.what, runtime::failure_report::part::handler);
    reports.push_back(report.why.message());
  }});
  ASSERT_TRUE(e->ask<wallet>(1, put_in{wallet::unspeakable - 66}));
  const auto thrown = e->ask<wallet>(1, put_in{66});
  ASSERT_FALSE(thrown.has_value());
  EXPECT_EQ(thrown.error().code(), errc::handler_failed);
  EXPECT_EQ(log->tail(), log_position(1)) << "the event is refused before it is stored";
  EXPECT_EQ(e->ask<wallet>(1, put_in{1})->reply, wallet::unspeakable - 65)
    << "the state is as it was";
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_NE(reports[0].find("as told"), std::string::npos);
}

/// Notes what it sees; refuses what takes more than ten out.
class noting final : public runtime::interceptor {
public:
  noting(std::string name, std::vector<std::string>& to) : name_(std::move(name)), to_(to) {}

  result<void> before(const runtime::command_view& command) override {
    to_.push_back(name_ + " before " + std::string(command.category()));
    if (const auto* out = command.get<take_out>(); out != nullptr && out->amount > 10)
      return failure(errc::rejected, name_ + ": too much at once");
    return {};
  }
  void after(const runtime::command_view& command, const outcome& how) noexcept override {
    to_.push_back(name_ + (how ? " after " : " refused ") + command.stream().to_string("wallet"));
  }

private:
  std::string name_;
  std::vector<std::string>& to_;
};

TEST_F(commands_test, pass_the_interceptors_there_and_back) {
  std::vector<std::string> seen;
  noting outer("outer", seen);
  noting inner("inner", seen);
  const auto e = open({.interceptors = {&outer, &inner}});
  ASSERT_TRUE(e->ask<wallet>(1, put_in{70}));
  EXPECT_EQ(seen, (std::vector<std::string>{"outer before wallet", "inner before wallet",
                                            "inner after wallet/1", "outer after wallet/1"}));
  seen.clear();
  const auto decisions = wallet::decisions.load();
  const auto refused = e->ask<wallet>(1, wallet::command(take_out{11}));
  EXPECT_EQ(refused.error().message(), "outer: too much at once");
  EXPECT_EQ(seen, (std::vector<std::string>{"outer before wallet", "outer refused wallet/1"}));
  EXPECT_EQ(wallet::decisions, decisions);
}

TEST_F(commands_test, are_intercepted_to_the_end_though_their_actor_is_gone) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<std::string> seen;
    noting all("all", seen);
    const auto e = *engine::open<counter>(storage::make_memory_log(),
                                          {.deterministic_seed = seed, .interceptors = {&all}});
    const runtime::command_options once{.id = command_id::of(1, 1)};
    ASSERT_TRUE(e->ask<counter>(7, add{2}, once)); // closed: its actor is dropped
    e->run_until_idle();
    const auto again = e->ask<counter>(7, add{2}, once);
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->repeat);
    ASSERT_EQ(seen.size(), 4U);
    EXPECT_EQ(seen[3], "all after wallet/7") << "which names the category itself";
  }
}

TEST_F(commands_test, are_intercepted_to_the_end_though_their_actor_goes_before_the_sync) {
  constexpr std::uint64_t many = 600; // more than the housekeeper makes a visit for
  std::vector<std::string> seen;
  noting all("all", seen);
  const auto by = std::make_shared<unsynced_log::state>();
  const auto e = *engine::open<counter>(std::make_unique<unsynced_log>(log, by),
                                        {.workers = 1, .interceptors = {&all}});
  std::atomic<std::uint64_t> answered = 0;
  for (std::uint64_t key = 0; key < many; ++key)
    ASSERT_TRUE(e->tell<counter>(key, add{2}, [&](auto&&) { ++answered; },
                                 {.answered = acknowledgement::durable}));
  while (e->counters().passivated == 0 || log->tail() != log_position(many))
    std::this_thread::yield();
  EXPECT_EQ(answered, 0U);
  by->sync_up_to(log->tail());
  e->stop();
  EXPECT_EQ(answered, many);
  const std::set<std::string> different(seen.begin(), seen.end());
  EXPECT_EQ(different.size(), many + 1) << "each stream once, and `before`";
}

TEST_F(commands_test, that_are_durable_are_told_so_though_a_later_commit_failed) { // I1
  const auto by = std::make_shared<unsynced_log::state>();
  const auto e = *engine::open<wallet>(
    storage::make_faulty_log(std::make_shared<unsynced_log>(log, by), faults_), {.workers = 1});
  std::optional<outcome> first;
  ASSERT_TRUE(e->tell<wallet>(1, wallet::command(put_in{1}), [&](auto&& how) { first = how; },
                              {.answered = acknowledgement::durable}));
  ASSERT_TRUE(e->ask<wallet>(2, put_in{1})) << "committed behind it";
  const auto durable = log->tail();
  faults_->fail_next_commit();
  EXPECT_EQ(e->ask<wallet>(3, put_in{1}).error().code(), errc::commit_failed);
  by->sync_up_to(durable);
  e->stop();
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE(first->has_value()) << first->error().message();
  EXPECT_EQ((*first)->position, log_position(1));
}

TEST_F(commands_test, that_wait_for_room_are_told_when_the_engine_stops) {
  for (int round = 0; round < 100; ++round) {
    const auto e = open({.workers = 1, .max_in_flight = 1});
    faults_->hold_commits();
    ASSERT_TRUE(e->tell<wallet>(1, put_in{1}, [](auto&&) {}));
    faults_->wait_for_held_commit();
    const std::jthread other([&](const std::stop_token& end) { // takes places for a moment
      while (!end.stop_requested())
        (void)e->tell<wallet>(2, put_in{1}, [](auto&&) {});
    });
    const std::jthread stopping([&] { e->stop(); });
    const std::jthread waiting([&] {
      const auto sent = e->tell<wallet>(3, put_in{1}, [](auto&&) {}, {.wait_for_room = 1h});
      EXPECT_TRUE(sent || sent.error().code() == errc::engine_stopped);
    });
    faults_->release_commits();
  }
}

TEST_F(commands_test, do_not_wait_where_the_engine_would_wait_for_itself) {
  for (const auto seed : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(1)}) {
    log = storage::make_memory_log();
    std::vector<errc> warnings;
    const auto e = open({.workers = 1,
                         .deterministic_seed = seed,
                         .max_in_flight = 1,
                         .warning = [&](const error& one) { warnings.push_back(one.code()); }});
    std::vector<errc> refused;
    const auto note = [&](const auto& how) {
      refused.push_back(how ? errc{} : how.error().code());
    };
    std::latch told(1);
    ASSERT_TRUE(e->tell<wallet>(
      1, put_in{1},
      [&](auto&&) {
        note(e->ask<wallet>(2, put_in{1}));
        note(e->ask_all(runtime::atomic(runtime::part<wallet>(2)),
                        [](auto&) -> domain::decision { return domain::accept(); }));
        note(e->remove<wallet>(2));
        note(e->tell<wallet>(2, put_in{1}, [](auto&&) {}, {.wait_for_room = 1h}));
        e->stop();
        told.count_down();
      },
      {.wait_for_room = 1h}));
    e->run_until_idle();
    told.wait();
    EXPECT_EQ(refused, (std::vector{errc::invalid_argument, errc::invalid_argument,
                                    errc::invalid_argument, errc::overloaded}));
    EXPECT_EQ(warnings, (std::vector{errc::invalid_argument})) << "of stop()";
    EXPECT_EQ(e->ask<wallet>(2, put_in{1}, {.wait_for_room = 1h})->version, stream_version(1))
      << "nothing was sent, and it goes on";
  }
}

TEST_F(commands_test, are_timed_in_all_stages) {
  const auto e = open({.latency_sample = 1});
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(e->ask<wallet>(1, put_in{}));
  const auto times = e->latencies<wallet>();
  for (const auto* stage :
       {&times.mailbox, &times.decide, &times.stage, &times.commit, &times.receipt, &times.total})
    EXPECT_EQ(stage->count(), 10U);
  EXPECT_GE(times.total.max_ns(), times.decide.percentile_ns(0));
  EXPECT_EQ(open({.latency_sample = 0})->latencies<wallet>().total.count(), 0U);
}

TEST_F(commands_test, do_not_try_a_stream_again_at_once_that_could_not_be_loaded) { // G122, G128
  auto e = open();
  const auto stream = e->stream<wallet>(1);
  e.reset();
  { // no engine stores an event that evolve() throws for, but somebody else may
    auto writer = storage::stream_writer::open(*log);
    ASSERT_TRUE(writer.has_value());
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(Createadded(builder, wallet::unspeakable));
    const storage::new_event bad{
      .type = *log->register_event_type(added::GetFullyQualifiedName()),
      .payload = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))};
    const storage::stream_append step{stream, expected_version::any(), {&bad, 1}};
    ASSERT_TRUE((*writer)->append({&step, 1}));
  }
  std::vector<std::uint32_t> attempts;
  std::chrono::nanoseconds retry_after{};
  e = open({.watch =
              [&](const runtime::failure_report& report) {
                EXPECT_EQ(report.what, runtime::failure_report::part::recovery);
                attempts.push_back(report.attempts);
                retry_after = report.retry_after;
              },
            .clock = &time});
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(e->ask<wallet>(1, put_in{}).error().code(), errc::handler_failed);
  EXPECT_EQ(attempts, (std::vector<std::uint32_t>{1}));
  EXPECT_TRUE(e->ask<wallet>(2, put_in{})) << "others go on";
  time.advance_ns(retry_after.count());
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(e->ask<wallet>(1, put_in{}));
  EXPECT_EQ(attempts, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(e->counters().recovery_failures, 2U);
  time.advance_ns(-std::chrono::nanoseconds(1h).count());
  EXPECT_FALSE(e->ask<wallet>(1, put_in{}));
  EXPECT_EQ(attempts.size(), 3U) << "a clock that was set back holds nothing back";
  ASSERT_TRUE(e->remove<wallet>(1));
  EXPECT_TRUE(e->ask<wallet>(1, put_in{})) << "it begins anew";
}

} // namespace
} // namespace acta::tests
