#include "../support/any_log.hpp"
#include "../support/raw_store.hpp"

#include <acta/base/limits.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using storage::snapshot_criteria;
using storage::snapshot_store;
using storage::stream_snapshot;

class snapshot_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    open();
  }

  void open(std::size_t keep = 5) {
    snapshots.reset();
    auto opened = storage::open_snapshots(*log, {.keep = keep});
    ASSERT_TRUE(opened) << opened.error().message();
    snapshots = std::move(*opened);
  }

  /// A snapshot at a version, dated ten times that.
  [[nodiscard]] static storage::snapshot_to_save at(const stream_id& stream, std::uint64_t version,
                                                    std::string_view state) {
    return {.stream = stream,
            .snapshot = {.version = stream_version(version),
                         .position = log_position(version),
                         .recorded_at_ns = date_of(version),
                         .state = std::as_bytes(std::span(state))}};
  }
  [[nodiscard]] static std::int64_t date_of(std::uint64_t version) {
    return static_cast<std::int64_t>(version) * 10;
  }
  void save(const storage::snapshot_to_save& one) {
    const auto saved = snapshots->save(std::span(&one, 1));
    ASSERT_TRUE(saved) << saved.error().message();
  }
  void save_five() {
    for (const std::uint64_t version : {11U, 12U, 13U, 14U, 15U})
      save(at(order, version, "s-" + std::to_string(version - 10)));
  }

  /// The states that match, newest first; "damaged" for one that is.
  [[nodiscard]] std::vector<std::string> all(const stream_id& stream,
                                             const snapshot_criteria& criteria = {}) const {
    std::vector<std::string> found;
    const auto read = snapshots->read(stream, criteria, [&](const result<stream_snapshot>& one) {
      found.emplace_back(one ? text_of(one->state) : "damaged");
      return true;
    });
    EXPECT_TRUE(read) << read.error().message();
    return found;
  }
  [[nodiscard]] std::string newest(const snapshot_criteria& criteria = {}) const {
    const auto found = all(order, criteria);
    return found.empty() ? "none" : found.front();
  }
  [[nodiscard]] static snapshot_criteria up_to(std::uint64_t version) {
    return {.max_version = stream_version(version)};
  }
  [[nodiscard]] static snapshot_criteria only(std::uint64_t version) {
    return {.min_version = stream_version(version), .max_version = stream_version(version)};
  }

  const stream_id order{category_id(1), 7};
  std::unique_ptr<snapshot_store> snapshots;
};

TEST_P(snapshot_test, of_an_unknown_stream_is_none) { // F100
  save_five();
  EXPECT_TRUE(all(stream_id(category_id(1), 8)).empty());
  EXPECT_TRUE(all(stream_id(category_id(2), 7)).empty());
}

TEST_P(snapshot_test, is_none_where_none_is_old_enough) { // F100
  save_five();
  EXPECT_EQ(newest({.max_recorded_at_ns = 100}), "none");
  EXPECT_EQ(newest(up_to(7)), "none");
}

TEST_P(snapshot_test, is_the_newest_within_the_bounds) { // F101
  save_five();
  EXPECT_EQ(newest(), "s-5");
  EXPECT_EQ(newest(up_to(13)), "s-3");
  auto dated = up_to(13);
  dated.max_recorded_at_ns = date_of(13);
  EXPECT_EQ(newest(dated), "s-3");
  EXPECT_EQ(newest({.max_recorded_at_ns = date_of(13)}), "s-3");
  EXPECT_EQ(all(order), (std::vector<std::string>{"s-5", "s-4", "s-3", "s-2", "s-1"}));
  EXPECT_EQ(all(order, {.min_version = stream_version(14)}),
            (std::vector<std::string>{"s-5", "s-4"}));
}

TEST_P(snapshot_test, that_was_removed_makes_way_for_the_one_before) { // F102
  save_five();
  EXPECT_EQ(snapshots->remove(order, only(13)), 1U);
  EXPECT_EQ(newest(up_to(13)), "s-2");
  EXPECT_EQ(newest(), "s-5");
}

