// What the engine does with snapshots: when it takes them, and how it loads from them.
#include "../support/counter.hpp"
#include "../support/log_doubles.hpp"
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using runtime::engine;
using runtime::engine_options;
using storage::stream_snapshot;

/// One log and its snapshots, under one engine after the other.
class snapshot_test : public ::testing::TestWithParam<storage::durability> {
protected:
  void SetUp() override {
    if (GetParam() == storage::durability::memory) {
      log = storage::make_memory_log();
    } else {
      auto opened = storage::open_log(directory_.path() / "store");
      ASSERT_TRUE(opened) << opened.error().message();
      log = std::move(*opened);
    }
    ASSERT_EQ(log->register_category("counter"), category_id(1));
    auto opened = storage::open_snapshots(*log);
    ASSERT_TRUE(opened) << opened.error().message();
    snapshots = std::move(*opened);
  }

  [[nodiscard]] std::unique_ptr<engine>
  open(engine_options options, const std::shared_ptr<storage::snapshot_store>& used = {}) {
    options.snapshots = used ? used : snapshots;
    options.warning = [this](const error& one) {
      const std::lock_guard guard(mutex_);
      warnings.push_back(one);
    };
    auto opened = engine::open<counter>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<engine> open_every(std::uint64_t events) {
    return open({.snapshot_every = events});
  }

  /// Adds 1 so many times, each with a command; what was taken is saved when it returns.
  void add_ones(std::uint64_t count, std::uint64_t every) {
    auto e = open_every(every);
    for (std::uint64_t i = 0; i < count; ++i)
      ASSERT_TRUE(e->ask<counter>(7, add{}));
  }

  [[nodiscard]] static std::uint16_t sum(engine& in, std::uint64_t key = 7) {
    return in.ask<counter>(key, tell_sum{}).error().rejection();
  }
  /// As an engine loads it from what is there.
  [[nodiscard]] std::uint16_t loaded_sum() { return sum(*open_every(1'000)); }

  /// The versions of a counter's snapshots, newest first.
  [[nodiscard]] std::vector<std::uint64_t> saved(std::uint64_t key = 7) const {
    std::vector<std::uint64_t> versions;
    const auto look = [&](const result<stream_snapshot>& one) {
      versions.push_back(one ? one->version.value() : 0);
      return true;
    };
    EXPECT_TRUE(snapshots->read(stream_id(category_id(1), key), {}, look));
    return versions;
  }

  /// Saves a snapshot of the only counter with a sum that its events do not add up to.
  void plant(std::uint64_t version, std::int64_t other_sum,
             std::uint64_t schema = domain::snapshot_schema_hash<counter>()) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(Createcounter_state(builder, other_sum));
    plant(version, std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())), schema);
  }
  void plant(std::uint64_t version, std::span<const std::byte> state, std::uint64_t schema,
             const std::vector<std::uint64_t>& commands = {limits::default_repeat_window}) {
    const auto now = log->snapshot();
    const auto last = (*now)->at(log_position(version));
    ASSERT_TRUE(last) << last.error().message();
    const storage::snapshot_to_save one{
      .stream = last->stream(),
      .snapshot = {.version = stream_version(version),
                   .position = last->position(),
                   .event_checksum = last->header().checksum,
                   .recorded_at_ns = last->header().recorded_at_ns,
                   .schema_hash = schema,
                   .metadata = std::as_bytes(std::span(commands)),
                   .state = state}};
    const auto planted = snapshots->save(std::span(&one, 1));
    ASSERT_TRUE(planted) << planted.error().message();
  }

  void expect_one_warning(errc code, const std::string& part) const {
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings.front().code(), code);
    EXPECT_NE(warnings.front().message().find(part), std::string::npos)
      << warnings.front().message();
  }

  std::shared_ptr<storage::event_log> log;
  std::shared_ptr<storage::snapshot_store> snapshots;
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
  std::vector<error> warnings;

private:
  scratch_directory directory_;
  std::mutex mutex_;
};

TEST_P(snapshot_test, is_taken_each_time_the_interval_is_reached) { // F109
  add_ones(9, 10);
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{});
  add_ones(1, 10);
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{10});
  add_ones(9, 10);
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{10});
  add_ones(1, 10);
  EXPECT_EQ(saved(), (std::vector<std::uint64_t>{20, 10}));
  add_ones(25, 10);
  EXPECT_EQ(saved(), (std::vector<std::uint64_t>{40, 30}));
  EXPECT_EQ(loaded_sum(), 45);
  EXPECT_TRUE(warnings.empty());
}

TEST_P(snapshot_test, is_of_the_state_after_the_command_that_reached_the_interval) { // F109, E97
  {
    auto e = open_every(10);
    ASSERT_TRUE(e->ask<counter>(7, add{.amount = 2, .times = 11}));
    for (int i = 0; i < 9; ++i)
      ASSERT_TRUE(e->ask<counter>(7, add{}));
  }
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{11});
  EXPECT_EQ(loaded_sum(), 31);
  add_ones(1, 10);
  EXPECT_EQ(saved(), (std::vector<std::uint64_t>{21, 11}));
}

TEST_P(snapshot_test, is_never_taken_if_they_are_off) { // F109
  add_ones(30, 0);
  EXPECT_TRUE(saved().empty());
}

TEST_P(snapshot_test, is_what_the_state_comes_from_where_it_is_of_the_newest_event) { // F110
  add_ones(5, 1'000);
  plant(5, 500);
  EXPECT_EQ(loaded_sum(), 500);
  EXPECT_TRUE(warnings.empty());
}

TEST_P(snapshot_test, is_followed_by_the_events_after_it) { // F110
  add_ones(5, 1'000);
  plant(2, 500);
  auto e = open_every(1'000);
  EXPECT_EQ(sum(*e), 503);
  const auto next = e->ask<counter>(7, add{});
  ASSERT_TRUE(next);
  EXPECT_EQ(next->version, stream_version(6));
  EXPECT_EQ(sum(*e), 504);
}

TEST_P(snapshot_test, is_not_needed) { // F110
  add_ones(5, 1'000);
  EXPECT_TRUE(saved().empty());
  EXPECT_EQ(loaded_sum(), 5);
}

TEST_P(snapshot_test, of_another_schema_is_ignored) { // F111
  add_ones(5, 1'000);
  plant(4, 500, domain::snapshot_schema_hash<counter>() ^ 2U);
  EXPECT_EQ(loaded_sum(), 5);
  EXPECT_TRUE(warnings.empty()) << "every new version of a program has them";
}

TEST_P(snapshot_test, that_is_no_flatbuffer_of_the_aggregate_is_passed_over) { // F111
  add_ones(5, 1'000);
  plant(2, 500);
  const std::string garbage(100, '\xff');
  plant(4, std::as_bytes(std::span(garbage)), domain::snapshot_schema_hash<counter>());
  EXPECT_EQ(loaded_sum(), 503) << "the one before it";
  expect_one_warning(errc::corrupt, "counter/7 at version 4");
}

TEST_P(snapshot_test, that_cannot_be_loaded_is_passed_over) { // F111
  add_ones(5, 1'000);
  plant(4, counter::unloadable);
  EXPECT_EQ(loaded_sum(), 5);
  expect_one_warning(errc::handler_failed, "told to fail");
}

TEST_P(snapshot_test, with_command_ids_that_make_no_sense_is_passed_over) {
  add_ones(5, 1'000);
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Createcounter_state(builder, 500));
  const auto state = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  const auto schema = domain::snapshot_schema_hash<counter>();
  constexpr std::uint64_t one_event = std::uint64_t{1} << 48U;
  const std::vector<std::vector<std::uint64_t>> senseless{
    {},                        // no window
    {16, 1},                   // a part of a command
    {0, 1, 1, one_event | 4},  // more than the window
    {16, 1, 1, one_event | 5}, // of a later version
    {16, 1, 1, one_event},     // of none
    {16, 1, 1, 4},             // without events
  };
  for (const auto& commands : senseless) {
    warnings.clear();
    plant(4, state, schema, commands);
    EXPECT_EQ(loaded_sum(), 5);
    expect_one_warning(errc::corrupt, "counter/7 at version 4");
  }
  plant(4, state, schema, {16, 1, 1, one_event | 4});
  EXPECT_EQ(loaded_sum(), 501);
}

TEST_P(snapshot_test, is_ignored_if_they_are_off) { // F112
  add_ones(5, 1'000);
  plant(5, 500);
  EXPECT_EQ(sum(*open_every(0)), 5);
}

/// Saves nothing.
class failing_snapshots final : public storage::snapshot_store {
public:
  result<void> save(std::span<const storage::snapshot_to_save>) override {
    return failure(errc::no_space, "failing_snapshots: told to fail");
  }
  result<void> read(const stream_id&, const storage::snapshot_criteria&,
                    const reader&) const override {
    return failure(errc::io, "failing_snapshots: told to fail");
  }
  result<std::size_t> remove(const stream_id&, const storage::snapshot_criteria&) override {
    return 0;
  }
};

TEST_P(snapshot_test, that_cannot_be_saved_fails_no_command) { // F114
  {
    auto e = open({.snapshot_every = 1}, std::make_shared<failing_snapshots>());
    for (std::uint64_t version = 1; version <= 20; ++version)
      EXPECT_EQ(e->ask<counter>(7, add{})->version, stream_version(version));
  }
  ASSERT_FALSE(warnings.empty());
  EXPECT_EQ(warnings.front().code(), errc::no_space);
  EXPECT_NE(warnings.front().message().find("not saved"), std::string::npos);
}

TEST_P(snapshot_test, that_cannot_be_read_fails_no_command) {
  add_ones(5, 0);
  EXPECT_EQ(sum(*open({.snapshot_every = 1}, std::make_shared<failing_snapshots>())), 5);
  expect_one_warning(errc::io, "told to fail");
}

TEST_P(snapshot_test, whose_saving_throws_fails_no_command) { // F114
  {
    auto e = open_every(1);
    ASSERT_TRUE(e->ask<counter>(7, add{.amount = counter::unsaveable}));
    EXPECT_EQ(sum(*e), counter::unsaveable);
    expect_one_warning(errc::handler_failed, "told to fail");
    ASSERT_TRUE(e->ask<counter>(7, add{}));
  }
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{2});
}

TEST_P(snapshot_test, over_the_size_limit_fails_no_command) { // F114
  {
    auto e = open_every(1);
    ASSERT_TRUE(e->ask<counter>(7, add{.amount = counter::too_large}));
    ASSERT_TRUE(e->ask<counter>(8, add{}));
  }
  expect_one_warning(errc::too_large, "counter/7");
  EXPECT_TRUE(saved(7).empty());
  EXPECT_EQ(saved(8), std::vector<std::uint64_t>{1});
}

/// Saves nothing until it is told to go on.
class slow_snapshots final : public storage::snapshot_store {
public:
  slow_snapshots(std::shared_ptr<storage::snapshot_store> to, std::shared_ptr<gate> at)
      : to_(std::move(to)), gate_(std::move(at)) {}
  result<void> save(std::span<const storage::snapshot_to_save> all) override {
    gate_->pass();
    return to_->save(all);
  }
  result<void> read(const stream_id& stream, const storage::snapshot_criteria& criteria,
                    const reader& look) const override {
    return to_->read(stream, criteria, look);
  }
  result<std::size_t> remove(const stream_id& stream,
                             const storage::snapshot_criteria& criteria) override {
    return to_->remove(stream, criteria);
  }

private:
  std::shared_ptr<storage::snapshot_store> to_;
  std::shared_ptr<gate> gate_;
};

TEST_P(snapshot_test, is_put_off_while_as_many_wait_as_may) {
  const auto held = std::make_shared<gate>();
  {
    auto e = open({.snapshot_every = 1}, std::make_shared<slow_snapshots>(snapshots, held));
    held->close();
    ASSERT_TRUE(e->ask<counter>(1, add{.amount = counter::large}));
    held->wait_for_arrival();
    ASSERT_TRUE(e->ask<counter>(2, add{.amount = counter::large}));
    ASSERT_TRUE(e->ask<counter>(3, add{}));
    held->open();
  }
  EXPECT_EQ(saved(1), std::vector<std::uint64_t>{1});
  EXPECT_EQ(saved(2), std::vector<std::uint64_t>{1});
  EXPECT_EQ(saved(3), std::vector<std::uint64_t>{});
  EXPECT_TRUE(warnings.empty());
  ASSERT_TRUE(open_every(2)->ask<counter>(3, add{}));
  EXPECT_EQ(saved(3), std::vector<std::uint64_t>{2});
}

// F116, where Acta chooses otherwise: snapshots are derived (I4), and one without its events is of
// a log that was lost.
TEST_P(snapshot_test, without_its_events_is_not_used) {
  add_ones(5, 1'000);
  const auto now = log->snapshot();
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Createcounter_state(builder, 500));
  const std::uint64_t window = limits::default_repeat_window;
  const storage::snapshot_to_save beyond{
    .stream = stream_id(category_id(1), 7),
    .snapshot = {.version = stream_version(9),
                 .position = log_position(9),
                 .schema_hash = domain::snapshot_schema_hash<counter>(),
                 .metadata = std::as_bytes(std::span(&window, 1)),
                 .state = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))}};
  ASSERT_TRUE(snapshots->save(std::span(&beyond, 1)));
  EXPECT_EQ(loaded_sum(), 5);
  expect_one_warning(errc::corrupt, "the log ends at 5");
  add_ones(1, 6);
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{6}) << "the next one takes its place";
}

TEST_P(snapshot_test, of_a_log_that_went_another_way_is_not_used) {
  add_ones(5, 5);
  log = storage::make_memory_log();
  add_ones(6, 1'000); // the same events, recorded at another time
  EXPECT_EQ(loaded_sum(), 6);
  ASSERT_EQ(warnings.size(), 1U) << "the first of the engines found nothing to load";
  EXPECT_NE(warnings[0].message().find("another log"), std::string::npos) << warnings[0].message();
}

TEST_P(snapshot_test, is_not_saved_if_the_commit_of_its_events_fails) { // I5
  {
    auto e = open_every(1);
    ASSERT_TRUE(e->ask<counter>(7, add{}));
    faults_->fail_next_commit();
    EXPECT_EQ(e->ask<counter>(7, add{}).error().code(), errc::commit_failed);
    EXPECT_EQ(e->ask<counter>(7, add{}).error().code(), errc::commit_failed);
  }
  EXPECT_EQ(saved(), std::vector<std::uint64_t>{1});
  EXPECT_EQ(loaded_sum(), 1);
  EXPECT_TRUE(warnings.empty());
}

/// Commands of random ids, many of them sent before, against a list of the newest that stored
/// events, with engines that find snapshots again and again.
TEST_P(snapshot_test, knows_the_commands_whose_repeats_are_to_be_recognised) { // I8
  std::mt19937_64 random(1);
  std::uint64_t key = 0;
  for (const std::size_t window : {0U, 1U, 4U, 5U, 16U, 40U}) {
    ++key;
    std::vector<std::pair<std::uint64_t, runtime::receipt>> newest; // oldest first
    for (int round = 0; round < 12; ++round) {
      auto e = open({.repeat_window = window, .snapshot_every = 7});
      for (int i = 0; i < 25; ++i) {
        const auto id = random() % (2 * window + 3);
        const auto known =
          std::ranges::find(newest, id, &std::pair<std::uint64_t, runtime::receipt>::first);
        const auto got =
          e->ask<counter>(key, add{.times = 1 + i % 3}, {command_id::of(key, id + 1)});
        ASSERT_TRUE(got);
        ASSERT_EQ(got->repeat, known != newest.end()) << "window " << window << ", " << i;
        if (got->repeat) {
          EXPECT_EQ(got->position, known->second.position);
          EXPECT_EQ(got->version, known->second.version);
          EXPECT_EQ(got->events, known->second.events);
          continue;
        }
        newest.emplace_back(id, *got);
        if (newest.size() > window)
          newest.erase(newest.begin());
      }
    }
    EXPECT_EQ(saved(key).size(), limits::default_snapshots_kept);
  }
  EXPECT_TRUE(warnings.empty());
}

TEST_P(snapshot_test, with_fewer_command_ids_than_are_to_be_known_is_not_used) { // I8
  const auto send = [&](engine& to, std::uint64_t id) {
    return to.ask<counter>(7, add{}, {command_id::of(1, id)});
  };
  {
    auto e = open({.repeat_window = 2, .snapshot_every = 4});
    for (std::uint64_t id = 1; id <= 4; ++id)
      ASSERT_TRUE(send(*e, id));
  }
  ASSERT_EQ(saved(), std::vector<std::uint64_t>{4});
  auto e = open({.repeat_window = 3, .snapshot_every = 4});
  const auto repeat = send(*e, 2);
  ASSERT_TRUE(repeat);
  EXPECT_TRUE(repeat->repeat) << "its id is in the events alone";
  EXPECT_EQ(repeat->version, stream_version(2));
  e.reset();
  e = open({.repeat_window = 1, .snapshot_every = 4});
  EXPECT_TRUE(send(*e, 4)->repeat);
  EXPECT_FALSE(send(*e, 3)->repeat) << "the window is 1 now";
}

TEST_P(snapshot_test, is_what_is_left_of_a_stream_that_was_truncated) {
  add_ones(5, 1'000);
  plant(2, 300);
  plant(4, 500);
  const auto truncate = [&](std::uint64_t before) {
    ASSERT_TRUE((*storage::stream_writer::open(*log))
                  ->truncate(stream_id(category_id(1), 7), stream_version(before)));
  };
  truncate(5);
  EXPECT_EQ(loaded_sum(), 501);
  EXPECT_EQ(sum(*open({.repeat_window = 1'000, .snapshot_every = 1'000})), 501)
    << "though it may know too few commands: there is nothing else";
  ASSERT_EQ(snapshots->remove(stream_id(category_id(1), 7), {.min_version = stream_version(4)}),
            1U);
  auto e = open_every(1'000);
  const auto lost = e->ask<counter>(7, add{});
  ASSERT_FALSE(lost) << "between the snapshot at 2 and event 5 there is a gap";
  EXPECT_EQ(lost.error().code(), errc::not_found);
}

TEST_P(snapshot_test, of_a_stream_that_was_removed_is_not_used) {
  add_ones(5, 5);
  ASSERT_EQ(saved(), std::vector<std::uint64_t>{5});
  ASSERT_TRUE((*storage::stream_writer::open(*log))->remove(stream_id(category_id(1), 7)));
  auto e = open_every(5);
  EXPECT_EQ(sum(*e), 0);
  const auto next = e->ask<counter>(7, add{.amount = 3});
  ASSERT_TRUE(next);
  EXPECT_EQ(next->version, stream_version(6)) << "the numbering goes on";
  EXPECT_EQ(sum(*e), 3);
  e.reset();
  EXPECT_EQ(loaded_sum(), 3);
  add_ones(4, 5);
  EXPECT_EQ(saved(), (std::vector<std::uint64_t>{10, 5}));
  EXPECT_EQ(loaded_sum(), 7);
  EXPECT_TRUE(warnings.empty());
}

TEST_P(snapshot_test, is_as_good_as_the_events_while_counters_come_and_go) {
  constexpr std::uint64_t keys = 10;
  constexpr std::uint64_t commands = 5'000;
  std::vector<std::uint16_t> sums(keys);
  std::mt19937_64 random(2);
  for (int round = 0; round < 2; ++round) {
    std::atomic<std::uint64_t> accepted = 0;
    auto e = open({.workers = 2, .max_in_flight = 1U << 20U, .snapshot_every = 3});
    for (std::uint64_t i = 0; i < commands; ++i) {
      const auto key = random() % keys;
      const auto amount = static_cast<std::uint16_t>(random() % 4);
      sums[key] = static_cast<std::uint16_t>(sums[key] + amount);
      ASSERT_TRUE(e->tell<counter>(key, add{.amount = amount},
                                   [&](runtime::outcome&& how) { accepted += how ? 1U : 0U; }));
      if (i % 100 == 0) {
        ASSERT_EQ(sum(*e, key), sums[key]);
      }
    }
    e->stop();
    EXPECT_EQ(accepted, commands);
  }
  auto e = open_every(3);
  for (std::uint64_t key = 0; key < keys; ++key)
    EXPECT_EQ(sum(*e, key), sums[key]);
  EXPECT_TRUE(warnings.empty());
}

INSTANTIATE_TEST_SUITE_P(logs, snapshot_test,
                         ::testing::Values(storage::durability::power, storage::durability::memory),
                         [](const auto& of) {
                           return of.param == storage::durability::power ? "lmdb" : "memory";
                         });

} // namespace
} // namespace acta::tests
