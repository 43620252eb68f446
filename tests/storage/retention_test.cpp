#include "../support/any_log.hpp"

#include <acta/storage/event_json.hpp>
#include <acta/storage/json_lines.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace acta::tests {
namespace {

using storage::direction;
using storage::stream_append;
using storage::stream_snapshot;
using storage::stream_writer;

using numbers = std::vector<std::uint64_t>;
constexpr stream_version newest{UINT64_MAX};

class retention_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    ASSERT_TRUE(log->register_category("order"));
    ASSERT_TRUE(log->register_event_type("placed"));
    open();
    add(order, 5);
  }
  void TearDown() override { writer.reset(); }
  void open() {
    writer.reset();
    auto opened = stream_writer::open(*log);
    ASSERT_TRUE(opened) << opened.error().message();
    writer = std::move(*opened);
  }
  void add(const stream_id& to, std::size_t count) {
    const std::string text = "payload";
    const std::vector<storage::new_event> events(
      count, {.type = event_type_id(1), .payload = std::as_bytes(std::span(text))});
    const auto added =
      writer->append(std::array{stream_append{to, expected_version::any(), events}});
    ASSERT_TRUE(added) << added.error().message();
  }
  [[nodiscard]] bool holds(expected_version expected) const {
    return writer->append(std::array{stream_append{order, expected, {}}}).has_value();
  }
  [[nodiscard]] numbers versions(const stream_id& of, stream_version from, std::size_t max = 100,
                                 direction way = direction::forward) const {
    const auto snapshot = log->snapshot();
    const auto read = writer->index().read(of, **snapshot, from, max, way);
    EXPECT_TRUE(read) << read.error().message();
    numbers all;
    for (const auto& record : *read)
      all.push_back(record.version().value());
    return all;
  }
  [[nodiscard]] std::uint64_t version() const {
    const auto snapshot = log->snapshot();
    return writer->index().version(order, **snapshot)->value();
  }

  const stream_id order{category_id(1), 42};
  const stream_id other{category_id(1), 43};
  std::unique_ptr<stream_writer> writer;
};

TEST_P(retention_test, a_truncated_stream_is_read_from_where_it_begins_now) { // C54, C56, E93
  ASSERT_TRUE(writer->truncate(order, stream_version(4)));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(versions(order, stream_version(1)), (numbers{4, 5}));
    EXPECT_EQ(versions(order, stream_version(3)), (numbers{4, 5}));
    EXPECT_EQ(versions(order, stream_version(5)), (numbers{5}));
    EXPECT_EQ(versions(order, newest, 100, direction::backward), (numbers{5, 4}));
    EXPECT_EQ(versions(order, newest, 1, direction::backward), (numbers{5}));
    EXPECT_TRUE(versions(order, stream_version(3), 100, direction::backward).empty());
    EXPECT_EQ(version(), 5U);
    open(); // the truncation is in the log
  }
  add(order, 1);
  EXPECT_EQ(versions(order, stream_version(1)), (numbers{4, 5, 6}));
}

TEST_P(retention_test, what_is_truncated_stays_so) { // E93
  ASSERT_TRUE(writer->truncate(order, stream_version(4)));
  const auto tail = log->tail();
  EXPECT_EQ(writer->truncate(order, stream_version(2)), tail) << "nothing was stored";
  EXPECT_EQ(versions(order, stream_version(1)), (numbers{4, 5}));
  ASSERT_TRUE(writer->truncate(order, stream_version(5)));
  EXPECT_EQ(versions(order, stream_version(1)), (numbers{5}));
}

TEST_P(retention_test, events_that_are_not_there_yet_cannot_be_truncated) { // E98
  const auto refused = writer->truncate(order, stream_version(7));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  EXPECT_EQ(refused.error().message(), "stream order/42: it has version 5, so nothing before "
                                       "version 7 can be truncated; 6 at most");
  EXPECT_EQ(versions(order, stream_version(1)).size(), 5U);
}

