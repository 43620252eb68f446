#pragma once

#include "records.hpp"

#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Logs with something of everything in them, and whether two are the same.
namespace acta::tests {

inline void append_records(storage::event_log& log, const std::vector<finished_record>& records,
                           std::int64_t recorded_at_ns) {
  std::vector<std::span<const std::byte>> spans;
  for (const auto& record : records)
    spans.push_back(record.bytes());
  const auto appended = log.append(spans, recorded_at_ns);
  ASSERT_TRUE(appended) << appended.error().message();
}

/// Seven events: keys of every kind, also text that is no UTF-8; a command of three events; empty
/// and odd sizes; dates before 1970.
inline void fill_with_everything(storage::event_log& log) {
  using namespace std::string_view_literals;
  for (const auto* name : {"order", "customer \"1\"", "no\xff UTF-8"})
    ASSERT_TRUE(log.register_category(name));
  for (const auto* name : {"shop.submitted", "shop.cancelled"})
    ASSERT_TRUE(log.register_event_type(name));
  const stream_id number(category_id(1), 42);
  const stream_id uuid(category_id(2), std::array<std::byte, 16>{std::byte{0xab}, std::byte{1}});
  const auto text = *stream_id::from_text(category_id(3), "alice/\"\\\n");
  const auto bytes = *stream_id::from_text(category_id(1), "\xfe\0\x80"sv);
  append_records(log, {finished_record(number, 1, "first")}, -1'500'000'001);
  append_records(log,
                 {finished_record(number, 2, "", 2, 9), finished_record(number, 3, "x", 1, 9, 2),
                  finished_record(number, 4, "\0\xff"sv, 0, 9, 1, "metadata")},
                 1'795'265'553'000'000'001);
  append_records(log,
                 {finished_record(uuid, 1, "of a uuid"), finished_record(text, 1, "of a text"),
                  finished_record(bytes, 1, std::string(5'000, 'b'))},
                 1'795'265'553'000'000'002);
}

inline void expect_same(const storage::event_log& one, const storage::event_log& other) {
  ASSERT_EQ(one.tail(), other.tail());
  for (std::uint16_t id = 1; id < 10; ++id) {
    EXPECT_EQ(one.category_name(category_id(id)), other.category_name(category_id(id)));
    EXPECT_EQ(one.event_type_name(event_type_id(id)), other.event_type_name(event_type_id(id)));
  }
  const auto first = one.snapshot();
  const auto second = other.snapshot();
  ASSERT_TRUE(first && second);
  for (std::uint64_t position = 1; position <= one.tail().value(); ++position) {
    const auto left = (*first)->at(log_position(position));
    const auto right = (*second)->at(log_position(position));
    ASSERT_TRUE(left && right) << position;
    EXPECT_EQ(text_of(left->bytes()), text_of(right->bytes())) << position;
  }
}

} // namespace acta::tests
