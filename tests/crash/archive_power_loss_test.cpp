// Cuts the power, and fails the device, at every moment of archiving: each event is in the store or
// in its archive, both open, and archiving again ends it.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"

#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/archive.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
/// Records by position, as bytes.
using records = std::map<std::uint64_t, std::string>;

constexpr log_position end{25};
/// Small maps: they are made many times.
constexpr storage::log_options small{.map_size = std::size_t{1} << 25U};

/// What a store has; nothing if it is not there yet.
[[nodiscard]] records records_in(const fs::path& store) {
  records all;
  const auto log = storage::open_log(store, small);
  EXPECT_TRUE(log) << log.error().message();
  if (!log)
    return all;
  const auto snapshot = (*log)->snapshot();
  const auto cursor = (*snapshot)->scan(log_position(0));
  EXPECT_TRUE(cursor) << cursor.error().message();
  auto batch = (*cursor)->next();
  for (; batch && !batch->empty(); batch = (*cursor)->next())
    for (const auto& record : *batch)
      all[record.position().value()] = text_of(record.bytes());
  EXPECT_TRUE(batch) << batch.error().message();
  return all;
}

/// Two streams that were removed, and one whose events stay. Some are so large that it takes two
/// steps to delete them.
void make_store(const fs::path& store) {
  const auto log = storage::open_log(store, small);
  ASSERT_TRUE(log) << log.error().message();
  ASSERT_TRUE((*log)->register_category("order"));
  ASSERT_TRUE((*log)->register_event_type("placed"));
  const auto writer = storage::stream_writer::open(**log);
  ASSERT_TRUE(writer) << writer.error().message();
  const auto add = [&](std::uint64_t key, std::size_t size) {
    const std::string payload(size, 'x');
    const storage::new_event event{.type = event_type_id(1),
                                   .payload = std::as_bytes(std::span(payload))};
    const storage::stream_append to{
      stream_id(category_id(1), key), expected_version::any(), {&event, 1}};
    ASSERT_TRUE((*writer)->append({&to, 1}));
  };
  for (int i = 0; i < 11; ++i) { // positions 1 to 22
    add(1, i < 5 ? 900'000 : 100);
    add(2, 100);
  }
  ASSERT_TRUE((*writer)->remove(stream_id(category_id(1), 1)));
  ASSERT_TRUE((*writer)->remove(stream_id(category_id(1), 2)));
  for (int i = 0; i < 5; ++i)
    add(3, 100);
}

[[nodiscard]] result<storage::archive_result> archive_in(const fs::path& disk) {
  return storage::archive(disk / "store", end, disk / "archive");
}

/// What is left is whole, and archiving goes on to its end.
void expect_whole(const fs::path& disk, const records& all) {
  auto there = records_in(disk / "store");
  ASSERT_FALSE(there.empty());
  if (there.begin()->first > 1) // else nothing was deleted, and the archive may not be made yet
    there.merge(records_in(disk / "archive"));
  for (const auto& [position, bytes] : all)
    ASSERT_EQ(there[position], bytes) << "position " << position;
  const auto done = archive_in(disk);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->first, end);
  for (const auto* name : {"store", "archive"}) {
    const auto found = storage::verify_store(disk / name);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->problems, 0U) << found->findings.front().what;
  }
  auto left = records_in(disk / "store");
  EXPECT_EQ(left.begin()->first, end.value());
  left.merge(records_in(disk / "archive"));
  for (const auto& [position, bytes] : all)
    ASSERT_EQ(left[position], bytes) << "position " << position;
  // Its truncations went with it and were stored again.
  const auto log = storage::open_log(disk / "store", small);
  ASSERT_TRUE(log) << log.error().message();
  const auto writer = storage::stream_writer::open(**log);
  ASSERT_TRUE(writer) << writer.error().message();
  const auto now = (*log)->snapshot();
  for (const auto key : {1U, 2U}) {
    const auto version = (*writer)->index().version(stream_id(category_id(1), key), **now);
    ASSERT_TRUE(version) << version.error().message();
    EXPECT_EQ(*version, stream_version(11));
  }
}

class archive_power_loss : public testing::Test {
protected:
  void SetUp() override {
    make_store(disk.path() / "store");
    all = records_in(disk.path() / "store");
    ASSERT_EQ(all.size(), 29U);
  }
  scratch_directory disk{fast_directory()};
  records all;
};

TEST_F(archive_power_loss, takes_no_event_at_any_moment_of_archiving) {
  std::mt19937_64 random(choose_seed());
  journal operations;
  std::size_t made = 0;
  {
    boot();
    const disk_recorder recorder(disk.path());
    made = recorder.operations().size();
    ASSERT_TRUE(archive_in(disk.path()));
    operations = recorder.operations();
  }
  std::size_t cuts = 0;
  std::size_t with_a_part = 0; // of what is to be deleted
  for (std::size_t at = made; at <= operations.size() && !HasFailure();
       at += long_tests ? 1 : 1 + random() % 3) {
    SCOPED_TRACE("cut at operation " + std::to_string(at) + " of "
                 + std::to_string(operations.size()));
    boot();
    const scratch_directory left(fast_directory());
    make_image(operations, {.at = at, .seed = random()}, left.path());
    const auto first = records_in(left.path() / "store").begin()->first;
    with_a_part += first > 1 && first < end.value() ? 1U : 0U;
    expect_whole(left.path(), all);
    ++cuts;
  }
  EXPECT_GT(cuts, 30U);
  EXPECT_GT(with_a_part, 0U) << "it takes two steps";
  RecordProperty("cuts", std::to_string(cuts));
}

TEST_F(archive_power_loss, a_device_that_fails_while_archiving_takes_none_either) {
  std::size_t faults = 0;
  for (const auto fault : {disk_fault::no_space, disk_fault::io, disk_fault::io_for_good,
                           disk_fault::short_write, disk_fault::lost_sync}) {
    bool failed = true;
    const std::uint64_t step = long_tests ? 1 : 5; // a sample of them
    for (std::uint64_t n = 1; failed && !HasFailure(); n += step) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at write or sync "
                   + std::to_string(n));
      const scratch_directory copy(fast_directory());
      fs::copy(disk.path(), copy.path(), fs::copy_options::recursive);
      boot();
      {
        disk_recorder recorder(copy.path());
        recorder.fail(fault, n);
        const auto done = archive_in(copy.path());
        failed = recorder.heal();
        if (!done) {
          EXPECT_TRUE(done.error().code() == errc::io || done.error().code() == errc::no_space)
            << done.error().message();
        }
      }
      faults += failed ? 1U : 0U;
      expect_whole(copy.path(), all);
    }
  }
  EXPECT_GT(faults, 20U);
}

} // namespace
} // namespace acta::tests