TEST_P(retention_test, a_removed_stream_has_no_events_and_keeps_its_version) { // E88
  ASSERT_TRUE(writer->remove(order));
  EXPECT_TRUE(versions(order, stream_version(1)).empty());
  EXPECT_TRUE(versions(order, newest, 9, direction::backward).empty());
  EXPECT_EQ(version(), 5U);
  const auto tail = log->tail();
  EXPECT_EQ(writer->remove(order), tail) << "a second time does nothing";
  EXPECT_EQ(writer->remove(other), tail) << "nor does one that never was";
}

TEST_P(retention_test, conditions_take_a_removed_stream_for_one_without_events) { // A32
  ASSERT_TRUE(writer->remove(order));
  EXPECT_TRUE(holds(expected_version::any()));
  EXPECT_TRUE(holds(expected_version::none()));
  EXPECT_FALSE(holds(expected_version::exists()));
  EXPECT_TRUE(holds(expected_version::exactly(stream_version(5))));
  EXPECT_FALSE(holds(expected_version::exactly(stream_version(4))));
  const auto refused =
    writer->append(std::array{stream_append{order, expected_version::exists(), {}}});
  EXPECT_NE(refused.error().message().find("it has version 5 and was removed"), std::string::npos)
    << refused.error().message();
}

TEST_P(retention_test, numbering_goes_on_when_a_removed_stream_is_appended_to) { // E91
  ASSERT_TRUE(writer->remove(order));
  add(order, 3);
  EXPECT_EQ(versions(order, stream_version(1)), (numbers{6, 7, 8}));
  EXPECT_TRUE(holds(expected_version::exists()));
  EXPECT_FALSE(holds(expected_version::none()));
  ASSERT_TRUE(writer->remove(order));
  EXPECT_TRUE(versions(order, stream_version(1)).empty());
}

TEST_P(retention_test, scans_of_the_log_still_show_what_was_removed) { // E88
  ASSERT_TRUE(writer->remove(order));
  const auto snapshot = log->snapshot();
  const auto cursor = (*snapshot)->scan(log_position(1), {.category = category_id(1)});
  EXPECT_EQ((*cursor)->next()->size(), 5U);
}

TEST_P(retention_test, other_streams_are_not_touched) { // E89
  add(other, 2);
  ASSERT_TRUE(writer->remove(order));
  EXPECT_EQ(versions(other, stream_version(1)), (numbers{1, 2}));
}

TEST_P(retention_test, a_removed_stream_is_not_listed_and_truncations_are_no_streams) { // C76
  add(other, 2);
  ASSERT_TRUE(writer->truncate(other, stream_version(2)));
  ASSERT_TRUE(writer->remove(order));
  const auto snapshot = log->snapshot();
  const auto listed = writer->index().streams(**snapshot, 10);
  ASSERT_TRUE(listed) << listed.error().message();
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().stream, other);
  EXPECT_EQ(listed->front().version, stream_version(2));
}

/// A state of `order`, of bytes that count from 1, with all that a stored snapshot has.
class kept_state_test : public retention_test {
protected:
  [[nodiscard]] stream_snapshot state_at(std::uint64_t version) const {
    return {.version = stream_version(version),
            .position = log_position(version),
            .event_checksum = 11,
            .recorded_at_ns = 12,
            .schema_hash = 13,
            .metadata = std::as_bytes(std::span(commands_)),
            .state = std::as_bytes(std::span(bytes_))};
  }
  [[nodiscard]] bool truncate(std::uint64_t before, const stream_snapshot& state) const {
    return writer->truncate(order, stream_version(before), &state).has_value();
  }
  [[nodiscard]] std::optional<std::uint64_t> kept_version() const {
    const auto snapshot = log->snapshot();
    const auto now = writer->index().truncated(order, **snapshot);
    EXPECT_TRUE(now) << now.error().message();
    return now->state ? std::optional(now->state->version.value()) : std::nullopt;
  }

private:
  std::string commands_ = "commands";
  std::string bytes_ = "\1\2\3\4\5\6\7\10\11";
};