TEST_P(snapshot_test, are_removed_up_to_a_version) { // F103
  save_five();
  EXPECT_EQ(snapshots->remove(order, up_to(13)), 3U);
  EXPECT_EQ(all(order), (std::vector<std::string>{"s-5", "s-4"}));
}

TEST_P(snapshot_test, stays_if_it_is_newer_than_the_date_given) { // F104
  save_five();
  auto earlier = only(13);
  earlier.max_recorded_at_ns = date_of(13) - 1;
  EXPECT_EQ(snapshots->remove(order, earlier), 0U);
  EXPECT_EQ(newest(up_to(13)), "s-3");
  earlier.max_recorded_at_ns = date_of(13);
  EXPECT_EQ(snapshots->remove(order, earlier), 1U);
}

TEST_P(snapshot_test, takes_the_place_of_one_of_the_same_version) { // F105
  save_five();
  save(at(order, 15, "a state of another size"));
  EXPECT_EQ(newest(), "a state of another size");
  EXPECT_EQ(all(order).size(), 5U);
}

TEST_P(snapshot_test, may_be_large) { // F106
  const std::string ten_thousand(10'000, 'a');
  const std::string megabyte(1 << 20U, 'b');
  save(at(order, 1, ten_thousand));
  save(at(order, 2, megabyte));
  EXPECT_EQ(all(order), (std::vector{megabyte, ten_thousand}));
}

TEST_P(snapshot_test, over_the_limit_is_refused_and_leaves_what_was_there) {
  save(at(order, 1, "small"));
  const std::string large(limits::max_snapshot_size + 1, 'x');
  const std::array two{at(order, 2, "smaller"), at(order, 3, large)};
  const auto refused = snapshots->save(two);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::too_large);
  EXPECT_NE(refused.error().message().find("stream 1/7"), std::string::npos);
  const std::array nothing{at(order, 0, "nothing")};
  EXPECT_EQ(snapshots->save(nothing).error().code(), errc::invalid_argument);
  EXPECT_EQ(all(order), (std::vector<std::string>{"small"}));
}

TEST_P(snapshot_test, comes_back_with_all_that_was_saved_with_it) { // F107
  const std::string metadata = "thirteen byte";
  const auto uuid = std::array<std::byte, 16>{std::byte{0xff}, std::byte{1}};
  const std::string long_key(limits::max_key_size, 'k');
  const std::vector<stream_id> streams{
    {category_id(0xffff), std::numeric_limits<std::uint64_t>::max()},
    {category_id(1), uuid},
    *stream_id::from_text(category_id(1), "k"),
    *stream_id::from_text(category_id(1), long_key)};
  for (const auto& stream : streams) {
    auto one = at(stream, 300, "state");
    one.snapshot.event_checksum = 0x0102030405060708;
    one.snapshot.schema_hash = 99;
    one.snapshot.metadata = std::as_bytes(std::span(metadata));
    save(one);
  }
  for (const auto& stream : streams) {
    int seen = 0;
    const auto look = [&](const result<stream_snapshot>& one) {
      EXPECT_EQ(one->version, stream_version(300));
      EXPECT_EQ(one->position, log_position(300));
      EXPECT_EQ(one->event_checksum, 0x0102030405060708U);
      EXPECT_EQ(one->recorded_at_ns, 3'000);
      EXPECT_EQ(one->schema_hash, 99U);
      EXPECT_EQ(text_of(one->metadata), metadata);
      EXPECT_EQ(text_of(one->state), "state");
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one->state.data()) % 8, 0U);
      ++seen;
      return true;
    };
    EXPECT_TRUE(snapshots->read(stream, {}, look));
    EXPECT_EQ(seen, 1) << stream.to_string();
  }
}

TEST_P(snapshot_test, that_is_missing_is_removed_without_an_error) { // F108
  EXPECT_EQ(snapshots->remove(order, only(13)), 0U);
  save_five();
  EXPECT_EQ(snapshots->remove(order, {}), 5U);
  EXPECT_EQ(newest(), "none");
  EXPECT_EQ(snapshots->remove(order, {}), 0U);
}

