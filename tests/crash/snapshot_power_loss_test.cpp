// The power goes while an engine saves snapshots: what is left of them is whole and of the log's
// events, and aggregates are what their events say.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"

#include "../support/counter.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/verify.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::engine;
using storage::durability;

constexpr std::uint64_t counters = 3;

[[nodiscard]] result<std::unique_ptr<storage::event_log>>
open_log(const std::filesystem::path& disk, durability level) {
  return storage::open_log(disk / "store", {.durability = level, .sync_every = 1ms});
}

[[nodiscard]] result<std::unique_ptr<engine>> open(const std::filesystem::path& disk,
                                                   durability level) {
  auto log = open_log(disk, level);
  if (!log)
    return failure(log);
  return engine::open<counter>(std::move(*log), {.workers = 1, .snapshot_every = 3});
}

/// Counts, with snapshots now and then, in three openings.
[[nodiscard]] journal record(durability level) {
  const scratch_directory disk(fast_directory());
  boot();
  disk_recorder recorder(disk.path());
  const std::uint64_t count = long_tests ? 200 : 40;
  for (std::uint64_t number = 0; number < 3 * count;) {
    const auto opened = open(disk.path(), level);
    EXPECT_TRUE(opened) << opened.error().message();
    for (std::uint64_t i = 0; opened && i < count; ++i, ++number)
      EXPECT_TRUE((*opened)->ask<counter>(number % counters, add{.amount = 1, .times = 2}));
  }
  return recorder.operations();
}

/// True if LMDB's first transaction has not been committed in a file.
[[nodiscard]] bool is_being_made(const std::filesystem::path& data) {
  constexpr std::streamoff page_size = 4'096;
  constexpr std::streamoff transaction_at = 144; // in a meta page
  std::ifstream in(data, std::ios::binary);
  std::uint64_t newest = 0;
  for (std::streamoff page = 0; page < 2; ++page) {
    std::uint64_t transaction = 0;
    in.seekg(page * page_size + transaction_at);
    in.read(reinterpret_cast<char*>(&transaction), sizeof transaction);
    if (!in)
      return true;
    newest = std::max(newest, transaction);
  }
  return newest == 0;
}

/// The snapshots that can be used; empty, with what is wrong, if one is neither that nor of events
/// that the power has taken.
[[nodiscard]] std::string check_snapshots(const storage::event_log& log, std::size_t& usable) {
  const bool is_new = is_being_made(log.directory() / "snapshots" / "data.mdb");
  const auto snapshots = storage::open_snapshots(log);
  if (!snapshots && snapshots.error().code() == errc::corrupt && is_new)
    return {}; // the engine makes it anew
  if (!snapshots)
    return "snapshots do not open: " + snapshots.error().message();
  const auto now = log.snapshot();
  if (!now)
    return now.error().message();
  std::string wrong;
  for (std::uint64_t key = 0; key < counters; ++key) {
    const stream_id stream(category_id(1), key);
    const auto read = (*snapshots)->read(stream, {}, [&](const auto& one) {
      if (!one)
        wrong = one.error().message();
      else if (one->position > (*now)->tail()) // never of an event that is on the disk
        wrong = log.durability() == durability::power ? "a snapshot of a lost event" : "";
      else if (const auto fits = storage::verify(*one, stream, **now); !fits)
        wrong = fits.error().message();
      else
        ++usable;
      return wrong.empty();
    });
    if (!read)
      return read.error().message();
  }
  return wrong;
}

/// What the log's events add up to.
[[nodiscard]] result<std::map<std::uint64_t, std::uint16_t>>
sums_in(const storage::event_log& log) {
  std::map<std::uint64_t, std::uint16_t> sums;
  const auto now = log.snapshot();
  if (!now)
    return std::unexpected(now.error());
  for (std::uint64_t position = 1; position <= (*now)->tail().value(); ++position) {
    const auto record = (*now)->at(log_position(position));
    if (!record)
      return std::unexpected(record.error());
    ++sums[record->integer_key()]; // each event adds 1
  }
  return sums;
}

[[nodiscard]] std::string check(const std::filesystem::path& disk, durability level,
                                std::size_t& usable) {
  boot();
  std::map<std::uint64_t, std::uint16_t> sums;
  {
    const auto log = open_log(disk, level);
    if (!log)
      return "it does not open: " + log.error().message();
    if (auto wrong = check_snapshots(**log, usable); !wrong.empty())
      return wrong;
    const auto counted = sums_in(**log);
    if (!counted)
      return counted.error().message();
    sums = *counted;
  }
  const auto opened = open(disk, level);
  if (!opened)
    return "the engine does not open: " + opened.error().message();
  for (const auto& [key, sum] : sums) {
    const auto told = (*opened)->ask<counter>(key, tell_sum{});
    if (told || told.error().code() != errc::rejected || told.error().rejection() != sum)
      return fmt::format("counter {} is not {}", key, sum);
    if (!(*opened)->ask<counter>(key, add{}))
      return "it does not go on";
  }
  return {};
}

class snapshot_power_loss_test : public testing::TestWithParam<durability> {};

TEST_P(snapshot_power_loss_test, leaves_snapshots_that_are_whole_and_of_the_events_or_none) {
  std::mt19937_64 random(choose_seed());
  const auto operations = record(GetParam());
  ASSERT_FALSE(HasFailure());
  auto cuts = cuts_of(operations, 0, random);
  std::ranges::shuffle(cuts, random);
  cuts.resize(std::min<std::size_t>(cuts.size(), long_tests ? 1'000 : 80));
  std::size_t usable = 0;
  for (const auto at : cuts) {
    const scratch_directory disk(fast_directory());
    const power_cut cut{.at = at, .seed = random()};
    make_image(operations, cut, disk.path());
    ASSERT_EQ(check(disk.path(), GetParam(), usable), "")
      << "cut at operation " << at << " of " << operations.size() << ", seed of the cut "
      << cut.seed;
  }
  EXPECT_GT(usable, cuts.size() / 4) << "there were snapshots to look at";
}

INSTANTIATE_TEST_SUITE_P(levels, snapshot_power_loss_test,
                         testing::Values(durability::power, durability::process),
                         [](const auto& of) { return std::string(storage::name(of.param)); });

} // namespace
} // namespace acta::tests
