// The index on disk may be synced before the log is: what a power loss takes from the log must not
// stay in the index.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"

#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;

/// A batch of them takes two transactions, as one has 16,384 streams.
constexpr std::uint64_t streams = 17'500;
constexpr std::size_t memory = 816'000; ///< So that a batch is of 17,000 events.

/// Syncs nothing by itself.
[[nodiscard]] std::unique_ptr<storage::event_log> open(const std::filesystem::path& disk) {
  auto log = storage::open_log(disk / "store",
                               {.durability = storage::durability::process, .sync_every = 1h});
  EXPECT_TRUE(log) << log.error().message();
  return log ? std::move(*log) : nullptr;
}

/// One event of each stream.
void append(storage::event_log& log, bool backward) {
  std::vector<finished_record> records;
  std::vector<std::span<const std::byte>> spans;
  for (std::uint64_t i = 0; i < streams; ++i)
    records.emplace_back(stream_id(category_id(1), backward ? streams - i : i + 1), 1, "event");
  for (const auto& record : records)
    spans.push_back(record.bytes());
  ASSERT_TRUE(log.append(spans, 1'000));
}

/// A store whose index stops within a batch, at the n-th write, and is closed, while the log has
/// synced nothing. Empty if no write failed.
[[nodiscard]] journal record(std::uint64_t n) {
  const scratch_directory disk(fast_directory());
  boot();
  disk_recorder recorder(disk.path());
  const auto log = open(disk.path());
  EXPECT_TRUE(storage::stream_index::open(*log));
  append(*log, false);
  recorder.fail(disk_fault::io, n);
  const bool opens = storage::stream_index::open(*log, {.memory = memory}).has_value();
  EXPECT_TRUE(recorder.heal());
  return opens ? journal() : recorder.operations();
}

void expect_one_event_each(const storage::event_log& log, const storage::stream_index& index) {
  const auto now = log.snapshot();
  for (std::uint64_t key = 1; key <= streams; ++key) {
    const auto read = index.read(stream_id(category_id(1), key), **now);
    ASSERT_TRUE(read) << read.error().message();
    ASSERT_EQ(read->size(), 1U) << "stream " << key;
    ASSERT_EQ(read->front().position().value(), streams - key + 1);
  }
}

TEST(index_power_loss, takes_back_a_part_of_a_batch_whose_events_are_lost) {
  std::size_t failed = 0;
  for (std::uint64_t n = 8; n < 16; ++n) { // around the end of the first transaction
    SCOPED_TRACE("write or sync " + std::to_string(n));
    const auto operations = record(n);
    if (operations.empty())
      continue;
    ++failed;
    const scratch_directory disk(fast_directory());
    make_image(operations, {.at = operations.size(), .seed = 3}, disk.path());
    boot();
    const auto log = open(disk.path());
    ASSERT_TRUE(log);
    ASSERT_EQ(log->tail(), log_position(0)) << "nothing was synced";
    auto index = storage::stream_index::open(*log, {.memory = memory});
    ASSERT_TRUE(index) << index.error().message();
    append(*log, true);
    const auto caught_up = (*index)->catch_up();
    ASSERT_TRUE(caught_up) << caught_up.error().message();
    expect_one_event_each(*log, **index);
    index->reset();
    index = storage::stream_index::open(*log, {.memory = memory});
    ASSERT_TRUE(index) << index.error().message();
    expect_one_event_each(*log, **index);
  }
  EXPECT_GT(failed, 4U);
}

} // namespace
} // namespace acta::tests
