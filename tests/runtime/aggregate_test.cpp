// What the suites of other actors hold an aggregate to: what it stores, what it comes back with,
// how often it decides, and who may write it.
#include "../support/atomic_fixture.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/base/limits.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace acta::tests {
namespace {

using runtime::acknowledgement;
using runtime::engine;

using numbers = std::vector<std::int64_t>;

/// Remembers all numbers in the order they came.
struct sequence {
  static constexpr std::string_view category = "sequence";
  struct put {
    numbers all;
  };
  struct tell {
    using reply = numbers;
  };
  using state = numbers;
  using command = std::variant<put, tell>;
  using events = domain::event_list<added>;
  using out = domain::emitter<sequence>;

  static domain::decision decide(const state&, const put& c, out& events) {
    for (const auto one : c.all)
      events.emit<added>([&](auto& b) { return Createadded(b, one); });
    return domain::accept();
  }
  static domain::decision_for<tell> decide(const state& now, const tell&, out&) { return now; }
  static void evolve(state& now, const added& e) { now.push_back(e.amount()); }
};

class sequence_test : public atomic_fixture {
protected:
  void SetUp() override { reopen(); }
  void reopen() {
    engine_.reset();
    engine_ = *engine::open<sequence>(std::make_unique<storage::forwarding_log>(log));
  }
  runtime::outcome put(numbers all) {
    return engine_->ask<sequence>(1, sequence::put{std::move(all)});
  }
  numbers told() { return *engine_->ask<sequence>(1, sequence::tell{})->reply; }

  std::unique_ptr<engine> engine_;
};

TEST_F(sequence_test, is_stored_in_the_order_it_was_emitted_and_comes_back_in_it) { // G118
  EXPECT_EQ(put({3, 1, 2})->version, stream_version(3));
  EXPECT_EQ(put({})->version, stream_version(3)) << "nothing is stored of nothing";
  EXPECT_EQ(log->tail(), log_position(3));
  EXPECT_EQ(put({1})->version, stream_version(4));
  const auto before = told();
  EXPECT_EQ(before, (numbers{3, 1, 2, 1}));
  reopen();
  EXPECT_EQ(told(), before);
}

TEST_F(sequence_test, comes_back_whole_however_many_events_it_has) { // G120
  numbers all(201);
  std::iota(all.begin(), all.end(), 1);
  ASSERT_TRUE(put({all.begin(), all.begin() + 100}));
  reopen();
  ASSERT_TRUE(put({all.begin() + 100, all.begin() + 200}));
  reopen();
  EXPECT_EQ(put({201})->version, stream_version(201));
  reopen();
  EXPECT_EQ(told(), all);
}

class aggregate_test : public atomic_fixture {};

TEST_F(aggregate_test, decides_once_whatever_comes_of_it) { // G122, G124
  const auto e = open();
  const auto expect = [&](errc code, const wallet::command& command) {
    const auto before = wallet::decisions.load();
    const auto failed = e->ask<wallet>(1, command);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), code) << failed.error().message();
    EXPECT_EQ(wallet::decisions, before + 1);
  };
  expect(errc::rejected, take_out{1});
  expect(errc::handler_failed, put_in{wallet::unspeakable});
  faults_->fail_next_commit();
  expect(errc::commit_failed, put_in{1});
  EXPECT_EQ(log->tail(), log_position(0));
}

TEST_F(aggregate_test, lets_nothing_be_withdrawn_twice) { // G145
  const auto e = open();
  EXPECT_EQ(e->ask<wallet>(1, put_in{100})->reply, 100);
  ASSERT_TRUE(e->ask<wallet>(1, take_out{70}));
  EXPECT_EQ(e->ask<wallet>(1, take_out{70}).error().rejection(),
            static_cast<std::uint16_t>(wallet::refusal::empty));
  EXPECT_EQ(e->ask<wallet>(1, put_in{0})->reply, 30);
  const auto now = e->log().snapshot();
  const auto stored = e->read(e->stream<wallet>(1), **now);
  ASSERT_TRUE(stored);
  numbers moved;
  for (const auto& record : stored->records)
    moved.push_back(flatbuffers::GetRoot<added>(record.payload().data())->amount());
  EXPECT_EQ(moved, (numbers{100, -70, 0}));
}

TEST_F(aggregate_test, counts_each_of_fifty_increments_by_many_callers) { // G147
  constexpr std::uint64_t callers = 5;
  constexpr std::uint64_t keys = 7;
  const auto e = open({.workers = 2});
  std::vector<std::jthread> threads;
  for (std::uint64_t caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, random = std::mt19937_64(caller)]() mutable {
      for (int i = 0; i < 10; ++i) {
        const auto answered = i % 2 == 0 ? acknowledgement::accepted : acknowledgement::committed;
        EXPECT_TRUE(e->ask<wallet>(random() % keys, put_in{1}, {.answered = answered}));
      }
    });
  threads.clear();
  std::int64_t tentative = 0;
  for (std::uint64_t key = 0; key < keys; ++key)
    tentative += *e->ask<wallet>(key, put_in{0})->reply;
  EXPECT_EQ(tentative, 50);
  std::int64_t confirmed = 0;
  const auto now = log->snapshot();
  for (log_position p(1); p <= (*now)->tail(); p = p.next())
    confirmed += flatbuffers::GetRoot<added>((*now)->at(p)->payload().data())->amount();
  EXPECT_EQ(confirmed, 50);
}

TEST_F(aggregate_test, is_read_back_by_who_wrote_it_while_hundreds_are_made) { // G149
  const auto e = open({.workers = 2});
  std::vector<std::jthread> threads;
  for (std::uint64_t caller = 0; caller < 3; ++caller)
    threads.emplace_back([&, caller] {
      for (std::uint64_t key = caller * 100; key < (caller + 1) * 100; ++key) {
        const auto early = acknowledgement::accepted;
        if (key % 2 == 0)
          ASSERT_EQ(e->ask<wallet>(key, put_in{7})->version, stream_version(1));
        else
          ASSERT_EQ(e->ask<wallet>(key, put_in{7}, {.answered = early})->version,
                    stream_version(1));
        // What was accepted is confirmed when a later command of the aggregate is.
        ASSERT_EQ(e->ask<wallet>(key, tell_time{})->version, stream_version(1));
        const auto now = e->log().snapshot();
        const auto stored = e->read(e->stream<wallet>(key), **now);
        ASSERT_TRUE(stored) << stored.error().message();
        ASSERT_EQ(stored->records.size(), 1U);
        ASSERT_EQ(stored->records.front().version(), stream_version(1));
      }
    });
}

TEST_F(aggregate_test, is_not_loaded_while_the_log_cannot_be_read_and_then_is) { // G128
  manual_clock now{1'000};
  ASSERT_TRUE(open()->ask<wallet>(1, put_in{70}));
  const auto e = open({.clock = &now});
  faults_->fail_reads({errc::io, "the cable is out"});
  const auto failed = e->ask<wallet>(1, put_in{1});
  EXPECT_EQ(failed.error().code(), errc::io);
  EXPECT_NE(failed.error().message().find("the cable is out"), std::string::npos);
  EXPECT_EQ(e->ask<wallet>(2, put_in{5})->reply, 5) << "one that is new need not be read";
  faults_->heal_reads();
  EXPECT_FALSE(e->ask<wallet>(1, put_in{1})) << "it is not tried again at once";
  now.advance_ns(std::chrono::nanoseconds(limits::first_recovery_backoff).count());
  EXPECT_EQ(e->ask<wallet>(1, put_in{1})->reply, 71);
}

TEST_F(aggregate_test, is_remembered_as_not_to_be_loaded_with_so_many_others_at_most) {
  constexpr std::uint64_t keys = limits::max_held_back + 1;
  manual_clock now{1'000};
  {
    const auto e = open();
    for (std::uint64_t key = 0; key < keys; ++key)
      ASSERT_TRUE(e->tell<wallet>(key, put_in{}, [](auto&&) {}));
    e->stop();
  }
  const auto e = open({.deterministic_seed = 1, .clock = &now});
  faults_->fail_reads();
  const auto ask_all = [&] {
    const auto before = e->counters().recovery_failures;
    for (std::uint64_t key = 0; key < keys; ++key)
      EXPECT_EQ(e->ask<wallet>(key, put_in{}).error().code(), errc::io);
    return e->counters().recovery_failures - before;
  };
  EXPECT_EQ(ask_all(), keys);
  const auto again = ask_all();
  EXPECT_GE(again, 1U) << "the one over the limit is tried again";
  EXPECT_LT(again, keys / 10) << "and the others are held back";
  faults_->heal_reads();
  now.advance_ns(std::chrono::nanoseconds(limits::max_recovery_backoff).count());
  for (std::uint64_t key = 0; key < keys; ++key)
    EXPECT_TRUE(e->ask<wallet>(key, put_in{}));
}

/// A store on disk, whose log an engine has.
class outside_test : public testing::Test {
protected:
  std::unique_ptr<engine> open() {
    auto log = storage::open_log(directory_.path() / "store");
    EXPECT_TRUE(log) << log.error().message();
    return std::move(*engine::open<wallet>(std::move(*log)));
  }
  /// Appends past any engine.
  void append(std::int64_t amount) {
    auto log = storage::open_log(directory_.path() / "store");
    ASSERT_TRUE(log) << log.error().message();
    const auto writer = storage::stream_writer::open(**log);
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(Createadded(builder, amount));
    const storage::new_event event{
      .type = *(*log)->register_event_type(added::GetFullyQualifiedName()),
      .payload = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))};
    const stream_id stream(*(*log)->register_category(wallet::category), 1);
    const storage::stream_append step{stream, expected_version::any(), {&event, 1}};
    const auto done = (*writer)->append({&step, 1});
    ASSERT_TRUE(done) << done.error().message();
  }

  scratch_directory directory_;
};

TEST_F(outside_test, cannot_append_while_an_engine_has_the_log) { // G125
  auto e = open();
  ASSERT_TRUE(e->ask<wallet>(1, put_in{70}));
  const auto second = storage::open_log(directory_.path() / "store");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), errc::store_in_use) << second.error().message();
  e.reset();
  append(5);
  e = open();
  const auto after = e->ask<wallet>(1, put_in{1});
  ASSERT_TRUE(after) << after.error().message();
  EXPECT_EQ(after->reply, 76) << "what came between two engines is the next one's";
  EXPECT_EQ(after->version, stream_version(3));
}

} // namespace
} // namespace acta::tests
