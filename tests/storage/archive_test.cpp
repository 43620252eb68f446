// Moving the beginning of a log into another store.
#include "../support/archive_fixture.hpp"
#include "../support/raw_store.hpp"

#include <acta/storage/archive.hpp>
#include <acta/storage/backup.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::archive;

TEST_F(archive_test, moves_what_is_before_a_position_into_another_store) {
  truncate_all();
  expect_archived(19);
  EXPECT_EQ(records_of(*log).begin()->first, 19U);
  EXPECT_EQ(versions(order(1)), (numbers{7, 8, 9, 10}));
  expect_whole(19);
}

TEST_F(archive_test, refuses_to_take_events_from_streams_that_need_them) {
  ASSERT_TRUE(writer->truncate(order(1), stream_version(7)));
  const auto tail = log->tail();
  const auto refused = archive_before(19);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  for (const auto* part : {"2 streams still need", "order/2", "order/3", "nothing was archived"})
    EXPECT_NE(refused.error().message().find(part), std::string::npos) << refused.error().message();
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

TEST_F(archive_test, snapshots_that_do_not_open_are_none) {
  save_snapshot(order(3), log_position(24), "the state of order 3");
  close();
  fs::resize_file(store() / "snapshots" / "data.mdb", 8'192);
  const auto refused = archive_before(19);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument) << refused.error().message();
  EXPECT_NE(refused.error().message().find("3 streams"), std::string::npos)
    << refused.error().message();
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
  for (const auto& within : {store(), store() / "archive", store() / "log"}) {
    const auto refused = archive(store(), log_position(2), within);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("lies in the store itself"), std::string::npos);
  }
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

} // namespace
} // namespace acta::tests
