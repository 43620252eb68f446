#pragma once

#include "damaged_store.hpp"
#include "scratch_directory.hpp"

#include <acta/storage/archive.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// A store to be archived, and what is left of it.
namespace acta::tests {

using numbers = std::vector<std::uint64_t>;
/// Records by position, as bytes.
using records = std::map<std::uint64_t, std::string>;

[[nodiscard]] inline records records_of(const storage::event_log& log) {
  records all;
  const auto snapshot = log.snapshot();
  const auto cursor = (*snapshot)->scan(log_position(0));
  for (auto batch = (*cursor)->next(); batch && !batch->empty(); batch = (*cursor)->next())
    for (const auto& record : *batch)
      all[record.position().value()] = text_of(record.bytes());
  return all;
}

[[nodiscard]] inline records records_in(const std::filesystem::path& store) {
  const auto log = storage::open_log_for_reading(store);
  EXPECT_TRUE(log) << log.error().message();
  return log ? records_of(**log) : records{};
}

[[nodiscard]] inline std::uint64_t key_of(const stream_id& stream) {
  std::uint64_t key = 0;
  std::memcpy(&key, stream.key().data(), sizeof key);
  return key;
}

/// A store with streams 1 to 3 of "order", ten events each, that take turns.
class archive_test : public ::testing::Test {
protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(log->register_category("order"));
    ASSERT_TRUE(log->register_category("customer"));
    ASSERT_TRUE(log->register_event_type("placed"));
    for (int i = 0; i < 10; ++i)
      for (const auto key : {1U, 2U, 3U})
        add(order(key), 1);
    all_ = records_of(*log); // positions 1 to 30
  }
  void open() {
    close();
    auto opened = storage::open_log(store(), small_map);
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    auto made = storage::stream_writer::open(*log);
    ASSERT_TRUE(made) << made.error().message();
    writer = std::move(*made);
  }
  void close() {
    writer.reset();
    log.reset();
  }
  void add(const stream_id& to, std::size_t count, const std::string& payload = "payload") {
    const std::vector<storage::new_event> events(
      count, {.type = event_type_id(1), .payload = std::as_bytes(std::span(payload))});
    const auto added =
      writer->append(std::array{storage::stream_append{to, expected_version::any(), events}});
    ASSERT_TRUE(added) << added.error().message();
  }
  /// Truncates all three so that versions 1 to 6, at positions 1 to 18, are not read.
  void truncate_all(std::uint64_t before = 7) {
    for (const auto key : {1U, 2U, 3U})
      ASSERT_TRUE(writer->truncate(order(key), stream_version(before)));
  }
  /// Closes the store and archives it.
  [[nodiscard]] result<storage::archive_result> archive_before(std::uint64_t position) {
    close();
    return storage::archive(store(), log_position(position), archived());
  }
  /// The same, and opens it again.
  void expect_archived(std::uint64_t position) {
    const auto done = archive_before(position);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->first, log_position(position));
    open();
  }
  [[nodiscard]] numbers versions(const stream_id& of,
                                 storage::direction way = storage::direction::forward) const {
    const auto snapshot = log->snapshot();
    const auto read = writer->index().read(
      of, **snapshot, stream_version(way == storage::direction::forward ? 1 : UINT64_MAX), 100,
      way);
    EXPECT_TRUE(read) << read.error().message();
    numbers found;
    for (const auto& record : read.value_or(std::vector<storage::record_view>{}))
      found.push_back(record.version().value());
    return found;
  }
  [[nodiscard]] static numbers listed(const storage::stream_index& index,
                                      const storage::log_snapshot& snapshot, std::size_t page) {
    numbers found;
    std::optional<stream_id> after;
    for (;;) {
      const auto some = index.streams(snapshot, page, after);
      EXPECT_TRUE(some) << some.error().message();
      if (!some || some->empty())
        return found;
      for (const auto& one : *some) {
        found.push_back(one.stream.category().value() * 1'000U + key_of(one.stream));
        found.push_back(one.version.value());
      }
      after = some->back().stream;
    }
  }
  /// All that the index says.
  [[nodiscard]] std::string answers() const {
    const auto snapshot = log->snapshot();
    const auto& index = writer->index();
    std::string text;
    for (const auto& stream : {order(1), order(2), order(3), order(4), customer}) {
      const auto version = index.version(stream, **snapshot);
      const auto first = index.truncated(stream, **snapshot);
      EXPECT_TRUE(version && first);
      text += std::to_string(version->value()) + ' ' + std::to_string(first->before.value())
              + (first->removed ? " removed" : "") + (first->state ? " state" : "")
              + (index.surely_absent(stream) ? " absent:" : ":");
      for (const auto way : {storage::direction::forward, storage::direction::backward})
        for (const auto one : versions(stream, way))
          text += ' ' + std::to_string(one);
      text += '\n';
    }
    for (const std::size_t page : {1U, 2U, 100U})
      for (const auto one : listed(index, **snapshot, page))
        text += ' ' + std::to_string(one);
    return text;
  }
  /// The snapshot of a stream after its event at this position.
  void save_snapshot(const stream_id& stream, log_position at, std::string_view state) {
    const auto snapshots = storage::open_snapshots(*log);
    ASSERT_TRUE(snapshots) << snapshots.error().message();
    const auto now = log->snapshot();
    const auto record = (*now)->at(at);
    const storage::snapshot_to_save one{
      .stream = stream,
      .snapshot = {.version = record->version(),
                   .position = at,
                   .event_checksum = record->header().checksum,
                   .recorded_at_ns = record->header().recorded_at_ns,
                   .schema_hash = 9,
                   .state = std::as_bytes(std::span(state))}};
    const auto saved = (*snapshots)->save({&one, 1});
    ASSERT_TRUE(saved) << saved.error().message();
  }
  /// The store and its archive have what there was, byte for byte, and are sound.
  void expect_whole(std::uint64_t first) {
    close();
    for (const auto& path : {store(), archived()}) {
      const auto found = storage::verify_store(path);
      ASSERT_TRUE(found) << found.error().message();
      EXPECT_EQ(found->problems, 0U)
        << (found->findings.empty() ? "" : found->findings.front().what);
    }
    const auto left = records_in(store());
    const auto moved = records_in(archived());
    ASSERT_FALSE(left.empty());
    ASSERT_FALSE(moved.empty());
    EXPECT_EQ(left.begin()->first, first);
    EXPECT_EQ(moved.rbegin()->first, first - 1);
    auto together = moved;
    together.insert(left.begin(), left.end());
    for (const auto& [position, bytes] : all_)
      EXPECT_EQ(together[position], bytes) << position;
  }

  [[nodiscard]] static stream_id order(std::uint64_t key) { return stream_id(category_id(1), key); }
  const stream_id customer{category_id(2), 1};
  [[nodiscard]] std::filesystem::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] std::filesystem::path archived() const { return directory_.path() / "archive"; }

  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<storage::stream_writer> writer;
  records all_;
  scratch_directory directory_{memory_folder()};
};

} // namespace acta::tests
