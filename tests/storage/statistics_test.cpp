#include "../support/any_log.hpp"
#include "../support/child_process.hpp"

#include <acta/storage/statistics.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace acta::tests {
namespace {

using storage::count_records;
using storage::statistics;

class statistics_test : public any_log_test {
protected:
  void append_one(const stream_id& to, std::uint64_t version, std::uint16_t type) const {
    const finished_record record(to, version, "sixteen bytes it", 0, 0, type);
    const std::array all{record.bytes()};
    ASSERT_TRUE(log->append(all, 1'000 + static_cast<std::int64_t>(version)));
  }
  [[nodiscard]] bool in_memory() const { return GetParam() == storage::durability::memory; }
};

TEST_P(statistics_test, counts_records_by_category_and_event_type) {
  ASSERT_TRUE(log->register_category("order"));
  ASSERT_TRUE(log->register_event_type("submitted"));
  ASSERT_TRUE(log->register_event_type("cancelled"));
  append_one(stream_id(category_id(1), 1), 1, 1);
  append_one(stream_id(category_id(1), 2), 1, 1);
  append_one(stream_id(category_id(1), 1), 2, 2);
  append_one(stream_id(category_id(9), 1), 1, 2);
  log_position reached;
  const auto counted = count_records(*log, [&](log_position at) { reached = at; });
  ASSERT_TRUE(counted) << counted.error().message();
  EXPECT_EQ(reached, log_position(4));
  ASSERT_EQ(counted->categories.size(), 2U);
  EXPECT_EQ(counted->categories[0].name, "order");
  EXPECT_EQ(counted->categories[0].events, 3U);
  EXPECT_EQ(counted->categories[0].streams, 2U);
  EXPECT_EQ(counted->categories[0].bytes, 3U * (56 + 8 + 16));
  EXPECT_EQ(counted->categories[1].name, "#9") << "has no name";
  ASSERT_EQ(counted->event_types.size(), 2U);
  EXPECT_EQ(counted->event_types[0].name, "submitted");
  EXPECT_EQ(counted->event_types[0].events, 2U);
  EXPECT_EQ(counted->event_types[1].events, 2U);
}

TEST_P(statistics_test, says_what_a_log_on_disk_is_made_of) {
  if (in_memory()) {
    EXPECT_EQ(statistics(*log).error().code(), errc::invalid_argument);
    return;
  }
  const auto empty = statistics(*log);
  ASSERT_TRUE(empty) << empty.error().message();
  EXPECT_EQ(empty->events, 0U);
  EXPECT_FALSE(empty->last_recorded_at_ns);
  for (std::uint64_t version = 1; version <= 500; ++version)
    append_one(stream_id(category_id(1), 1), version, 1);
  const auto now = statistics(*log);
  ASSERT_TRUE(now) << now.error().message();
  EXPECT_EQ(now->store_id.size(), 32U);
  EXPECT_EQ(now->store_id, empty->store_id);
  EXPECT_GT(now->created_at_ns, 0);
  EXPECT_EQ(now->events, 500U);
  EXPECT_EQ(now->tail, log_position(500));
  EXPECT_EQ(now->first_recorded_at_ns, 1'001);
  EXPECT_EQ(now->last_recorded_at_ns, 1'500);
  EXPECT_EQ(now->transactions, empty->transactions + 500);
  EXPECT_GT(now->event_pages, 500U * 80 / now->page_size) << "80 bytes a record";
  EXPECT_GT(now->free_pages, 0U) << "of the commits before";
  EXPECT_LE(now->event_pages + now->free_pages, now->used_pages);
  EXPECT_LE(now->used_pages * now->page_size, now->file_size);
  EXPECT_EQ(now->map_size, limits::default_map_size);
  EXPECT_EQ(now->max_readers, limits::max_readers);
}

TEST_P(statistics_test, finds_the_oldest_reader_and_how_far_it_is_behind) {
  if (in_memory())
    return;
  append_one(stream_id(category_id(1), 1), 1, 1);
  const auto old = log->snapshot();
  for (std::uint64_t version = 2; version <= 11; ++version)
    append_one(stream_id(category_id(1), 1), version, 1);
  const auto now = statistics(*log);
  ASSERT_TRUE(now);
  ASSERT_TRUE(now->oldest_reader);
  EXPECT_EQ(now->oldest_reader->process, ::getpid());
  EXPECT_GE(now->oldest_reader->behind, 10U); // more at `process`, whose last sync is read too
  EXPECT_EQ(now->oldest_reader->transaction + now->oldest_reader->behind, now->transactions);
  EXPECT_GE(now->readers_in_use, 1U);
}

TEST_P(statistics_test, clears_the_readers_of_processes_that_are_gone) {
  if (in_memory())
    return;
  append_one(stream_id(category_id(1), 1), 1, 1);
  ASSERT_EQ(in_child([&] { // ends without closing what it has open
              auto reader = storage::open_log_for_reading(log->directory());
              if (!reader)
                return 1;
              auto snapshot = (*reader)->snapshot();
              if (!snapshot)
                return 2;
              ::_exit(0);
            }),
            0);
  EXPECT_GE(statistics(*log)->stale_readers, 1U);
  EXPECT_EQ(statistics(*log)->stale_readers, 0U);
}

INSTANTIATE_TEST_SUITE_P(logs, statistics_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests
