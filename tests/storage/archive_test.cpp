#include "../support/damaged_store.hpp"
#include "../support/raw_store.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/archive.hpp>
#include <acta/storage/backup.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/json_lines.hpp>
#include <acta/storage/repair.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/statistics.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::archive;
using storage::direction;
using storage::stream_writer;

using numbers = std::vector<std::uint64_t>;
/// Records by position, as bytes.
using records = std::map<std::uint64_t, std::string>;

[[nodiscard]] records records_of(const storage::event_log& log) {
  records all;
  const auto snapshot = log.snapshot();
  const auto cursor = (*snapshot)->scan(log_position(0));
  for (auto batch = (*cursor)->next(); batch && !batch->empty(); batch = (*cursor)->next())
    for (const auto& record : *batch)
      all[record.position().value()] = text_of(record.bytes());
  return all;
}

[[nodiscard]] records records_in(const fs::path& store) {
  const auto log = storage::open_log_for_reading(store);
  EXPECT_TRUE(log) << log.error().message();
  return log ? records_of(**log) : records{};
}

[[nodiscard]] std::uint64_t key_of(const stream_id& stream) {
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
    auto made = stream_writer::open(*log);
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
    return archive(store(), log_position(position), archived());
  }
  /// The same, and opens it again.
  void expect_archived(std::uint64_t position) {
    const auto done = archive_before(position);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->first, log_position(position));
    open();
  }
  [[nodiscard]] numbers versions(const stream_id& of, direction way = direction::forward) const {
    const auto snapshot = log->snapshot();
    const auto read = writer->index().read(
      of, **snapshot, stream_version(way == direction::forward ? 1 : UINT64_MAX), 100, way);
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
      for (const auto way : {direction::forward, direction::backward})
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

  [[nodiscard]] static stream_id order(std::uint64_t key) {
    return stream_id(category_id(1), key);
  }
  const stream_id customer{category_id(2), 1};
  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path archived() const { return directory_.path() / "archive"; }

  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<stream_writer> writer;
  records all_;
  scratch_directory directory_{memory_folder()};
};

TEST_F(archive_test, moves_what_is_before_a_position_into_another_store) {
  truncate_all();
  expect_archived(19);
  EXPECT_EQ(records_of(*log).begin()->first, 19U);
  EXPECT_EQ(versions(order(1)), (numbers{7, 8, 9, 10}));
  expect_whole(19);
}

TEST_F(archive_test, what_was_archived_is_told_from_what_was_never_there) {
  truncate_all();
  expect_archived(19);
  const auto snapshot = log->snapshot();
  EXPECT_EQ((*snapshot)->first(), log_position(19));
  for (const auto position : {1U, 18U}) {
    const auto at = (*snapshot)->at(log_position(position));
    ASSERT_FALSE(at);
    EXPECT_EQ(at.error().code(), errc::not_found);
    EXPECT_NE(at.error().message().find("those up to 18"), std::string::npos)
      << at.error().message();
    EXPECT_NE(at.error().message().find(archived().string()), std::string::npos)
      << at.error().message();
    for (const auto way : {direction::forward, direction::backward})
      EXPECT_EQ((*snapshot)->scan(log_position(position), {.way = way}).error().code(),
                errc::not_found)
        << position;
  }
  EXPECT_TRUE((*snapshot)->at(log_position(19)));
  EXPECT_TRUE((*snapshot)->scan(log_position(19)));
}

TEST_F(archive_test, a_scan_from_0_begins_at_the_first_there_is_and_a_backward_one_ends_there) {
  truncate_all();
  expect_archived(19);
  const auto snapshot = log->snapshot();
  auto cursor = (*snapshot)->scan(log_position(0));
  EXPECT_EQ((*cursor)->next()->front().position(), log_position(19));
  cursor = (*snapshot)->scan(log_position(20), {.way = direction::backward});
  const auto batch = (*cursor)->next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size(), 2U);
  EXPECT_EQ(batch->back().position(), log_position(19));
  EXPECT_TRUE((*cursor)->next()->empty());
  cursor = (*snapshot)->scan(log_position(0), {.way = direction::backward});
  EXPECT_TRUE((*cursor)->next()->empty());
}

TEST_F(archive_test, the_position_at_a_time_is_found_among_what_is_left) {
  truncate_all();
  expect_archived(19);
  const auto snapshot = log->snapshot();
  EXPECT_EQ((*snapshot)->position_before(INT64_MIN), log_position(18)) << "19 follows it";
  EXPECT_EQ((*snapshot)->position_before(INT64_MAX), (*snapshot)->tail());
}

