// Aggregates whose streams are truncated or removed: by their engine, or while it is closed.
#include "../support/counter.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using runtime::engine;
using runtime::engine_options;

/// One log under one engine after the other. Snapshots go with each engine, unless they are kept.
class truncation_test : public ::testing::TestWithParam<storage::durability> {
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
    delete_snapshots();
  }

  void delete_snapshots() {
    snapshots.reset();
    ASSERT_TRUE(storage::remove_snapshots(*log));
    auto opened = storage::open_snapshots(*log);
    ASSERT_TRUE(opened) << opened.error().message();
    snapshots = std::move(*opened);
  }

  [[nodiscard]] std::unique_ptr<engine> open(engine_options options = {}) {
    options.snapshots = snapshots;
    auto opened = engine::open<counter>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  /// Of the counter 7.
  void add_ones(std::uint64_t count) {
    const auto e = open();
    for (std::uint64_t i = 0; i < count; ++i)
      ASSERT_TRUE(e->ask<counter>(7, add{}));
  }

  [[nodiscard]] static std::uint16_t sum(engine& in, std::uint64_t key = 7) {
    return in.ask<counter>(key, tell_sum{}).error().rejection();
  }
  /// What there is to read of a counter: the version of its first event, and how many there are.
  using history = std::pair<std::uint64_t, std::size_t>;
  [[nodiscard]] static history read(engine& in, std::uint64_t key = 7) {
    const auto now = in.log().snapshot();
    const auto found = in.read(in.stream<counter>(key), **now);
    EXPECT_TRUE(found) << found.error().message();
    return {found->records.empty() ? 0 : found->records.front().version().value(),
            found->records.size()};
  }

  /// Truncates the counter 7 before a version with a state that its events do not add up to.
  void truncate_with(std::uint64_t before, std::uint64_t version, std::int64_t other_sum,
                     std::uint64_t schema = domain::snapshot_schema_hash<counter>()) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(Createcounter_state(builder, other_sum));
    truncate_with(before, version,
                  std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())), schema);
  }
  void truncate_with(std::uint64_t before, std::uint64_t version, std::span<const std::byte> bytes,
                     std::uint64_t schema = domain::snapshot_schema_hash<counter>()) {
    const std::uint64_t window = limits::default_repeat_window; // and no commands
    const storage::stream_snapshot state{.version = stream_version(version),
                                         .position = {},
                                         .schema_hash = schema,
                                         .metadata = std::as_bytes(std::span(&window, 1)),
                                         .state = bytes};
    const auto writer = storage::stream_writer::open(*log);
    ASSERT_TRUE(writer) << writer.error().message();
    const auto done = (*writer)->truncate(seven, stream_version(before), &state);
    ASSERT_TRUE(done) << done.error().message();
  }
  void expect_refused(errc code, const std::string& part) {
    const auto refused = open()->ask<counter>(7, add{});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), code);
    EXPECT_NE(refused.error().message().find(part), std::string::npos) << refused.error().message();
    EXPECT_NE(refused.error().message().find("counter/7"), std::string::npos);
  }

  const stream_id seven{category_id(1), 7};
  std::shared_ptr<storage::event_log> log;
  std::shared_ptr<storage::snapshot_store> snapshots;
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();

private:
  scratch_directory directory_;
};

// -- loading --------------------------------------------------------------------

TEST_P(truncation_test, leaves_a_state_that_an_aggregate_is_loaded_from) { // I4
  add_ones(5);
  truncate_with(5, 4, 400);
  EXPECT_EQ(sum(*open()), 401);
  const auto e = open({.snapshot_every = 0});
  EXPECT_EQ(sum(*e), 401) << "also where snapshots are off";
  EXPECT_EQ(e->ask<counter>(7, add{})->version, stream_version(6));
}

TEST_P(truncation_test, leaves_snapshots_that_reach_to_be_used) {
  add_ones(5);
  truncate_with(5, 4, 400);
  const auto now = log->snapshot();
  const auto last = (*now)->at(log_position(5));
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Createcounter_state(builder, 900));
  const std::uint64_t window = limits::default_repeat_window;
  const storage::snapshot_to_save one{
    .stream = seven,
    .snapshot = {.version = stream_version(5),
                 .position = log_position(5),
                 .event_checksum = last->header().checksum,
                 .schema_hash = domain::snapshot_schema_hash<counter>(),
                 .metadata = std::as_bytes(std::span(&window, 1)),
                 .state = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))}};
  ASSERT_TRUE(snapshots->save({&one, 1}));
  EXPECT_EQ(sum(*open()), 900);
  delete_snapshots();
  EXPECT_EQ(sum(*open()), 401);
}

TEST_P(truncation_test, with_a_state_of_another_schema_is_refused) {
  add_ones(5);
  truncate_with(6, 5, 400, domain::snapshot_schema_hash<counter>() ^ 2U);
  expect_refused(errc::incompatible_schema, "schema_version");
}

TEST_P(truncation_test, with_a_state_that_is_none_is_refused) {
  add_ones(5);
  const std::string garbage(100, '\xff');
  truncate_with(6, 5, std::as_bytes(std::span(garbage)));
  expect_refused(errc::corrupt, "there is nothing else");
}

TEST_P(truncation_test, with_a_state_that_cannot_be_loaded_is_refused) {
  add_ones(5);
  truncate_with(6, 5, counter::unloadable);
  expect_refused(errc::handler_failed, "told to fail");
}

TEST_P(truncation_test, without_a_state_is_got_over_by_removing_the_aggregate) {
  add_ones(5);
  ASSERT_TRUE((*storage::stream_writer::open(*log))->truncate(seven, stream_version(3)));
  expect_refused(errc::not_found, "its state was not kept");
  const auto e = open();
  EXPECT_EQ(e->truncate<counter>(7).error().code(), errc::not_found);
  const auto removed = e->remove<counter>(7);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_EQ(removed->version, stream_version(5));
  const auto next = e->ask<counter>(7, add{});
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(next->version, stream_version(6));
  EXPECT_EQ(sum(*e), 1);
}

// -- by the engine --------------------------------------------------------------

TEST_P(truncation_test, keeps_the_state_and_hides_the_events) { // E93
  auto e = open();
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(e->ask<counter>(7, add{}));
  const auto done = e->truncate<counter>(7);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->version, stream_version(5));
  EXPECT_EQ(done->position, e->log().tail());
  EXPECT_EQ(done->events, 1U);
  EXPECT_EQ(read(*e), history(0, 0));
  EXPECT_EQ(sum(*e), 5);
  EXPECT_EQ(e->ask<counter>(7, add{})->version, stream_version(6));
  EXPECT_EQ(read(*e), history(6, 1));
  e.reset();
  delete_snapshots();
  e = open();
  EXPECT_EQ(sum(*e), 6);
  EXPECT_EQ(e->ask<counter>(7, add{})->version, stream_version(7));
}

TEST_P(truncation_test, does_nothing_where_there_is_nothing_new) {
  add_ones(2);
  for (int round = 0; round < 2; ++round) {
    const auto e = open();
    if (round == 0) {
      ASSERT_TRUE(e->truncate<counter>(7));
    }
    const auto tail = e->log().tail();
    for (const std::uint64_t key : {7U, 8U}) {
      const auto done = e->truncate<counter>(key);
      ASSERT_TRUE(done) << done.error().message();
      EXPECT_EQ(done->events, 0U);
      EXPECT_EQ(done->version, stream_version(key == 7 ? 2 : 0));
    }
    EXPECT_EQ(e->remove<counter>(8)->events, 0U);
    EXPECT_EQ(e->log().tail(), tail);
  }
}

TEST_P(truncation_test, goes_on_one_after_the_other) {
  auto e = open();
  for (std::uint64_t version = 1; version <= 20; ++version) {
    ASSERT_TRUE(e->ask<counter>(7, add{}));
    ASSERT_EQ(e->truncate<counter>(7)->version, stream_version(version));
    if (version % 5 == 0) {
      e.reset();
      delete_snapshots();
      e = open();
    }
  }
  EXPECT_EQ(sum(*e), 20);
  e.reset();
  const auto found = storage::verify(*log);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->problems, 0U);
  EXPECT_EQ(log->tail(), log_position(40));
}

TEST_P(truncation_test, leaves_repeats_their_first_receipt) { // I8, B46
  auto e = open();
  std::vector<runtime::receipt> first;
  const auto send = [&](std::uint64_t id) {
    return e->ask<counter>(7, add{}, {command_id::of(1, id)});
  };
  for (std::uint64_t id = 1; id <= 3; ++id)
    first.push_back(*send(id));
  ASSERT_TRUE(e->truncate<counter>(7));
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t id = 1; id <= 3; ++id) {
      const auto again = send(id);
      ASSERT_TRUE(again) << again.error().message();
      EXPECT_TRUE(again->repeat);
      EXPECT_EQ(again->version, first[id - 1].version);
      EXPECT_EQ(again->position, first[id - 1].position);
      EXPECT_EQ(again->events, 1U);
    }
    e.reset();
    delete_snapshots();
    e = open();
  }
  EXPECT_EQ(sum(*e), 3);
}

TEST_P(truncation_test, of_all_begins_the_aggregate_anew) { // E88, E91, B46, G148
  auto e = open();
  const auto send = [&](std::uint64_t id) {
    return e->ask<counter>(7, add{.amount = 3}, {command_id::of(1, id)});
  };
  ASSERT_TRUE(send(1));
  const auto removed = e->remove<counter>(7);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_EQ(removed->version, stream_version(1));
  EXPECT_EQ(removed->events, 1U);
  EXPECT_EQ(sum(*e), 0);
  const auto again = send(1);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->repeat) << "what it knew is forgotten";
  EXPECT_EQ(again->version, stream_version(2));
  e.reset();
  e = open();
  EXPECT_EQ(sum(*e), 3);
  EXPECT_TRUE(send(1)->repeat);
  ASSERT_TRUE(e->truncate<counter>(7));
  ASSERT_TRUE(e->remove<counter>(7)) << "also one that was truncated";
  EXPECT_EQ(sum(*e), 0);
  EXPECT_EQ(e->remove<counter>(7)->events, 0U);
}

TEST_P(truncation_test, that_cannot_keep_the_state_leaves_everything_as_it_was) {
  auto e = open();
  for (const auto& [amount, code] :
       {std::pair{counter::large, errc::too_large}, {counter::unsaveable, errc::handler_failed}}) {
    const std::uint64_t key = code == errc::too_large ? 1 : 2;
    ASSERT_TRUE(e->ask<counter>(key, add{.amount = amount}));
    const auto refused = e->truncate<counter>(key);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), code);
    EXPECT_NE(refused.error().message().find("counter/"), std::string::npos)
      << refused.error().message();
    EXPECT_EQ(read(*e, key), history(1, 1));
    EXPECT_EQ(e->ask<counter>(key, add{})->version, stream_version(2));
    EXPECT_EQ(sum(*e, key), amount + 1);
  }
}

TEST_P(truncation_test, is_refused_of_other_aggregates_and_after_the_end) {
  const auto e = open();
  EXPECT_EQ(e->remove<domain::trading::limit_order>(7).error().code(), errc::invalid_argument);
  EXPECT_EQ(e->remove<domain::trading::limit_order>(seven).error().code(), errc::invalid_argument);
  ASSERT_TRUE(e->ask<counter>(7, add{}));
  e->stop();
  EXPECT_EQ(e->truncate<counter>(7).error().code(), errc::engine_stopped);
}

