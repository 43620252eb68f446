// Aggregates over a log whose beginning was archived.
#include "../support/counter.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/archive.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using runtime::engine;

class archived_engine_test : public ::testing::Test {
protected:
  [[nodiscard]] std::unique_ptr<engine> open(std::uint64_t snapshot_every = 1'000) {
    auto log = storage::open_log(store());
    EXPECT_TRUE(log) << log.error().message();
    if (!log)
      return nullptr;
    auto opened = engine::open<counter>(
      std::move(*log), {.snapshot_every = snapshot_every, .warning = [this](const error& one) {
                          warnings.emplace_back(one.message());
                        }});
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  static void add_ones(engine& to, std::uint64_t key, int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_TRUE(to.ask<counter>(key, add{}));
  }
  [[nodiscard]] static int sum(engine& in, std::uint64_t key) {
    return in.ask<counter>(key, tell_sum{}).error().rejection();
  }
  /// What the aggregates are, by their sums, and that numbering goes on.
  void expect_all_go_on(std::uint64_t round) {
    const auto e = open();
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(sum(*e, kept), 5 + static_cast<int>(round));
    EXPECT_EQ(sum(*e, removed), static_cast<int>(round));
    EXPECT_EQ(sum(*e, saved), 5 + static_cast<int>(round));
    for (const auto key : {kept, removed, saved}) {
      const auto done = e->ask<counter>(key, add{});
      ASSERT_TRUE(done) << done.error().message();
      EXPECT_EQ(done->version, stream_version(6 + round)) << "of counter " << key;
    }
  }

  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  static constexpr std::uint64_t kept = 1; ///< Truncated, with its state in the log.
  static constexpr std::uint64_t removed = 2;
  static constexpr std::uint64_t saved = 3; ///< Has a snapshot.
  std::vector<std::string> warnings;
  scratch_directory directory_;
};

TEST_F(archived_engine_test, aggregates_go_on_from_their_states_also_without_index_and_snapshots) {
  log_position end;
  {
    const auto e = open(1);
    ASSERT_NE(e, nullptr);
    for (const auto key : {kept, removed, saved})
      add_ones(*e, key, 5);
    ASSERT_TRUE(e->truncate<counter>(kept));
    ASSERT_TRUE(e->remove<counter>(removed));
    end = e->log().tail().next();
  }
  const auto done = storage::archive(store(), end, directory_.path() / "archive");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->truncated, 1U) << "the one with a snapshot alone";
  EXPECT_EQ(done->first, end);
  expect_all_go_on(0);
  expect_all_go_on(1);
  fs::remove_all(store() / "index");
  fs::remove_all(store() / "snapshots");
  expect_all_go_on(2);
  EXPECT_EQ(warnings, std::vector<std::string>()) << "of snapshots whose events are archived, too";
}

TEST_F(archived_engine_test, an_aggregate_that_needs_its_events_keeps_them_from_being_archived) {
  {
    const auto e = open();
    ASSERT_NE(e, nullptr);
    add_ones(*e, kept, 5);
  }
  const auto refused = storage::archive(store(), log_position(4), directory_.path() / "archive");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("counter/1"), std::string::npos);
  EXPECT_EQ(sum(*open(), kept), 5);
}

TEST_F(archived_engine_test, a_command_is_recognised_when_its_event_is_archived) { // B46
  const auto id = command_id::of(1, 7);
  runtime::receipt first;
  {
    const auto e = open();
    ASSERT_NE(e, nullptr);
    const auto done = e->ask<counter>(kept, add{}, {.id = id});
    ASSERT_TRUE(done) << done.error().message();
    first = *done;
    ASSERT_TRUE(e->truncate<counter>(kept));
  }
  ASSERT_TRUE(storage::archive(store(), log_position(2), directory_.path() / "archive"));
  const auto e = open();
  const auto again = e->ask<counter>(kept, add{}, {.id = id});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->version, first.version);
  EXPECT_TRUE(again->repeat);
  EXPECT_EQ(again->position, log_position(0)) << "it is not in this log any more";
  EXPECT_EQ(sum(*e, kept), 1);
}

} // namespace
} // namespace acta::tests
