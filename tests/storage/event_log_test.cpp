// What every log must do, whatever it is kept in.
#include "../support/any_log.hpp"

#include <acta/base/limits.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using storage::event_log;

class event_log_test : public any_log_test {};

TEST_P(event_log_test, starts_empty_and_says_what_it_promises) {
  EXPECT_EQ(log->tail(), log_position(0));
  EXPECT_EQ(log->durability(), GetParam());
  const auto snapshot = log->snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ((*snapshot)->tail(), log_position(0));
  const auto cursor = (*snapshot)->scan(log_position(1));
  ASSERT_TRUE(cursor);
  EXPECT_TRUE((*cursor)->next()->empty());
}

TEST_P(event_log_test, appends_at_positions_without_a_gap) {
  append(1, 1, 3);
  append(2, 1, 1);
  EXPECT_EQ(log->tail(), log_position(4));
  const auto nothing = log->append({}, 1'000);
  ASSERT_TRUE(nothing);
  EXPECT_EQ(*nothing, log_position(4));
  const auto snapshot = log->snapshot();
  for (std::uint64_t at = 1; at <= 4; ++at) {
    const auto record = (*snapshot)->at(log_position(at));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->position(), log_position(at));
    EXPECT_TRUE(record->verify());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record->payload().data()) % 8, 0U);
  }
  EXPECT_EQ(text_of((*snapshot)->at(log_position(3))->payload()), "event 1/3");
}

TEST_P(event_log_test, dates_records_so_that_dates_never_fall) {
  const auto append_at = [&](std::uint64_t version, std::int64_t now_ns) {
    const finished_record record(stream_id(category_id(1), 1), version, "x");
    const std::array records{record.bytes()};
    ASSERT_TRUE(log->append(records, now_ns));
  };
  append_at(1, 500);
  append_at(2, 700);
  append_at(3, 600); // the clock was set back
  if (GetParam() == storage::durability::power)
    reopen();
  append_at(4, 650);
  append_at(5, 701);
  const auto snapshot = log->snapshot();
  for (const auto& [position, date] :
       std::map<std::uint64_t, std::int64_t>{{1, 500}, {2, 700}, {3, 700}, {4, 700}, {5, 701}}) {
    const auto record = (*snapshot)->at(log_position(position));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->header().recorded_at_ns, date) << "position " << position;
    EXPECT_TRUE(record->verify());
  }
}

TEST_P(event_log_test, has_nothing_at_0_and_beyond_its_tail) {
  append(1, 1, 2);
  const auto snapshot = log->snapshot();
  for (const std::uint64_t at : {0U, 3U, 4U}) {
    const auto record = (*snapshot)->at(log_position(at));
    ASSERT_FALSE(record);
    EXPECT_EQ(record.error().code(), errc::not_found);
  }
}

TEST_P(event_log_test, scans_from_any_position_in_batches) {
  constexpr std::uint64_t count = 3 * limits::cursor_batch + 5;
  append(1, 1, count);
  const auto snapshot = log->snapshot();
  for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2},
                                   std::uint64_t{limits::cursor_batch}, count, count + 1}) {
    const auto cursor = (*snapshot)->scan(log_position(from));
    ASSERT_TRUE(cursor);
    auto expected = std::max<std::uint64_t>(from, 1);
    for (;;) {
      const auto records = (*cursor)->next();
      ASSERT_TRUE(records);
      if (records->empty())
        break;
      EXPECT_LE(records->size(), limits::cursor_batch);
      for (const auto& record : *records)
        EXPECT_EQ(record.position(), log_position(expected++));
    }
    EXPECT_EQ(expected, std::max(count + 1, from));
  }
}

TEST_P(event_log_test, shows_a_snapshot_as_it_was_until_it_is_refreshed) {
  append(1, 1);
  const auto snapshot = log->snapshot();
  append(1, 2);
  EXPECT_EQ((*snapshot)->tail(), log_position(1));
  EXPECT_FALSE((*snapshot)->at(log_position(2)));
  ASSERT_TRUE((*snapshot)->refresh());
  EXPECT_EQ((*snapshot)->tail(), log_position(2));
  EXPECT_TRUE((*snapshot)->at(log_position(2)));
}

TEST_P(event_log_test, numbers_names_from_1_and_knows_them_again) {
  EXPECT_EQ(log->register_category("order"), category_id(1));
  EXPECT_EQ(log->register_category("account"), category_id(2));
  EXPECT_EQ(log->register_category("order"), category_id(1));
  EXPECT_EQ(log->register_event_type("submitted"), event_type_id(1));
  EXPECT_EQ(log->category_name(category_id(2)), "account");
  EXPECT_EQ(log->event_type_name(event_type_id(1)), "submitted");
  EXPECT_EQ(log->category_name(category_id(0)), "");
  EXPECT_EQ(log->category_name(category_id(3)), "");
  EXPECT_FALSE(log->register_category(""));
}