TEST_F(archive_test, refuses_to_take_events_from_streams_that_need_them) {
  ASSERT_TRUE(writer->truncate(order(1), stream_version(7)));
  const auto tail = log->tail();
  const auto refused = archive_before(19);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  for (const auto* part : {"2 streams still need", "order/2", "order/3", "nothing was archived"})
    EXPECT_NE(refused.error().message().find(part), std::string::npos)
      << refused.error().message();
  EXPECT_FALSE(fs::exists(archived()));
  open();
  EXPECT_EQ(log->tail(), tail);
  EXPECT_EQ(records_of(*log).size(), tail.value());
}

TEST_F(archive_test, a_stream_with_one_event_before_the_position_that_is_read_is_in_the_way) {
  truncate_all();
  EXPECT_TRUE(archive_before(19));
  const auto refused = archive_before(20); // position 19 has version 7 of order/1
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("1 streams still need their events there: order/1"),
            std::string::npos)
    << refused.error().message();
}

TEST_F(archive_test, a_stream_with_a_snapshot_is_truncated_with_its_state) {
  ASSERT_TRUE(writer->truncate(order(1), stream_version(7)));
  ASSERT_TRUE(writer->remove(order(2)));
  save_snapshot(order(3), log_position(24), "the state of order 3"); // version 8
  close();
  const auto done = archive(store(), log_position(19), archived());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->truncated, 1U);
  EXPECT_EQ(done->archived, 18U);
  open();
  auto snapshot = log->snapshot();
  const auto state = writer->index().truncated(order(3), **snapshot);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->before, stream_version(7)) << "no more than must be";
  ASSERT_TRUE(state->state);
  EXPECT_EQ(state->state->version, stream_version(8));
  EXPECT_EQ(state->state->schema_hash, 9U);
  EXPECT_EQ(text_of(state->state->state), "the state of order 3");
  EXPECT_EQ(versions(order(3)), (numbers{7, 8, 9, 10}));
  snapshot->reset();
  expect_whole(19);
}

TEST_F(archive_test, a_truncation_without_a_state_gets_that_of_the_snapshot) {
  truncate_all();
  save_snapshot(order(2), log_position(17), "at version 6");
  expect_archived(19);
  const auto snapshot = log->snapshot();
  const auto state = writer->index().truncated(order(2), **snapshot);
  ASSERT_TRUE(state && state->state);
  EXPECT_EQ(state->before, stream_version(7));
  EXPECT_EQ(text_of(state->state->state), "at version 6");
}

TEST_F(archive_test, a_snapshot_that_does_not_reach_or_is_damaged_is_of_no_use) {
  ASSERT_TRUE(writer->truncate(order(1), stream_version(7)));
  ASSERT_TRUE(writer->remove(order(2)));
  save_snapshot(order(3), log_position(15), "at version 5");
  const auto refused = archive_before(19);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("order/3"), std::string::npos);
}

TEST_F(archive_test, a_state_in_the_log_reaches_as_a_snapshot_does) {
  truncate_all();
  const std::string_view text = "at version 9";
  const storage::stream_snapshot kept{.version = stream_version(9),
                                      .position = log_position(25),
                                      .state = std::as_bytes(std::span(text))};
  ASSERT_TRUE(writer->truncate(order(1), stream_version(7), &kept));
  ASSERT_TRUE(writer->truncate(order(2), stream_version(8)));
  ASSERT_TRUE(writer->truncate(order(3), stream_version(8)));
  expect_archived(22); // with version 7 of each
  const auto snapshot = log->snapshot();
  const auto state = writer->index().truncated(order(1), **snapshot);
  ASSERT_TRUE(state && state->state);
  EXPECT_EQ(state->before, stream_version(8));
  EXPECT_EQ(text_of(state->state->state), text);
}

TEST_F(archive_test, a_truncation_that_would_be_archived_is_stored_again) {
  truncate_all(11); // at 31 to 33: nothing is left of the three
  add(order(1), 2); // 34, 35: it began anew
  add(customer, 1); // 36
  const auto done = archive_before(34);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->carried, 3U);
  open();
  EXPECT_EQ(versions(order(1)), (numbers{11, 12}));
  EXPECT_TRUE(versions(order(2)).empty());
  auto snapshot = log->snapshot();
  EXPECT_EQ(writer->index().version(order(2), **snapshot), stream_version(10));
  EXPECT_TRUE(writer->index().truncated(order(2), **snapshot)->removed);
  snapshot->reset();
  add(order(2), 1);
  EXPECT_EQ(versions(order(2)), (numbers{11})) << "numbering goes on";
  expect_whole(34);
}

