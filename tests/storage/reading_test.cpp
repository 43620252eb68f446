// Reading a log and its streams: forward, backward, from anywhere, some of it, since a time.
#include "../support/any_log.hpp"

#include <acta/storage/stream_index.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <ranges>

namespace acta::tests {
namespace {

using storage::direction;
using storage::scan_options;
using numbers = std::vector<std::uint64_t>;
constexpr auto backward = direction::backward;

class reading_test : public any_log_test {
protected:
  const stream_id five{category_id(1), 5};  ///< Has versions 1 to 5 at positions 1, 3, 5, 7, 9.
  const stream_id other{category_id(1), 6}; ///< Has versions 1 to 4 at positions 2, 4, 6, 8.
  static constexpr log_position end{UINT64_MAX};

  void fill() {
    for (std::uint64_t version = 1; version <= 5; ++version) {
      append(5, version);
      if (version < 5)
        append(6, version);
    }
    catch_up();
  }
  void catch_up() {
    index.reset();
    auto opened = storage::stream_index::open(*log);
    ASSERT_TRUE(opened) << opened.error().message();
    index = std::move(*opened);
    auto taken = log->snapshot();
    ASSERT_TRUE(taken);
    snapshot = std::move(*taken);
  }
  void TearDown() override { snapshot.reset(); }

  [[nodiscard]] numbers versions(const stream_id& stream, std::uint64_t from, std::size_t max = 100,
                                 direction way = direction::forward) const {
    const auto read = index->read(stream, *snapshot, stream_version(from), max, way);
    numbers all;
    EXPECT_TRUE(read) << read.error().message();
    for (const auto& record : *read)
      all.push_back(record.version().value());
    return all;
  }
  [[nodiscard]] numbers scan(log_position from, const scan_options& options = {}) const {
    numbers all;
    const auto cursor = snapshot->scan(from, options);
    EXPECT_TRUE(cursor);
    for (;;) {
      const auto records = (*cursor)->next();
      EXPECT_TRUE(records) << records.error().message();
      if (!records || records->empty())
        return all;
      for (const auto& record : *records)
        all.push_back(record.position().value());
    }
  }

  std::unique_ptr<storage::stream_index> index;
  std::unique_ptr<storage::log_snapshot> snapshot;
};

TEST_P(reading_test, a_stream_gives_its_events_in_order) { // C47
  fill();
  EXPECT_EQ(versions(five, 0), (numbers{1, 2, 3, 4, 5}));
  EXPECT_EQ(versions(five, 1), (numbers{1, 2, 3, 4, 5}));
  EXPECT_EQ(index->version(five, *snapshot), stream_version(5));
}

TEST_P(reading_test, a_stream_can_be_read_from_any_version_and_in_batches) { // C48, C50, C51, C77
  fill();
  EXPECT_EQ(versions(five, 3), (numbers{3, 4, 5}));
  EXPECT_EQ(versions(five, 1, 3), (numbers{1, 2, 3}));
  EXPECT_EQ(versions(five, 0, 3), (numbers{1, 2, 3}));
  EXPECT_EQ(versions(five, 2, 2), (numbers{2, 3}));
  EXPECT_EQ(versions(five, 2, 1), (numbers{2}));
  EXPECT_EQ(versions(five, 5, 1), (numbers{5}));
  EXPECT_EQ(versions(five, 2, 0), numbers{});
}

TEST_P(reading_test, a_range_beyond_the_end_is_empty_and_one_over_it_is_cut) { // C67
  fill();
  EXPECT_EQ(versions(five, 6), numbers{});
  EXPECT_EQ(versions(five, UINT64_MAX), numbers{});
  EXPECT_EQ(versions(five, 4, 10), (numbers{4, 5}));
  EXPECT_EQ(versions(five, 4, std::numeric_limits<std::size_t>::max()), (numbers{4, 5}));
}

TEST_P(reading_test, a_stream_read_backward_is_the_exact_reverse) { // C66, C69
  fill();
  EXPECT_EQ(versions(five, UINT64_MAX, 100, backward), (numbers{5, 4, 3, 2, 1}));
  EXPECT_EQ(versions(five, 3, 100, backward), (numbers{3, 2, 1}));
  EXPECT_EQ(versions(five, 4, 2, backward), (numbers{4, 3}));
  EXPECT_EQ(versions(five, 0, 100, backward), numbers{});
}

TEST_P(reading_test, an_unknown_stream_has_no_events_and_version_0) { // C53, C62
  fill();
  const stream_id unknown(category_id(1), 99);
  EXPECT_EQ(versions(unknown, 0), numbers{});
  EXPECT_EQ(versions(unknown, UINT64_MAX, 1, backward), numbers{});
  EXPECT_EQ(index->version(unknown, *snapshot), stream_version(0));
}

TEST_P(reading_test, two_streams_do_not_see_each_others_events) { // C64
  fill();
  EXPECT_EQ(positions(index->read(five, *snapshot)), (numbers{1, 3, 5, 7, 9}));
  EXPECT_EQ(positions(index->read(other, *snapshot)), (numbers{2, 4, 6, 8}));
}

TEST_P(reading_test, an_event_comes_back_as_it_was_stored) { // C63, C74
  const std::string text = "Grüße, 世界";
  const finished_record record(*stream_id::from_text(category_id(3), "straße"), 1, text, 0, 77, 9,
                               "who: me");
  const std::array records{record.bytes()};
  ASSERT_TRUE(log->append(records, 123));
  catch_up();
  const auto read = index->read(*stream_id::from_text(category_id(3), "straße"), *snapshot);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1U);
  const auto& got = read->front();
  EXPECT_TRUE(got.verify());
  EXPECT_EQ(text_of(got.payload()), text);
  EXPECT_EQ(text_of(got.metadata()), "who: me");
  EXPECT_EQ(got.event_type(), event_type_id(9));
  EXPECT_EQ(got.header().command, command_id::of(1, 77));
  EXPECT_EQ(got.header().recorded_at_ns, 123);
}

TEST_P(reading_test, a_snapshot_older_than_the_index_hides_what_came_later) {
  append(5, 1, 2);
  catch_up();
  append(5, 3);
  ASSERT_TRUE(index->catch_up());
  EXPECT_EQ(versions(five, 0), (numbers{1, 2}));
  ASSERT_TRUE(snapshot->refresh());
  EXPECT_EQ(versions(five, 0), (numbers{1, 2, 3}));
}

TEST_P(reading_test, all_gives_every_event_forward_and_backward_from_anywhere) { // D78, D87
  constexpr std::uint64_t count = limits::cursor_batch * 2 + 3;
  append(1, 1, count);
  catch_up();
  numbers all(count);
  std::iota(all.begin(), all.end(), 1U);
  EXPECT_EQ(scan(log_position(0)), all);
  EXPECT_EQ(scan(log_position(1)), all);
  EXPECT_EQ(scan(log_position(count - 1)), (numbers{count - 1, count}));
  EXPECT_EQ(scan(log_position(count + 1)), numbers{});
  EXPECT_EQ(scan(end), numbers{});
  std::ranges::reverse(all);
  EXPECT_EQ(scan(end, {.way = backward}), all);
  EXPECT_EQ(scan(snapshot->tail(), {.way = backward}), all);
  EXPECT_EQ(scan(log_position(2), {.way = backward}), (numbers{2, 1}));
  EXPECT_EQ(scan(log_position(0), {.way = backward}), numbers{});
}

TEST_P(reading_test, an_empty_log_has_nothing_in_either_direction) { // D82
  catch_up();
  EXPECT_EQ(scan(log_position(1)), numbers{});
  EXPECT_EQ(scan(end, {.way = backward}), numbers{});
  EXPECT_EQ(snapshot->position_before(INT64_MAX), log_position(0));
  EXPECT_EQ(snapshot->position_before(INT64_MIN), log_position(0));
}

TEST_P(reading_test, what_is_read_from_the_tail_on_is_what_is_appended_later) { // D83
  append(1, 1, 3);
  catch_up();
  const auto tail = snapshot->tail();
  EXPECT_EQ(scan(tail.next()), numbers{});
  append(1, 4, 2);
  ASSERT_TRUE(snapshot->refresh());
  EXPECT_EQ(scan(tail.next()), (numbers{4, 5}));
}

TEST_P(reading_test, a_filter_by_category_or_event_type_keeps_the_positions) { // D85
  for (std::uint64_t i = 1; i <= 300; ++i) {
    const finished_record record(stream_id(category_id(static_cast<std::uint16_t>(1 + i % 2)), i),
                                 1, "x", 0, 0, static_cast<std::uint16_t>(1 + i % 3));
    const std::array records{record.bytes()};
    ASSERT_TRUE(log->append(records, 1'000));
  }
  catch_up();
  const auto expect = [&](const scan_options& options, auto wanted) {
    numbers expected;
    for (std::uint64_t i = 1; i <= 300; ++i)
      if (wanted(i))
        expected.push_back(i);
    EXPECT_EQ(scan(log_position(1), options), expected);
    std::ranges::reverse(expected);
    auto reversed = options;
    reversed.way = backward;
    EXPECT_EQ(scan(end, reversed), expected);
  };
  expect({.category = category_id(2)}, [](std::uint64_t i) { return i % 2 == 1; });
  expect({.event_types = {event_type_id(1), event_type_id(3)}},
         [](std::uint64_t i) { return i % 3 != 1; });
  expect({.category = category_id(1), .event_types = {event_type_id(1)}},
         [](std::uint64_t i) { return i % 6 == 0; });
  expect({.category = category_id(9)}, [](std::uint64_t) { return false; });
}

TEST_P(reading_test, what_was_recorded_at_a_time_or_later_follows_the_position_before_it) { // D84
  for (std::uint64_t i = 1; i <= 100; ++i) {
    const finished_record record(five, i, "x");
    const std::array records{record.bytes()};
    ASSERT_TRUE(
      log->append(records, static_cast<std::int64_t>(i / 4 * 10))); // 0 0 0 10 10 10 10 20
  }
  catch_up();
  EXPECT_EQ(snapshot->position_before(0), log_position(0));
  EXPECT_EQ(snapshot->position_before(1), log_position(3));
  EXPECT_EQ(snapshot->position_before(10), log_position(3));
  EXPECT_EQ(snapshot->position_before(11), log_position(7));
  EXPECT_EQ(snapshot->position_before(250), log_position(99));
  EXPECT_EQ(snapshot->position_before(251), log_position(100));
  EXPECT_EQ(snapshot->position_before(INT64_MAX), log_position(100)) << "the head";
  log_position last;
  for (std::int64_t time = -5; time < 300; ++time) {
    const auto before = snapshot->position_before(time);
    ASSERT_TRUE(before);
    EXPECT_GE(*before, last) << "the order of positions is that of times";
    last = *before;
  }
}

INSTANTIATE_TEST_SUITE_P(logs, reading_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests
