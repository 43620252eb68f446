// What verify_store() says of an index and of snapshots that do not fit their log.
#include "../support/damaged_store.hpp"
#include "../support/raw_store.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/repair.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t store_id_at = 16; // in the index's entry of itself
constexpr std::size_t watermark_at = 48;
constexpr std::size_t checksum_at = 56;

class derived_test : public ::testing::Test {
protected:
  /// Three streams of orders and one of an account, two snapshots of an order, and an index that is
  /// some events behind.
  void SetUp() override {
    make_small_store(store(), 12);
    if (HasFatalFailure())
      return;
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    ASSERT_TRUE(storage::stream_index::open(**log, {.memory = 500})); // all but a few are written
    save_snapshot(**log, 2, 2, 0);
    save_snapshot(**log, 3, 10, 0);
    save_snapshot(**log, 4, 11, 0);
  }

  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path index() const { return store() / "index"; }

  /// Of order 1, or as if it were.
  static void save_snapshot(const storage::event_log& log, std::uint64_t version,
                            std::uint64_t position, std::uint64_t wrong_checksum) {
    const auto snapshots = storage::open_snapshots(log);
    ASSERT_TRUE(snapshots) << snapshots.error().message();
    const auto now = log.snapshot();
    const auto record = (*now)->at(log_position(position));
    const std::vector<std::byte> state(300, std::byte{0x5a});
    const storage::snapshot_to_save one{
      .stream = order,
      .snapshot = {.version = stream_version(version),
                   .position = log_position(position),
                   .event_checksum = (record ? record->header().checksum : 0) + wrong_checksum,
                   .state = state}};
    ASSERT_TRUE((*snapshots)->save({&one, 1}));
  }

  [[nodiscard]] storage::verification verified() const {
    auto done = storage::verify_store(store());
    EXPECT_TRUE(done) << done.error().message();
    return done ? std::move(*done) : storage::verification{};
  }
  void expect_sound() const {
    const auto done = verified();
    EXPECT_EQ(done.problems, 0U) << done.findings.at(0).what;
  }
  void expect_finding(const storage::verification& in, std::size_t which, const std::string& file,
                      const std::string& text) const {
    ASSERT_LT(which, in.findings.size());
    const auto& found = in.findings[which];
    EXPECT_EQ(found.file, file + "/data.mdb") << found.what;
    EXPECT_NE(found.what.find(text), std::string::npos) << found.what;
    EXPECT_NE(found.what.find("remove the directory '" + file + "'"), std::string::npos)
      << found.what;
    EXPECT_EQ(found.what.find('\n'), std::string::npos);
  }
  /// What is said is the way out: the store is sound, and a repaired one too.
  void expect_mended_by_removing(const std::string& directory) const {
    const auto fresh = directory_.path() / "fresh";
    fs::remove_all(fresh);
    const auto repaired = storage::repair_log(store(), fresh);
    ASSERT_TRUE(repaired) << repaired.error().message();
    EXPECT_EQ(repaired->kept, log_position(36));
    fs::remove_all(store() / directory);
    for (const auto& each : {store(), fresh}) {
      {
        const auto log = storage::open_log(each, small_map);
        ASSERT_TRUE(log) << log.error().message();
        ASSERT_TRUE(storage::stream_index::open(**log, {.memory = 500}));
      }
      const auto done = storage::verify_store(each);
      ASSERT_TRUE(done) << done.error().message();
      EXPECT_EQ(done->problems, 0U) << done->findings.at(0).what;
    }
  }

  /// The index's entry of the account, the last one.
  [[nodiscard]] std::pair<std::string, std::string> account_entry() const {
    return read_raw(index(), "streams").back();
  }
  [[nodiscard]] std::string tie() const { return read_raw(index(), "meta").front().second; }
  void put_tie(std::string value) const { change_raw(index(), "meta", "index", std::move(value)); }

  static inline const stream_id order{category_id(1), 1};
  scratch_directory directory_{memory_folder()};
};

TEST_F(derived_test, nothing_is_found_in_what_fits) {
  std::uint64_t watermark = 0;
  std::memcpy(&watermark, tie().data() + watermark_at, sizeof watermark);
  EXPECT_GT(watermark, 10U);
  EXPECT_LT(watermark, 36U) << "the index is behind";
  EXPECT_EQ(read_raw(store() / "snapshots", "snapshots-1").size(), 2U);
  expect_sound();
}

TEST_F(derived_test, an_event_at_another_position_is_found) {
  auto [key, positions] = account_entry();
  ASSERT_EQ(positions[5], 6) << "its second event";
  positions[5] = 5;
  change_raw(index(), "streams", key, positions);
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, "index",
                 "stream account/alice, version 2, position 5: the index has it at position 5, and "
                 "the log at 6");
  EXPECT_EQ(done.findings.at(0).position, log_position(5));
  EXPECT_EQ(done.findings.at(0).stream, stream_id::from_text(category_id(2), "alice"));
  expect_mended_by_removing("index");
}

TEST_F(derived_test, an_event_that_is_missing_in_the_index_is_found) {
  auto [key, positions] = account_entry();
  positions.resize(positions.size() - 5);
  change_raw(index(), "streams", key, positions);
  const auto last = positions.size() / 5 + 1;
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, "index",
                 "stream account/alice, version " + std::to_string(last) + ", position "
                   + std::to_string(3 * last) + ": the index does not have it");
  expect_mended_by_removing("index");
}

TEST_F(derived_test, a_stream_that_is_missing_in_the_index_is_found_event_by_event) {
  const auto [key, positions] = account_entry();
  change_raw(index(), "streams", key, std::nullopt);
  EXPECT_EQ(verified().problems, positions.size() / 5);
  expect_mended_by_removing("index");
}

TEST_F(derived_test, an_event_that_only_the_index_has_is_found) {
  auto [key, positions] = account_entry();
  key[3] = 'b'; // of "alice"
  change_raw(index(), "streams", key, std::string("\x07\0\0\0\0", 5));
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, "index",
                 "stream account/blice, version 1, position 7: the index has it, and the log does "
                 "not");
  change_raw(index(), "streams", key, std::string("\xff\xff\xff\xff\xff", 5));
  EXPECT_EQ(verified().problems, 1U) << "far beyond the log";
  expect_mended_by_removing("index");
}

TEST_F(derived_test, what_lies_behind_the_watermark_must_be_true_and_need_not_be_all) {
  auto changed = tie(); // as if the last batch had been cut short
  std::memset(changed.data() + watermark_at, 0, 2 * sizeof(std::uint64_t));
  put_tie(changed);
  expect_sound();
  auto [key, positions] = account_entry();
  positions[0] = 2;
  change_raw(index(), "streams", key, positions);
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, "index", "version 1, position 2: the index has it");
}

TEST_F(derived_test, an_entry_that_is_malformed_is_found) {
  const auto [key, positions] = account_entry();
  change_raw(index(), "streams", key, positions + "x");
  expect_finding(verified(), 0, "index", "an entry of it is malformed");
  change_raw(index(), "streams", key, positions);
  change_raw(index(), "streams", "no key", positions);
  expect_finding(verified(), 0, "index", "an entry of it is malformed");
  expect_mended_by_removing("index");
}

TEST_F(derived_test, an_index_of_another_log_is_found) {
  const auto sound = tie();
  const auto expect_found = [&](std::size_t at, const std::string& text) {
    auto changed = sound;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    put_tie(changed);
    const auto done = verified();
    EXPECT_EQ(done.problems, 1U);
    expect_finding(done, 0, "index", text);
  };
  expect_found(0, "is not an index of this format");
  expect_found(store_id_at, "is the index of another store");
  expect_found(watermark_at + 1, "and the log ends at 36");
  expect_found(checksum_at, "was built from another log");
  expect_found(watermark_at, "was built from another log");
  put_tie("short");
  expect_finding(verified(), 0, "index", "is not an index of this format");
  expect_mended_by_removing("index");
}

/// More than are compared at once: those that are not are told of, too.
TEST_F(derived_test, an_index_that_has_nothing_is_found_in_bounded_memory) {
  constexpr std::uint64_t events = 140'000;
  fs::remove_all(index());
  std::uint64_t checksum = 0;
  std::uint64_t tail = 0;
  {
    const auto log = storage::open_log(store(), {.map_size = std::size_t{1} << 28U});
    ASSERT_TRUE(log) << log.error().message();
    const finished_record first(stream_id(category_id(1), 1'000), 1, "");
    std::vector<finished_record> records;
    std::vector<std::span<const std::byte>> spans;
    for (std::uint64_t i = 1; i <= events; ++i)
      records.emplace_back(stream_id(category_id(1), 1'000 + i % 7), (i + 6) / 7, "event");
    for (const auto& record : records)
      spans.push_back(record.bytes());
    ASSERT_TRUE((*log)->append(spans, 9'000));
    ASSERT_TRUE(storage::stream_index::open(**log)); // which writes nothing of so few
    tail = (*log)->tail().value();
    checksum = (*(*log)->snapshot())->at((*log)->tail())->header().checksum;
  }
  expect_sound();
  auto changed = tie();
  std::memcpy(changed.data() + watermark_at, &tail, sizeof tail);
  std::memcpy(changed.data() + checksum_at, &checksum, sizeof checksum);
  put_tie(changed);
  const auto done = storage::verify_store(store(), {.max_findings = 200'000});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_GT(done->problems, 100'000U);
  EXPECT_LE(done->problems, 131'073U);
  expect_finding(*done, 0, "index", "the index does not have it");
  expect_finding(*done, done->findings.size() - 1, "index", "parts differ from the log, too");
  EXPECT_EQ(verified().findings.size(), 100U) << "the first, all are counted";
}

TEST_F(derived_test, a_snapshot_of_another_event_is_found) {
  {
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    save_snapshot(**log, 5, 10, 0); // the event with version 3
    save_snapshot(**log, 6, 20, 1);
  }
  const auto done = verified();
  EXPECT_EQ(done.problems, 2U);
  expect_finding(
    done, 0, "snapshots",
    "stream order/1, the snapshot at version 5 says that its last event is at position "
    "10: the event there is not its last one");
  EXPECT_EQ(done.findings.at(0).stream, order);
  expect_finding(done, 1, "snapshots", "position 20: the event there");
  expect_mended_by_removing("snapshots");
}

TEST_F(derived_test, a_snapshot_of_events_that_the_log_does_not_have_is_found) {
  {
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    save_snapshot(**log, 9, 99, 0);
  }
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, "snapshots", "position 99: the log ends at 36");
  expect_mended_by_removing("snapshots");
}

TEST_F(derived_test, a_damaged_state_of_a_snapshot_is_found) {
  auto [key, value] = read_raw(store() / "snapshots", "snapshots-1").front();
  value[value.size() - 100] = 'x';
  change_raw(store() / "snapshots", "snapshots-1", key, value);
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, "snapshots", "stream order/1");
  EXPECT_NE(done.findings.at(0).what.find("checksum"), std::string::npos);
  change_raw(store() / "snapshots", "snapshots-1", "no key", value);
  EXPECT_EQ(verified().problems, 2U);
  expect_mended_by_removing("snapshots");
}

TEST_F(derived_test, is_not_blamed_for_what_is_damaged_in_the_log) {
  auto record = read_raw(store() / "log", "events").at(5).second;
  record.back() = 'x';
  put_raw(store(), "events", key_of_position(6), record);
  const auto done = verified();
  EXPECT_NE(done.problems, 0U);
  for (const auto& found : done.findings)
    EXPECT_EQ(found.file, "log/data.mdb") << found.what;
}

/// Each stream's events by the index, as positions.
[[nodiscard]] std::map<std::string, std::vector<std::uint64_t>>
events_by_index(const fs::path& store) {
  std::map<std::string, std::vector<std::uint64_t>> all;
  const auto log = storage::open_log(store, small_map);
  EXPECT_TRUE(log) << log.error().message();
  const auto index = storage::stream_index::open(**log);
  EXPECT_TRUE(index) << index.error().message();
  if (!log || !index)
    return all;
  const auto snapshot = (*log)->snapshot();
  const auto streams = (*index)->streams(**snapshot, 100);
  EXPECT_TRUE(streams) << streams.error().message();
  for (const auto& one : *streams) {
    const auto records = (*index)->read(one.stream, **snapshot);
    EXPECT_TRUE(records) << records.error().message();
    for (const auto& record : *records)
      all[one.stream.to_string()].push_back(record.position().value());
  }
  return all;
}

/// Without the zeros at its end, which are room for growth.
[[nodiscard]] std::uintmax_t used_size(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  return bytes.find_last_not_of('\0') + 1;
}

/// The snapshots of order 1 that read, as versions.
[[nodiscard]] std::vector<std::uint64_t> snapshots_of_order(const fs::path& store,
                                                            const stream_id& order) {
  std::vector<std::uint64_t> versions;
  const auto log = storage::open_log(store, small_map);
  const auto snapshots = storage::open_snapshots(**log);
  EXPECT_TRUE(snapshots) << snapshots.error().message();
  const auto read = (*snapshots)->read(order, {}, [&](const auto& one) {
    if (one)
      versions.push_back(one->version.value());
    return true;
  });
  EXPECT_TRUE(read) << read.error().message();
  return versions;
}

TEST_F(derived_test, any_changed_byte_of_it_is_found_or_harmless) {
  const auto events = events_by_index(store());
  const auto snapshots = snapshots_of_order(store(), order);
  EXPECT_EQ(snapshots.size(), 2U);
  expect_sound();
  const std::size_t stride = std::getenv("ACTA_LONG_TESTS") != nullptr ? 1 : 3;
  std::map<std::string, std::size_t> reported;
  const auto whole = directory_.path() / "whole";
  fs::copy(store(), whole, fs::copy_options::recursive);
  for (const std::string name : {"index", "snapshots"}) {
    const auto file = store() / name / "data.mdb";
    std::size_t quiet = 0; // bytes in a row that mean nothing
    const auto used = used_size(file);
    for (std::size_t at = 0; at < used && !HasFailure(); ++at) {
      SCOPED_TRACE(name + " byte " + std::to_string(at));
      flip(file, at);
      const auto done = verified();
      if (done.problems != 0) {
        ++reported[name];
        quiet = 0;
        EXPECT_EQ(done.findings.at(0).file, name + "/data.mdb") << done.findings.at(0).what;
        flip(file, at);
        at += stride - 1;
        continue;
      }
      if (quiet++ % 16 == 0) { // what opening writes may be more than the byte
        EXPECT_TRUE(events_by_index(store()) == events);
        EXPECT_TRUE(snapshots_of_order(store(), order) == snapshots);
        fs::remove_all(store());
        fs::copy(whole, store(), fs::copy_options::recursive);
      } else {
        flip(file, at);
      }
      at += quiet > 64 ? 7 * stride : stride - 1;
    }
  }
  EXPECT_GT(reported["index"], 200U);
  EXPECT_GT(reported["snapshots"], 300U);
}

} // namespace
} // namespace acta::tests
