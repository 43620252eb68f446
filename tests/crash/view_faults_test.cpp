// A view on disk when the device is full or fails at any write or sync, and when the power is cut.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"

#include "../support/scratch_directory.hpp"
#include "../support/stepped_view.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/view_file.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using storage::durability;

constexpr std::uint64_t steps = 2 * limits::view_sync_every + 10;
constexpr std::uint64_t never = 10'000; ///< More writes and syncs than there are here.

[[nodiscard]] std::unique_ptr<storage::event_log> open(const std::filesystem::path& disk,
                                                       durability level) {
  auto log = storage::open_log(disk / "store", {.durability = level, .sync_every = 1ms});
  EXPECT_TRUE(log) << log.error().message();
  return log ? std::move(*log) : nullptr;
}

void expect_explained(const error& why, const std::filesystem::path& disk) {
  EXPECT_NE(why.message().find((disk / "store" / "views").string()), std::string::npos)
    << why.message();
  EXPECT_TRUE(why.code() == errc::no_space || why.code() == errc::io) << why.message();
}

class view_faults : public testing::TestWithParam<disk_fault> {};

/// Takes the view through all steps; what fails is healed, and tried again. Returns whether
/// something failed.
bool run_with_fault(disk_fault fault, std::uint64_t n) {
  const scratch_directory disk(fast_directory());
  const auto log = open(disk.path(), durability::power);
  append_steps(*log, steps);
  disk_recorder recorder(disk.path());
  recorder.fail(fault, n);
  bool failed = false;
  std::unique_ptr<storage::view_file> view;
  const auto open_again = [&] {
    view.reset();
    auto opened = storage::open_view(*log, stepped);
    if (!opened) {
      expect_explained(opened.error(), disk.path());
      EXPECT_TRUE(recorder.heal()) << opened.error().message();
      failed = true;
      opened = storage::open_view(*log, stepped);
    }
    EXPECT_TRUE(opened) << opened.error().message();
    if (opened)
      view = std::move(*opened);
  };
  open_again();
  while (!testing::Test::HasFailure() && view && view->position() < log->tail()) {
    const auto before = view->position();
    const auto done = step_to(*view, before.value() + 1);
    if (done)
      continue;
    expect_explained(done.error(), disk.path());
    EXPECT_FALSE(std::exchange(failed, true)) << "a second time: " << done.error().message();
    recorder.heal();
    if (const auto seen = check_stepped(*view); seen) {
      EXPECT_EQ(*seen, before) << "nothing of it is seen";
      const auto again = step_to(*view, before.value() + 1);
      EXPECT_TRUE(again) << again.error().message();
    } else { // the page that commits, after which LMDB does nothing more
      expect_explained(seen.error(), disk.path());
      EXPECT_NE(seen.error().message().find("then open the view again"), std::string::npos);
      EXPECT_NE(seen.error().message().find("MDB_PANIC"), std::string::npos);
      EXPECT_FALSE(step_to(*view, before.value() + 1));
      open_again();
      EXPECT_TRUE(view && check_stepped(*view)) << "of an earlier step";
    }
  }
  view.reset(); // its last sync may be what fails
  failed = recorder.heal() || failed;
  open_again();
  EXPECT_TRUE(view && check_stepped(*view));
  return failed;
}

TEST_P(view_faults, fail_a_step_whole_and_the_next_succeeds) {
  std::uint64_t n = 1;
  while (n < never && !testing::Test::HasFailure()) {
    SCOPED_TRACE("at write or sync " + std::to_string(n));
    if (!run_with_fault(GetParam(), n))
      break;
    n += n < 40 || long_tests ? 1 : 17; // each while it is made
  }
  // A step is two writes at least; it is synced three times, and as it is made and closed.
  EXPECT_GT(n, GetParam() == disk_fault::lost_sync ? 9U : 2 * steps);
  EXPECT_LT(n, never);
}

[[nodiscard]] std::string name_of_fault(const testing::TestParamInfo<disk_fault>& of) {
  constexpr std::array names{"no_space", "io", "io_for_good", "short_write", "lost_sync"};
  return names.at(static_cast<std::size_t>(of.param));
}

INSTANTIATE_TEST_SUITE_P(faults, view_faults,
                         testing::Values(disk_fault::no_space, disk_fault::io,
                                         disk_fault::short_write, disk_fault::lost_sync),
                         name_of_fault);

class view_power_loss : public testing::TestWithParam<durability> {};

/// Appends and steps on, and now and then waits until the log is synced.
void run_steps(storage::event_log& log, storage::view_file& view) {
  std::atomic<int> syncs = 0;
  log.on_sync([&](const result<log_position>&) {
    ++syncs;
    syncs.notify_one();
  });
  for (std::uint64_t i = 1; i <= steps; ++i) {
    append_steps(log, 2);
    const auto done = step_to(view, log.tail().value());
    ASSERT_TRUE(done) << done.error().message();
    for (auto seen = syncs.load(); i % (limits::view_sync_every + 2) == 0; seen = syncs.load()) {
      if (log.synced_tail() == log.tail())
        break;
      syncs.wait(seen);
    }
  }
  log.on_sync({});
}

TEST_P(view_power_loss, leaves_it_as_after_some_step_and_never_ahead_of_the_log) {
  std::mt19937_64 random(choose_seed());
  journal operations;
  {
    const scratch_directory disk(fast_directory());
    boot();
    disk_recorder recorder(disk.path());
    for (int opened = 0; opened < 2; ++opened) {
      const auto log = open(disk.path(), GetParam());
      auto view = storage::open_view(*log, stepped);
      ASSERT_TRUE(view) << view.error().message();
      run_steps(*log, **view);
    }
    operations = recorder.operations();
  }
  int synced = 0;
  auto cuts = cuts_of(operations, 0, random);
  std::ranges::shuffle(cuts, random);
  if (!long_tests)
    cuts.resize(std::min<std::size_t>(cuts.size(), 60));
  cuts.push_back(operations.size());
  for (const auto cut : cuts) {
    SCOPED_TRACE("cut before operation " + std::to_string(cut));
    const scratch_directory disk(fast_directory());
    make_image(operations, {.at = cut, .seed = random()}, disk.path());
    boot();
    const auto log = open(disk.path(), GetParam());
    ASSERT_TRUE(log);
    auto view = storage::open_view(*log, stepped);
    ASSERT_TRUE(view) << view.error().message();
    const auto found = check_stepped(**view);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_LE(*found, log->tail());
    synced += *found > log_position(0) ? 1 : 0;
    append_steps(*log, 1);
    EXPECT_TRUE(step_to(**view, log->tail().value()));
    EXPECT_EQ(check_stepped(**view), log->tail());
  }
  EXPECT_GT(synced, 0);
}

INSTANTIATE_TEST_SUITE_P(levels, view_power_loss,
                         testing::Values(durability::power, durability::process),
                         [](const auto& of) { return std::string(storage::name(of.param)); });

} // namespace
} // namespace acta::tests