TEST_F(archive_test, all_of_a_log_can_be_archived_but_what_says_what_was_truncated) {
  truncate_all(11);
  const auto end = log->tail().value() + 1;
  expect_archived(end);
  EXPECT_EQ(log->tail(), log_position(end + 2)) << "the three truncations";
  add(order(3), 1);
  EXPECT_EQ(versions(order(3)), (numbers{11}));
  expect_whole(end);
}

TEST_F(archive_test, an_index_that_is_made_anew_says_what_the_old_one_did) {
  ASSERT_TRUE(writer->remove(order(1)));
  ASSERT_TRUE(writer->remove(order(2)));
  const std::string_view text = "all of order 3";
  const storage::stream_snapshot kept{.version = stream_version(10),
                                      .position = log_position(30),
                                      .state = std::as_bytes(std::span(text))};
  ASSERT_TRUE(writer->truncate(order(3), stream_version(11), &kept));
  add(order(1), 2);
  add(customer, 3);
  const auto before = answers();
  const auto end = log->tail().value() - 3;
  const auto done = archive_before(end);
  ASSERT_TRUE(done) << done.error().message();
  open();
  EXPECT_EQ(answers(), before);
  close();
  fs::remove_all(store() / "index");
  open();
  EXPECT_EQ(answers(), before);
  close();
  const auto reading = storage::open_log_for_reading(store());
  ASSERT_TRUE(reading) << reading.error().message();
  const auto index = storage::stream_index::open(**reading);
  ASSERT_TRUE(index) << index.error().message();
  const auto snapshot = (*reading)->snapshot();
  EXPECT_EQ(listed(**index, **snapshot, 2), (numbers{1'001, 12, 1'003, 10, 2'001, 3}));
}

TEST_F(archive_test, an_index_on_disk_may_point_to_what_was_archived) {
  truncate_all(11);
  add(customer, 3);
  const auto before = answers();
  writer.reset();
  {
    const auto flushed = storage::stream_index::open(*log, {.memory = 64});
    ASSERT_TRUE(flushed) << flushed.error().message();
    ASSERT_GT((*flushed)->stored_watermark(), log_position(30));
  }
  expect_archived(30);
  EXPECT_EQ(answers(), before);
  add(order(2), 1);
  EXPECT_EQ(versions(order(2)), (numbers{11}));
}

TEST_F(archive_test, an_archive_is_continued) {
  truncate_all();
  expect_archived(10);
  add(customer, 5);
  expect_archived(19);
  expect_whole(19);
  EXPECT_EQ(records_in(archived()).begin()->first, 1U);
}

TEST_F(archive_test, a_second_archive_elsewhere_begins_where_the_first_ends) {
  truncate_all();
  expect_archived(10);
  close();
  const auto second = directory_.path() / "second";
  const auto done = archive(store(), log_position(19), second);
  ASSERT_TRUE(done) << done.error().message();
  const auto moved = records_in(second);
  EXPECT_EQ(moved.begin()->first, 10U);
  EXPECT_EQ(moved.rbegin()->first, 18U);
  EXPECT_EQ(storage::verify_store(second)->problems, 0U);
}

TEST_F(archive_test, refuses_an_archive_that_lacks_what_was_archived_elsewhere) {
  truncate_all();
  expect_archived(10);
  close();
  ASSERT_TRUE(archive(store(), log_position(14), directory_.path() / "second"));
  const auto refused = archive(store(), log_position(19), archived()); // it ends at 9
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  EXPECT_NE(refused.error().message().find("it ends at position 9"), std::string::npos)
    << refused.error().message();
  EXPECT_EQ(records_in(store()).begin()->first, 14U);
}

TEST_F(archive_test, refuses_a_store_that_is_another) {
  truncate_all();
  make_small_store(archived());
  const auto refused = archive_before(19);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  open();
  EXPECT_EQ(records_of(*log).begin()->first, 1U);
}

TEST_F(archive_test, refuses_an_archive_of_which_a_record_differs) {
  truncate_all();
  close();
  const auto copy = directory_.path() / "copy";
  fs::copy(store(), copy, fs::copy_options::recursive);
  ASSERT_TRUE(archive(copy, log_position(10), archived()));
  auto other = all_[4];
  other.back() = static_cast<char>(other.back() ^ 1);
  put_raw(archived(), "events", key_of_position(4), other);
  const auto refused = archive_before(19);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::corrupt);
  EXPECT_NE(refused.error().message().find("position 4"), std::string::npos)
    << refused.error().message();
  EXPECT_EQ(records_in(store()).begin()->first, 1U) << "nothing was deleted";
}

TEST_F(archive_test, a_backup_of_the_store_will_do_as_its_archive) {
  truncate_all();
  ASSERT_TRUE(storage::back_up(*log, archived()));
  expect_archived(19);
  EXPECT_EQ(records_in(archived()).rbegin()->first, 33U) << "it keeps what it had";
}

TEST_F(archive_test, a_command_that_the_position_is_within_stays_whole) {
  truncate_all(11);
  add(customer, 4); // 34 to 37
  const auto done = archive_before(36);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->first, log_position(34));
  expect_whole(34);
}

TEST_F(archive_test, a_second_call_does_nothing_and_says_where_the_log_begins) {
  truncate_all();
  expect_archived(19);
  for (const auto position : {1U, 19U}) {
    const auto again = archive_before(position);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(again->first, log_position(19));
    EXPECT_EQ(again->archived, 0U);
  }
}

TEST_F(archive_test, refuses_a_position_behind_the_log_and_a_store_that_is_not_there) {
  EXPECT_EQ(archive_before(32).error().code(), errc::invalid_argument);
  const auto none = directory_.path() / "none";
  EXPECT_EQ(archive(none, log_position(2), archived()).error().code(), errc::not_found);
  EXPECT_FALSE(fs::exists(none));
  open();
  EXPECT_EQ(archive(store(), log_position(2), archived()).error().code(), errc::store_in_use);
}

TEST_F(archive_test, goes_on_where_it_was_ended_between_copying_and_deleting) {
  truncate_all();
  close();
  const auto saved = directory_.path() / "saved";
  fs::copy(store(), saved, fs::copy_options::recursive);
  ASSERT_TRUE(archive_before(10)); // the archive has 1 to 9, and so has the store again
  fs::remove_all(store());
  fs::rename(saved, store());
  expect_archived(19);
  expect_whole(19);
}

TEST_F(archive_test, goes_on_where_it_was_ended_between_two_deletions) {
  truncate_all();
  close();
  const auto half = directory_.path() / "half";
  fs::copy(store(), half, fs::copy_options::recursive);
  ASSERT_TRUE(archive_before(19)); // the archive has it all
  ASSERT_TRUE(archive(half, log_position(7), directory_.path() / "other"));
  fs::remove_all(store());
  fs::rename(half, store()); // and the store some of it
  expect_archived(19);
  expect_whole(19);
}

TEST_F(archive_test, pages_are_freed_and_taken_again) {
  const std::string large(100'000, 'x');
  for (int i = 0; i < 100; ++i) // 10 MB: several steps
    add(customer, 1, large);
  truncate_all(11);
  ASSERT_TRUE(writer->remove(customer));
  const auto end = log->tail().value() - 3; // of what is carried, all
  const auto before = storage::statistics(*log);
  expect_archived(end);
  const auto after = storage::statistics(*log);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->first, log_position(end));
  EXPECT_GT(after->free_pages, before->free_pages + 2'400) << "some 10 MB";
  EXPECT_LT(after->event_pages, 10U);
  for (int i = 0; i < 80; ++i)
    add(customer, 1, large);
  const auto filled = storage::statistics(*log);
  ASSERT_TRUE(filled);
  EXPECT_LT(filled->used_pages, after->used_pages + 100) << "the file hardly grew";
  expect_whole(end);
}

TEST_F(archive_test, a_log_that_lacks_its_front_is_damaged_all_the_same) {
  truncate_all();
  expect_archived(19);
  close();
  const auto cut = std::string("\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16); // says: from 21
  put_raw(store(), "meta", "first", cut);
  const auto refused = storage::open_log(store());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::corrupt);
  EXPECT_EQ(storage::open_log_for_reading(store()).error().code(), errc::corrupt);
  const auto found = storage::verify_store(store());
  ASSERT_TRUE(found);
  EXPECT_GT(found->problems, 0U);
  const auto repaired = storage::repair_log(store(), directory_.path() / "repaired");
  ASSERT_TRUE(repaired) << repaired.error().message();
  EXPECT_EQ(repaired->kept, log_position(33));
  EXPECT_EQ(records_in(directory_.path() / "repaired").begin()->first, 19U);
}

TEST_F(archive_test, records_that_are_missing_in_front_are_told) {
  truncate_all();
  expect_archived(19);
  close();
  delete_raw(store(), "events", key_of_position(19));
  EXPECT_EQ(storage::open_log(store()).error().code(), errc::corrupt);
  const auto found = storage::verify_store(store());
  ASSERT_TRUE(found);
  ASSERT_FALSE(found->findings.empty());
  EXPECT_EQ(found->findings.front().position, log_position(19));
  EXPECT_NE(found->findings.front().what.find("missing"), std::string::npos);
}

TEST_F(archive_test, a_record_that_is_damaged_ends_what_is_repaired) {
  truncate_all();
  expect_archived(19);
  close();
  auto other = all_[25];
  other.back() = static_cast<char>(other.back() ^ 1);
  for (int i = 0; i < 2; ++i) // else the log before the last commit is sound
    put_raw(store(), "events", key_of_position(25), other);
  const auto repaired = storage::repair_log(store(), directory_.path() / "repaired");
  ASSERT_TRUE(repaired) << repaired.error().message();
  EXPECT_EQ(repaired->kept, log_position(24));
  EXPECT_EQ(repaired->lost, 9U);
  const auto left = records_in(directory_.path() / "repaired");
  EXPECT_EQ(left.begin()->first, 19U);
  EXPECT_EQ(left.rbegin()->first, 24U);
}

TEST_F(archive_test, an_archived_log_is_backed_up_in_full_and_on) {
  truncate_all();
  expect_archived(19);
  const auto copy = directory_.path() / "copy";
  ASSERT_TRUE(storage::back_up(*log, copy));
  EXPECT_EQ(records_in(copy), records_of(*log));
  add(customer, 3);
  const auto done = storage::back_up(*log, copy);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->after.value() - done->before.value(), 3U);
  EXPECT_EQ(records_in(copy), records_of(*log));
  EXPECT_EQ(storage::verify_store(copy)->problems, 0U);
}

TEST_F(archive_test, a_backup_made_before_goes_on_and_keeps_what_was_archived) {
  truncate_all();
  const auto copy = directory_.path() / "copy";
  ASSERT_TRUE(storage::back_up(*log, copy));
  add(customer, 2);
  expect_archived(19);
  const auto done = storage::back_up(*log, copy);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(records_in(copy).begin()->first, 1U);
  EXPECT_EQ(records_in(copy).rbegin()->first, 35U);
}

TEST_F(archive_test, a_backup_that_misses_what_was_archived_is_refused) {
  const auto copy = directory_.path() / "copy";
  ASSERT_TRUE(storage::back_up(*log, copy)); // 1 to 30
  truncate_all(11);
  add(customer, 5);
  expect_archived(34);
  const auto refused = storage::back_up(*log, copy);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  EXPECT_NE(refused.error().message().find("ends at position 30"), std::string::npos)
    << refused.error().message();
}

TEST_F(archive_test, an_archived_log_goes_through_json_and_back) {
  truncate_all();
  expect_archived(19);
  std::string text;
  ASSERT_TRUE(storage::export_json(*log, [&](std::string_view lines) -> result<void> {
    text += lines;
    return {};
  }));
  std::istringstream in(text);
  const auto imported = storage::import_json(in, "text", directory_.path() / "imported");
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(records_in(directory_.path() / "imported"), records_of(*log));
  const auto memory = storage::make_memory_log();
  in.clear();
  in.str(text);
  EXPECT_EQ(storage::import_json(in, "text", *memory).error().code(), errc::invalid_argument);
}

TEST_F(archive_test, an_archived_log_verifies_while_it_is_open_and_counts_what_is_left) {
  truncate_all();
  expect_archived(19);
  const auto found = storage::verify(*log);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->problems, 0U) << (found->findings.empty() ? "" : found->findings.front().what);
  EXPECT_EQ(found->records, 15U);
  const auto counts = storage::count_records(*log);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->categories.front().events, 12U);
}

} // namespace
} // namespace acta::tests