TEST_P(truncation_test, that_is_not_committed_has_not_happened) { // I5
  for (const bool removes : {false, true}) {
    const std::uint64_t key = removes ? 8 : 7;
    {
      const auto e = open();
      ASSERT_TRUE(e->ask<counter>(key, add{}));
      faults_->fail_next_commit();
      const auto failed = removes ? e->remove<counter>(key) : e->truncate<counter>(key);
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().code(), errc::commit_failed);
      EXPECT_EQ(e->truncate<counter>(key).error().code(), errc::commit_failed);
      EXPECT_EQ(e->ask<counter>(key, add{}).error().code(), errc::commit_failed);
    }
    const auto e = open();
    EXPECT_EQ(read(*e, key), history(1, 1));
    EXPECT_EQ(sum(*e, key), 1);
    EXPECT_EQ(e->ask<counter>(key, add{})->version, stream_version(2));
  }
}

/// Commands, removals and truncations in a random order, by two threads, of counters that come and
/// go; engines that end, some with a failed commit; snapshots that are deleted. What is to be is
/// kept beside it, by the outcomes.
TEST_P(truncation_test, changes_nothing_that_commands_can_see) { // I1, I2, I4, I5, G148
  constexpr std::uint64_t keys = 6;
  std::array<std::int64_t, keys> sums{};      // the committer's, but between two engines
  std::array<std::uint64_t, keys> versions{}; // the same
  std::atomic<std::uint64_t> truncations = 0;
  std::mt19937_64 random(3);
  for (int round = 0; round < 12; ++round) {
    auto e = open({.workers = 2, .snapshot_every = round % 3 == 0 ? 0U : 4U});
    if (round % 4 == 3)
      faults_->fail_commit(random() % 60 + 1);
    std::atomic<bool> done = false;
    std::thread truncating([&, draw = std::mt19937_64(random())]() mutable {
      while (!done)
        if (const auto how = e->truncate<counter>(draw() % keys); how)
          truncations += how->events;
        else
          EXPECT_EQ(how.error().code(), errc::commit_failed) << how.error().message();
    });
    for (int i = 0; i < 150; ++i) {
      const auto key = random() % keys;
      const add command{.amount = static_cast<std::int64_t>(random() % 4),
                        .times = static_cast<int>(random() % 3) + 1};
      const auto note = [&, key, command](runtime::outcome&& how) {
        if (!how)
          return;
        sums[key] += command.amount * command.times;
        versions[key] += static_cast<std::uint64_t>(command.times);
        EXPECT_EQ(how->version, stream_version(versions[key]));
      };
      const auto sent = e->tell<counter>(key, command, note);
      EXPECT_TRUE(sent || e->failed()) << sent.error().message();
      if (random() % 20 == 0) {
        if (const auto removed = e->remove<counter>(key); removed)
          sums[key] = 0; // commands that were told before are answered
        else
          EXPECT_EQ(removed.error().code(), errc::commit_failed) << removed.error().message();
      }
      if (random() % 10 == 0 && !e->failed()) {
        const auto seen = e->ask<counter>(key, tell_sum{});
        if (seen.error().code() == errc::rejected) {
          EXPECT_EQ(seen.error().rejection(), sums[key]);
        }
      }
    }
    done = true;
    truncating.join();
    e.reset();
    faults_ = std::make_shared<storage::log_faults>();
    if (random() % 2 == 0)
      delete_snapshots();
    const auto found = storage::verify(*log);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->problems, 0U);
    e = open();
    for (std::uint64_t key = 0; key < keys; ++key)
      ASSERT_EQ(sum(*e, key), sums[key]) << "key " << key << ", round " << round;
  }
  EXPECT_GT(truncations, 20U) << "or this shows little";
}

INSTANTIATE_TEST_SUITE_P(logs, truncation_test,
                         ::testing::Values(storage::durability::power, storage::durability::memory),
                         [](const auto& of) {
                           return of.param == storage::durability::power ? "lmdb" : "memory";
                         });

} // namespace
} // namespace acta::tests