TEST_P(kept_state_test, is_read_as_it_was_given) {
  ASSERT_TRUE(truncate(4, state_at(4)));
  open(); // it is in the log
  const auto snapshot = log->snapshot();
  const auto now = writer->index().truncated(order, **snapshot);
  ASSERT_TRUE(now && now->state);
  const auto given = state_at(4);
  EXPECT_EQ(now->before, stream_version(4));
  EXPECT_FALSE(now->removed);
  EXPECT_EQ(now->state->version, given.version);
  EXPECT_EQ(now->state->position, given.position);
  EXPECT_EQ(now->state->event_checksum, given.event_checksum);
  EXPECT_EQ(now->state->recorded_at_ns, given.recorded_at_ns);
  EXPECT_EQ(now->state->schema_hash, given.schema_hash);
  EXPECT_TRUE(std::ranges::equal(now->state->metadata, given.metadata));
  EXPECT_TRUE(std::ranges::equal(now->state->state, given.state));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(now->state->state.data()) % 8, 0U);
}

TEST_P(kept_state_test, must_reach_from_what_is_truncated_to_what_is_there) {
  for (const std::uint64_t version : {2U, 6U}) {
    const auto state = state_at(version);
    const auto refused = writer->truncate(order, stream_version(4), &state);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::invalid_argument);
    EXPECT_NE(refused.error().message().find("order/42: its state at version"), std::string::npos)
      << refused.error().message();
  }
  EXPECT_EQ(versions(order, stream_version(1)).size(), 5U);
  EXPECT_TRUE(truncate(4, state_at(3)));
}

TEST_P(kept_state_test, over_the_limit_of_an_event_is_refused) {
  const std::vector<std::byte> large(limits::max_payload_size);
  auto state = state_at(5);
  state.state = large;
  const auto refused = writer->truncate(order, stream_version(4), &state);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::too_large);
  EXPECT_NE(refused.error().message().find("order/42"), std::string::npos);
  EXPECT_EQ(versions(order, stream_version(1)).size(), 5U);
  state.state = std::span(large).first(large.size() - 1'000);
  EXPECT_TRUE(truncate(4, state)) << "this one fits";
}

TEST_P(kept_state_test, makes_a_stream_exist_all_of_whose_events_are_truncated) {
  ASSERT_TRUE(truncate(6, state_at(5)));
  EXPECT_TRUE(versions(order, stream_version(1)).empty());
  EXPECT_TRUE(holds(expected_version::exists()));
  EXPECT_FALSE(holds(expected_version::none()));
  const auto snapshot = log->snapshot();
  const auto all = writer->index().streams(**snapshot, 10);
  ASSERT_TRUE(all && all->size() == 1U);
  EXPECT_EQ(all->front().version, stream_version(5));
  add(order, 1);
  EXPECT_EQ(versions(order, stream_version(1)), (numbers{6}));
}

TEST_P(kept_state_test, stays_while_it_reaches) {
  ASSERT_TRUE(truncate(2, state_at(3)));
  ASSERT_TRUE(writer->truncate(order, stream_version(4)));
  EXPECT_EQ(kept_version(), 3U);
  ASSERT_TRUE(writer->truncate(order, stream_version(5)));
  EXPECT_EQ(kept_version(), std::nullopt) << "event 4 is not in it";
}

TEST_P(kept_state_test, is_replaced_by_a_newer_one_alone) {
  ASSERT_TRUE(writer->truncate(order, stream_version(4)));
  for (const std::uint64_t version : {3U, 5U, 4U})
    ASSERT_TRUE(truncate(4, state_at(version)));
  EXPECT_EQ(kept_version(), 5U);
  const auto tail = log->tail();
  ASSERT_TRUE(truncate(4, state_at(5)));
  ASSERT_TRUE(truncate(3, state_at(5)));
  EXPECT_EQ(log->tail(), tail) << "nothing was stored";
}

TEST_P(kept_state_test, goes_with_a_stream_that_is_removed) {
  ASSERT_TRUE(truncate(6, state_at(5)));
  ASSERT_TRUE(writer->remove(order));
  EXPECT_EQ(kept_version(), std::nullopt);
  EXPECT_FALSE(holds(expected_version::exists()));
  const auto tail = log->tail();
  ASSERT_TRUE(truncate(6, state_at(5)));
  EXPECT_EQ(log->tail(), tail) << "a removed stream does not come back";
}

TEST_P(kept_state_test, prints_as_json_and_survives_an_export) {
  ASSERT_TRUE(truncate(4, state_at(4)));
  const auto snapshot = log->snapshot();
  const auto record = (*snapshot)->at(log->tail());
  EXPECT_EQ(storage::event_json(*log).text(*record),
            R"({"before":4,"removed":false,"state":{"version":4,"position":4,"event_checksum":11,)"
            R"("recorded_at_ns":12,"schema_hash":13,"metadata":[99,111,109,109,97,110,100,115],)"
            R"("state":[1,2,3,4,5,6,7,8,9]}})");
  const scratch_directory directory;
  std::stringstream text;
  const auto write = [&](std::string_view lines) {
    text << lines;
    return result<void>{};
  };
  ASSERT_TRUE(storage::export_json(*log, write));
  ASSERT_TRUE(storage::import_json(text, "text", directory.path() / "again"));
  const auto again = storage::open_log(directory.path() / "again");
  ASSERT_TRUE(again) << again.error().message();
  const auto there = (*again)->snapshot();
  EXPECT_TRUE(std::ranges::equal((*there)->at((*again)->tail())->bytes(), record->bytes()));
}

/// Of a log in memory: the map of a file cannot be written.
class damaged_state_test : public kept_state_test {};

TEST_P(damaged_state_test, is_not_read) {
  ASSERT_TRUE(truncate(4, state_at(4)));
  const auto snapshot = log->snapshot();
  const auto now = writer->index().truncated(order, **snapshot);
  ASSERT_TRUE(now && now->state);
  const_cast<std::byte&>(now->state->state.front()) ^= std::byte{1};
  const auto refused = writer->index().truncated(order, **snapshot);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::corrupt);
  EXPECT_NE(refused.error().message().find("position 6"), std::string::npos)
    << refused.error().message();
}

TEST_P(retention_test, where_an_event_is_can_be_asked_also_once_it_is_truncated) {
  ASSERT_TRUE(writer->truncate(order, stream_version(4)));
  const auto snapshot = log->snapshot();
  for (std::uint64_t version = 1; version <= 5; ++version)
    EXPECT_EQ(writer->index().position(order, stream_version(version), **snapshot),
              log_position(version));
  for (const std::uint64_t version : {0U, 6U}) {
    const auto none = writer->index().position(order, stream_version(version), **snapshot);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code(), errc::not_found);
  }
}

TEST_P(retention_test, truncations_are_not_truncated) {
  ASSERT_TRUE(writer->remove(order));
  const auto refused = writer->remove(stream_id(category_id(2), 42));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
}

TEST_P(retention_test, truncations_cannot_be_appended_by_hand) {
  ASSERT_TRUE(writer->remove(order));
  const auto refused = writer->append(
    std::array{stream_append{stream_id(category_id(2), 42), expected_version::any(), {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::invalid_argument);
}

TEST_P(retention_test, truncations_can_be_printed) {
  ASSERT_TRUE(writer->truncate(order, stream_version(4)));
  const auto snapshot = log->snapshot();
  const auto record = (*snapshot)->at(log->tail());
  EXPECT_EQ(storage::event_json(*log).text(*record), R"({"before":4,"removed":false})");
}

TEST_P(retention_test, a_log_with_truncations_is_sound) {
  ASSERT_TRUE(writer->truncate(order, stream_version(2)));
  ASSERT_TRUE(writer->truncate(order, stream_version(3)));
  ASSERT_TRUE(writer->remove(order));
  const auto found = storage::verify(*log);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->problems, 0U);
}

INSTANTIATE_TEST_SUITE_P(logs, retention_test, any_log, name_of_log);
INSTANTIATE_TEST_SUITE_P(logs, kept_state_test, any_log, name_of_log);
INSTANTIATE_TEST_SUITE_P(logs, damaged_state_test, ::testing::Values(storage::durability::memory),
                         name_of_log);

} // namespace
} // namespace acta::tests