TEST_P(event_log_test, can_be_read_by_many_while_it_is_written) {
  constexpr std::uint64_t appends = 200;
  std::atomic<bool> sound = true;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      std::uint64_t seen = 0;
      auto snapshot = log->snapshot();
      while (snapshot && sound && seen < appends * 3) {
        auto cursor = (*snapshot)->scan(log_position(seen + 1));
        for (;;) {
          const auto records = (*cursor)->next();
          if (!records || records->empty())
            break;
          for (const auto& record : *records)
            if (record.position() != log_position(++seen) || !record.verify())
              sound = false;
        }
        cursor->reset();
        if (!(*snapshot)->refresh())
          sound = false;
      }
      if (!snapshot)
        sound = false;
    });
  for (std::uint64_t i = 0; i < appends; ++i)
    append(i, 1, 3);
  for (auto& reader : readers)
    reader.join();
  EXPECT_TRUE(sound);
}

TEST_P(event_log_test, has_an_index_that_finds_each_streams_events) {
  const auto opened = storage::stream_index::open(*log);
  ASSERT_TRUE(opened) << opened.error().message();
  auto& index = **opened;
  append(1, 1, 2);
  append(2, 1, 1);
  const stream_id first(category_id(1), 1);
  EXPECT_TRUE(index.surely_absent(first)) << "not caught up yet";
  ASSERT_TRUE(index.catch_up());
  EXPECT_EQ(index.watermark(), log_position(3));
  append(1, 3, 1);
  ASSERT_TRUE(index.catch_up());
  const auto snapshot = log->snapshot();
  EXPECT_EQ(positions(index.read(first, **snapshot)), (std::vector<std::uint64_t>{1, 2, 4}));
  EXPECT_FALSE(index.surely_absent(first));
  EXPECT_TRUE(index.read(stream_id(category_id(1), 3), **snapshot)->empty());
  EXPECT_TRUE(index.read(stream_id(category_id(2), 1), **snapshot)->empty());
}

TEST_P(event_log_test, has_an_index_of_many_streams) {
  constexpr std::uint64_t streams = 30'000;
  std::vector<finished_record> made;
  for (std::uint64_t version = 1; version <= 2; ++version)
    for (std::uint64_t key = 1; key <= streams; ++key)
      made.emplace_back(stream_id(category_id(1), key), version, "x");
  std::vector<std::span<const std::byte>> records;
  for (const auto& one : made)
    records.push_back(one.bytes());
  ASSERT_TRUE(log->append(records, 1'000));
  const auto opened = storage::stream_index::open(*log);
  ASSERT_TRUE(opened) << opened.error().message();
  auto& index = **opened;
  const auto snapshot = log->snapshot();
  for (std::uint64_t key = 1; key <= streams; ++key) {
    ASSERT_EQ(positions(index.read(stream_id(category_id(1), key), **snapshot)),
              (std::vector{key, streams + key}));
  }
  int absent = 0;
  for (std::uint64_t key = streams + 1; key <= 2 * streams; ++key)
    absent += index.surely_absent(stream_id(category_id(1), key)) ? 1 : 0;
  EXPECT_GT(absent, static_cast<int>(streams) - 10) << "a hash of 38 bits is rarely shared";
}

TEST_P(event_log_test, has_an_index_that_finds_a_command_cut_off) {
  const finished_record whole(stream_id(category_id(1), 1), 1, "x");
  const finished_record first_of_two(stream_id(category_id(1), 1), 2, "x", 1);
  const std::array records{whole.bytes(), first_of_two.bytes()};
  ASSERT_TRUE(log->append(records, 1'000));
  const auto indexed = storage::stream_index::open(*log);
  ASSERT_FALSE(indexed);
  EXPECT_EQ(indexed.error().code(), errc::corrupt);
  EXPECT_NE(indexed.error().message().find("within a command"), std::string::npos)
    << indexed.error().message();
}

TEST_P(event_log_test, has_an_index_that_finds_gaps_in_a_stream) { // G125
  append(1, 1, 1);
  append(1, 3, 1);
  const auto opened = storage::stream_index::open(*log);
  ASSERT_TRUE(opened) << opened.error().message();
  auto& index = **opened;
  const auto snapshot = log->snapshot();
  const auto found = index.read(stream_id(category_id(1), 1), **snapshot);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), errc::corrupt);
  EXPECT_NE(found.error().message().find("1/1"), std::string::npos) << found.error().message();
}

INSTANTIATE_TEST_SUITE_P(logs, event_log_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests
