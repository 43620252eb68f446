// A log whose beginning was archived, as those see it who read it.
#include "../support/archive_fixture.hpp"
#include "../support/child_process.hpp"
#include "../support/raw_store.hpp"

#include <acta/storage/backup.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/json_lines.hpp>
#include <acta/storage/repair.hpp>
#include <acta/storage/statistics.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::direction;
using storage::stream_writer;
using archived_log_test = archive_test;

TEST_F(archived_log_test, what_was_archived_is_told_from_what_was_never_there) {
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

TEST_F(archived_log_test,
       a_scan_from_0_begins_at_the_first_there_is_and_a_backward_one_ends_there) {
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

TEST_F(archived_log_test, the_position_at_a_time_is_found_among_what_is_left) {
  truncate_all();
  expect_archived(19);
  const auto snapshot = log->snapshot();
  EXPECT_EQ((*snapshot)->position_before(INT64_MIN), log_position(18)) << "19 follows it";
  EXPECT_EQ((*snapshot)->position_before(INT64_MAX), (*snapshot)->tail());
}

TEST_F(archived_log_test, an_index_that_is_made_anew_says_what_the_old_one_did) {
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
  writer.reset();
  ASSERT_TRUE(storage::stream_index::open(*log, {.memory = 64})) << "most of it on disk";
  open();
  EXPECT_GT(writer->index().stored_watermark(), log_position(end));
  EXPECT_EQ(answers(), before);
  close();
  const auto reading = storage::open_log_for_reading(store());
  ASSERT_TRUE(reading) << reading.error().message();
  const auto index = storage::stream_index::open(**reading);
  ASSERT_TRUE(index) << index.error().message();
  const auto snapshot = (*reading)->snapshot();
  EXPECT_EQ(listed(**index, **snapshot, 2), (numbers{1'001, 12, 1'003, 10, 2'001, 3}));
}

TEST_F(archived_log_test, an_index_on_disk_may_point_to_what_was_archived) {
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

TEST_F(archived_log_test, pages_are_freed_and_taken_again) {
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

TEST_F(archived_log_test, a_log_that_lacks_its_front_is_damaged_all_the_same) {
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

TEST_F(archived_log_test, records_that_are_missing_in_front_are_told) {
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

TEST_F(archived_log_test, a_record_that_is_damaged_ends_what_is_repaired) {
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

TEST_F(archived_log_test, an_archived_log_is_backed_up_in_full_and_on) {
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

TEST_F(archived_log_test, a_backup_that_was_cut_short_is_not_taken_for_a_store) {
  truncate_all(11); // positions 31 to 33
  add(order(1), 4);
  expect_archived(34); // its truncations are stored again, at the end
  const auto copy = directory_.path() / "copy";
  ASSERT_TRUE(storage::back_up(*log, copy));
  delete_raw(copy, "events", key_of_position(log->tail().value()));
  for (const auto& refused :
       {storage::open_log(copy).error(), storage::open_log_for_reading(copy).error()}) {
    EXPECT_EQ(refused.code(), errc::corrupt);
    EXPECT_NE(refused.message().find("copied in part"), std::string::npos) << refused.message();
  }
  const auto found = storage::verify_store(copy);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->problems, 1U);
  const auto done = storage::back_up(*log, copy);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(records_in(copy), records_of(*log));
  EXPECT_EQ(storage::verify_store(copy)->problems, 0U);
}

TEST_F(archived_log_test, of_truncations_the_one_that_holds_is_read) {
  truncate_all(11);
  add(order(1), 4);
  expect_archived(34);
  std::uint16_t truncations = 1;
  while (log->category_name(category_id(truncations)) != "acta.retention/order")
    ++truncations;
  const stream_id stream(category_id(truncations), 1);
  for (int round = 0; round < 2; ++round) { // with the index as it was, and made anew
    for (const auto way : {direction::forward, direction::backward})
      EXPECT_EQ(versions(stream, way), numbers{2});
    close();
    fs::remove_all(store() / "index");
    open();
  }
}

TEST_F(archived_log_test, a_backup_made_before_goes_on_and_keeps_what_was_archived) {
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

TEST_F(archived_log_test, a_backup_that_misses_what_was_archived_is_refused) {
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

TEST_F(archived_log_test, an_archived_log_goes_through_json_and_back) {
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

TEST_F(archived_log_test, an_archived_log_verifies_while_it_is_open_and_counts_what_is_left) {
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

TEST_F(archived_log_test, a_reader_in_another_process_keeps_what_its_snapshot_has) {
  truncate_all();
  close();
  const auto reader = storage::open_log_for_reading(store());
  ASSERT_TRUE(reader) << reader.error().message();
  const auto index = storage::stream_index::open(**reader);
  ASSERT_TRUE(index) << index.error().message();
  const auto snapshot = (*reader)->snapshot();
  ASSERT_EQ(in_child([&] { return archive_before(19) ? 0 : 1; }), 0);
  EXPECT_EQ((*snapshot)->first(), log_position(1));
  ASSERT_TRUE((*snapshot)->at(log_position(1)));
  EXPECT_EQ(text_of((*snapshot)->at(log_position(1))->bytes()), all_[1]);
  ASSERT_TRUE((*snapshot)->refresh());
  EXPECT_EQ((*snapshot)->first(), log_position(19));
  EXPECT_EQ((*snapshot)->at(log_position(1)).error().code(), errc::not_found);
  ASSERT_TRUE((*index)->catch_up());
  const auto read = (*index)->read(order(1), **snapshot);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->size(), 4U);
}

/// LMDB does not write pages that a transaction takes and gives back, and a file that ends before
/// its last page is taken for a cut one.
TEST_F(archived_log_test, the_file_is_longer_than_its_last_page_whatever_is_appended) {
  for (int i = 0; i < 3'000; ++i) // a list of free pages of several pages
    add(customer, 1, std::string(3'000, 'x'));
  truncate_all(11);
  ASSERT_TRUE(writer->remove(customer));
  expect_archived(log->tail().value() - 3);
  std::mt19937_64 random(5); // the same sizes every time
  for (int i = 0; i < 300; ++i) {
    add(customer, 1, std::string(std::size_t{1} << (random() % 17), 'y'));
    const auto now = storage::statistics(*log);
    ASSERT_TRUE(now);
    constexpr std::uint64_t room = std::uint64_t{8} << 20U;
    ASSERT_LE(now->used_pages * now->page_size + room, now->file_size) << "after " << i;
    if (i % 100 == 0)
      open();
  }
  close();
  EXPECT_EQ(storage::verify_store(store())->problems, 0U);
}

TEST_F(archived_log_test, where_it_begins_is_kept_with_the_checksum_of_the_record_before) {
  truncate_all();
  expect_archived(19);
  const auto whole = log->tail().value();
  close();
  std::string stored;
  change_raw(store() / "log", "meta", [&](MDB_txn* in, MDB_dbi meta) {
    std::string name = "first";
    MDB_val key{name.size(), name.data()};
    MDB_val value{};
    const int code = mdb_get(in, meta, &key, &value);
    stored.assign(static_cast<const char*>(value.mv_data), value.mv_size);
    return code;
  });
  EXPECT_EQ(stored,
            key_of_position(19) + all_[18].substr(0, 8) + key_of_position(whole)); // docs/format.md
}

TEST_F(archived_log_test, goes_on_at_durability_process) {
  truncate_all();
  expect_archived(19);
  for (int round = 0; round < 2; ++round) {
    close();
    auto opened = storage::open_log(store(), {.durability = storage::durability::process});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    writer = std::move(*stream_writer::open(*log));
    add(order(1), 3);
  }
  EXPECT_EQ(versions(order(1)).size(), 10U);
  expect_whole(19);
}

} // namespace
} // namespace acta::tests