TEST_P(snapshot_test, may_depend_on_the_newest_there_is) { // F115
  auto one = at(order, 1, "first");
  one.newest = expected_version::none();
  save(one);
  auto two = at(order, 2, "second");
  two.newest = expected_version::exactly(stream_version(1));
  save(two);
  two = at(order, 2, "another");
  two.newest = expected_version::exactly(stream_version(1));
  const auto refused = snapshots->save(std::span(&two, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::wrong_version);
  EXPECT_NE(refused.error().message().find("version 1"), std::string::npos);
  EXPECT_NE(refused.error().message().find("of version 2"), std::string::npos);
  EXPECT_EQ(newest(), "second");
}

TEST_P(snapshot_test, is_kept_while_it_is_among_the_newest) {
  open(2);
  save_five();
  EXPECT_EQ(all(order), (std::vector<std::string>{"s-5", "s-4"}));
  save(at(stream_id(category_id(1), 8), 1, "another's"));
  EXPECT_EQ(all(order).size(), 2U) << "each stream has its own";
}

TEST_P(snapshot_test, of_an_earlier_version_removes_those_of_a_lost_future) {
  open(2);
  save_five();
  save(at(order, 12, "after the log was restored"));
  EXPECT_EQ(all(order), (std::vector<std::string>{"after the log was restored"}));
}

TEST_P(snapshot_test, keeps_streams_apart_whose_keys_begin_alike) {
  using namespace std::string_literals;
  const std::vector keys{"a"s, "a\0\0\0\0\0\0\0\5"s, "ab"s, "a\0"s, "b"s};
  for (const auto& key : keys)
    for (const std::uint64_t version : {5U, 6U})
      save(at(*stream_id::from_text(category_id(1), key), version, key + std::to_string(version)));
  for (const auto& key : keys)
    EXPECT_EQ(all(*stream_id::from_text(category_id(1), key)), (std::vector{key + "6", key + "5"}));
}

TEST_P(snapshot_test, is_read_while_others_are_saved) {
  const std::string large(100'000, 'x');
  std::atomic<bool> stop = false;
  std::jthread reader([&] {
    while (!stop)
      for (const auto& state : all(order))
        EXPECT_EQ(state, large);
  });
  for (std::uint64_t version = 1; version <= 50; ++version)
    save(at(order, version, large));
  stop = true;
}

TEST_P(snapshot_test, belongs_to_the_log_that_has_its_last_event) {
  append(7, 1, 3);
  append(8, 1);
  const auto now = log->snapshot();
  const auto last = (*now)->at(log_position(3));
  const stream_snapshot sound{.version = stream_version(3),
                              .position = log_position(3),
                              .event_checksum = last->header().checksum};
  EXPECT_TRUE(storage::verify(sound, order, **now));
  const auto expect_refused = [&](const stream_snapshot& one, const std::string& part) {
    const auto refused = storage::verify(one, order, **now);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::corrupt);
    EXPECT_NE(refused.error().message().find(part), std::string::npos) << refused.error().message();
  };
  auto beyond = sound;
  beyond.position = log_position(5);
  expect_refused(beyond, "the log ends at 4");
  auto others = sound;
  others.position = log_position(4);
  expect_refused(others, "position 4");
  auto earlier = sound;
  earlier.version = stream_version(2);
  expect_refused(earlier, "another log");
  auto changed = sound;
  changed.event_checksum ^= 1U;
  expect_refused(changed, "another log");
}

TEST_P(snapshot_test, refuses_to_keep_none) {
  EXPECT_EQ(storage::open_snapshots(*log, {.keep = 0}).error().code(), errc::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(logs, snapshot_test, any_log, name_of_log);

/// Snapshots on disk.
class snapshot_file_test : public snapshot_test {
protected:
  [[nodiscard]] std::filesystem::path directory() const { return log->directory() / "snapshots"; }
  void open_again() {
    snapshots.reset();
    reopen();
    open();
  }
};

TEST_P(snapshot_file_test, is_there_when_the_store_is_opened_again) {
  save_five();
  open_again();
  EXPECT_EQ(newest(), "s-5");
}

TEST_P(snapshot_file_test, may_be_deleted_at_any_time) { // I4
  save_five();
  snapshots.reset();
  ASSERT_TRUE(storage::remove_snapshots(*log));
  EXPECT_FALSE(std::filesystem::exists(directory() / "data.mdb"));
  ASSERT_TRUE(storage::remove_snapshots(*log)) << "and there are none to remove";
  open_again();
  EXPECT_EQ(newest(), "none");
}

TEST_P(snapshot_file_test, is_open_once_at_a_time) {
  EXPECT_EQ(storage::open_snapshots(*log).error().code(), errc::store_in_use);
  EXPECT_EQ(storage::remove_snapshots(*log).error().code(), errc::store_in_use);
}

TEST_P(snapshot_file_test, opens_after_a_large_one_was_replaced_in_the_step_that_saved_it) {
  open(1);
  for (std::uint64_t version = 1; version <= 20; version += 2) {
    const std::string large(version * 100'000, 'x');
    const std::array two{at(order, version, large), at(order, version + 1, "small")};
    ASSERT_TRUE(snapshots->save(two));
    open_again(); // LMDB has left out pages that it had reserved at the end of the file
    EXPECT_EQ(all(order), std::vector<std::string>{"small"});
    open(1);
  }
}

TEST_P(snapshot_file_test, opens_after_many_were_removed) {
  for (std::uint64_t key = 1; key <= 2'000; ++key)
    save(at(stream_id(category_id(1), key), 1, "some state"));
  for (std::uint64_t key = 2'000; key > 1; --key)
    ASSERT_EQ(snapshots->remove(stream_id(category_id(1), key), {}), 1U);
  open_again();
  EXPECT_EQ(all(stream_id(category_id(1), 1)), std::vector<std::string>{"some state"});
}

TEST_P(snapshot_file_test, that_is_damaged_is_told_and_passed_over) {
  save_five();
  snapshots.reset();
  const auto file = directory() / "data.mdb";
  std::ifstream in(file, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  std::size_t flipped = 0;
  for (auto at = bytes.find("s-5"); at != std::string::npos; at = bytes.find("s-5", at + 1)) {
    bytes[at] = 'x'; // also in pages that LMDB no longer uses
    ++flipped;
  }
  ASSERT_GT(flipped, 0U);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  open();
  EXPECT_EQ(all(order), (std::vector<std::string>{"damaged", "s-4", "s-3", "s-2", "s-1"}));
  EXPECT_EQ(newest({.max_recorded_at_ns = date_of(14)}), "damaged") << "its date is not known";
  EXPECT_EQ(snapshots->remove(order, only(15)), 1U);
  EXPECT_EQ(newest(), "s-4");
}

TEST_P(snapshot_file_test, names_a_file_that_is_none) {
  snapshots.reset();
  std::ofstream(directory() / "data.mdb", std::ios::trunc) << std::string(10'000, 'x');
  const auto refused = storage::open_snapshots(*log);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::corrupt);
  EXPECT_NE(refused.error().message().find("snapshots/data.mdb"), std::string::npos);
  ASSERT_TRUE(storage::remove_snapshots(*log));
  open();
  save_five();
}

TEST_P(snapshot_file_test, names_a_file_that_was_cut) {
  save(at(order, 1, std::string(100'000, 'x')));
  snapshots.reset();
  std::filesystem::resize_file(directory() / "data.mdb", 40'960);
  const auto refused = storage::open_snapshots(*log);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::corrupt);
  EXPECT_NE(refused.error().message().find("cut short"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(logs, snapshot_file_test, ::testing::Values(storage::durability::power),
                         name_of_log);

} // namespace
} // namespace acta::tests
