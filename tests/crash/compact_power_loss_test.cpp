// The power goes, or a write fails, while a store is compacted: it has everything all the same.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"

#include "../support/damaged_store.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/compact.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

/// A store with an index, and free pages.
void make_store(const fs::path& store) {
  make_small_store(store);
  const auto log = storage::open_log(store, small_map);
  ASSERT_TRUE(log) << log.error().message();
  const std::vector<std::byte> large(300'000, std::byte{7});
  const auto spare = (*log)->register_event_type("spare");
  ASSERT_TRUE(spare);
  for (const auto size : {large.size(), std::size_t{100}}) {
    const storage::event_schema schema{*spare, std::span(large).first(size)};
    ASSERT_TRUE((*log)->put_schemas({&schema, 1}));
  }
  ASSERT_TRUE(storage::stream_index::open(**log, {.memory = 4'096})); // so small that it is written
}

/// What is wrong with the store; empty if it has everything, and goes on.
[[nodiscard]] std::string problem_in(const fs::path& store, const log_content& expected) {
  boot();
  {
    const auto log = storage::open_log(store, small_map);
    if (!log)
      return "it does not open: " + log.error().message();
    const auto content = content_of(**log);
    if (!content)
      return content.error().message();
    if (!(*content == expected))
      return "it has something else";
    const auto index = storage::stream_index::open(**log);
    if (!index)
      return "its index does not open: " + index.error().message();
    const auto snapshot = (*log)->snapshot();
    const auto events = (*index)->read(stream_id(category_id(1), 1), **snapshot);
    if (!events || events->size() != 20)
      return "its index has something else";
    const finished_record record(stream_id(category_id(1), 99), 1, "goes on");
    const std::array records{record.bytes()};
    if (const auto appended = (*log)->append(records, 9'000); !appended)
      return "it does not go on: " + appended.error().message();
  }
  const auto verified = storage::verify_store(store);
  if (!verified)
    return verified.error().message();
  return verified->problems == 0 ? std::string() : verified->findings.front().what;
}

class compact_power_loss_test : public testing::Test {
protected:
  void SetUp() override {
    boot();
    make_store(path());
    if (HasFatalFailure())
      return;
    const auto log = storage::open_log(path(), small_map);
    auto content = content_of(**log);
    ASSERT_TRUE(content) << content.error().message();
    expected_ = std::move(*content);
  }
  [[nodiscard]] fs::path path() const { return disk_.path() / "store"; }

  scratch_directory disk_{fast_directory()};
  log_content expected_;
};

TEST_F(compact_power_loss_test, leaves_the_old_log_or_the_new_one_at_every_operation) {
  std::mt19937_64 random(choose_seed());
  journal operations;
  std::size_t begun = 0; // before it, the recording lists what is there
  {
    disk_recorder recorder(disk_.path());
    begun = recorder.operations().size();
    const auto done = storage::compact(path());
    ASSERT_TRUE(done) << done.error().message();
    ASSERT_EQ(done->size(), 2U) << "log and index";
    EXPECT_LT(done->front().after, done->front().before / 2);
    operations = recorder.operations();
  }
  ASSERT_GT(operations.size(), begun + 20);
  for (auto at = begun; at <= operations.size(); ++at) {
    for (int image = 0; image < (long_tests ? 40 : 4); ++image) {
      const scratch_directory disk(fast_directory());
      const power_cut cut{.at = at, .seed = random(), .keeps_all = image == 1};
      make_image(operations, cut, disk.path());
      ASSERT_EQ(problem_in(disk.path() / "store", expected_), "")
        << "cut at operation " << at << " of " << operations.size() << ", seed of the cut "
        << cut.seed;
    }
  }
}

TEST_F(compact_power_loss_test, leaves_a_whole_store_whichever_write_or_sync_fails) {
  std::size_t failed = 0;
  for (const auto fault : {disk_fault::no_space, disk_fault::io, disk_fault::io_for_good,
                           disk_fault::short_write, disk_fault::lost_sync}) {
    for (std::uint64_t n = 1;; ++n) {
      const scratch_directory disk(fast_directory());
      const auto store = disk.path() / "store";
      fs::copy(path(), store, fs::copy_options::recursive);
      bool was_hit = false;
      {
        disk_recorder recorder(disk.path());
        recorder.fail(fault, n);
        const auto done = storage::compact(store);
        was_hit = recorder.heal();
        if (!done) {
          ++failed;
          EXPECT_NE(done.error().message().find(store.string()), std::string::npos)
            << done.error().message();
        }
      }
      ASSERT_EQ(problem_in(store, expected_), "")
        << "fault " << static_cast<int>(fault) << " at " << n;
      if (!was_hit)
        break;
    }
  }
  EXPECT_GT(failed, 40U);
}

} // namespace
} // namespace acta::tests
