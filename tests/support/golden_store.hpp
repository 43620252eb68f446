#pragma once

#include "records.hpp"
#include "schemas.hpp"

#include <acta/base/clock.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// A store with something of everything that a store can have today. tests/storage/golden has one
/// as it was made on 2026-11-21; a newer format gets a folder of its own beside it.
namespace acta::tests {

struct golden_store {
  static constexpr std::int64_t date_ns = 1'795'000'000'000'000'000;
  static constexpr std::string_view placed_schema =
    "namespace shop; enum color: byte { red, green } table item { name: string; price: long; } "
    "table placed { items: [item]; color: color; note: string; }";
  static constexpr std::string_view opened_schema =
    "namespace bank; table opened { owner: string; }";
  static constexpr std::string_view placed_json =
    R"({"items": [{"name": "tea", "price": 250}], "color": "green", "note": "a\"b"})";
  static constexpr std::string_view opened_json = R"({"owner": "alice"})";

  static inline const stream_id order{category_id(1), 42};
  static inline const stream_id removed{category_id(1), 43};
  static inline const stream_id account =
    *stream_id::from_text(category_id(2), std::string_view("alice\0/\xff", 8));
  static inline const stream_id device{category_id(3),
                                       std::array<std::byte, 16>{std::byte{0xab}, std::byte{1}}};
  static constexpr std::uint64_t versions = 200; ///< Of the order: more than an entry of the index.
  static constexpr std::size_t large = 20'000;   ///< A payload in pages of its own.

  static void append_events(storage::event_log& log) {
    const auto placed =
      payload(std::string(placed_schema), "shop.placed", std::string(placed_json));
    const auto opened =
      payload(std::string(opened_schema), "bank.opened", std::string(opened_json));
    std::vector<finished_record> records;
    for (std::uint64_t version = 1; version <= versions; ++version)
      records.emplace_back(order, version, text_of(placed), 0, 1'000 + version, 1);
    records.emplace_back(removed, 1, text_of(placed), 1, 2'000, 1);
    records.emplace_back(removed, 2, text_of(placed), 0, 2'000, 1);
    records.emplace_back(account, 1, text_of(opened), 0, 3'000, 2, "by a test");
    records.emplace_back(device, 1, std::string(large, 'd'), 0, 4'000, 3);
    records.emplace_back(device, 2, "", 0, 4'001, 3);
    std::vector<std::span<const std::byte>> spans;
    for (const auto& record : records)
      spans.push_back(record.bytes());
    ASSERT_TRUE(log.append(spans, date_ns));
  }

  static void save_snapshots(const storage::event_log& log) {
    const auto snapshots = storage::open_snapshots(log);
    ASSERT_TRUE(snapshots) << snapshots.error().message();
    const auto now = log.snapshot();
    for (const std::uint64_t version : {100U, 150U}) {
      const std::string state = "state after " + std::to_string(version);
      const auto record = (*now)->at(log_position(version));
      const storage::snapshot_to_save one{
        .stream = order,
        .snapshot = {.version = stream_version(version),
                     .position = log_position(version),
                     .event_checksum = record->header().checksum,
                     .recorded_at_ns = date_ns,
                     .schema_hash = 7,
                     .metadata = std::as_bytes(std::span(std::string_view("metadata"))),
                     .state = std::as_bytes(std::span(state))}};
      ASSERT_TRUE((*snapshots)->save({&one, 1}));
    }
  }

  static void make(const std::filesystem::path& store) {
    const auto log = storage::open_log(store);
    ASSERT_TRUE(log) << log.error().message();
    for (const auto* name : {"order", "account \"1\"", "device"})
      ASSERT_TRUE((*log)->register_category(name));
    for (const auto* name : {"shop.placed", "bank.opened", "raw"})
      ASSERT_TRUE((*log)->register_event_type(name));
    const auto placed = binary_schema(std::string(placed_schema));
    const auto opened = binary_schema(std::string(opened_schema));
    const std::array schemas{storage::event_schema{event_type_id(1), placed},
                             storage::event_schema{event_type_id(2), opened}};
    ASSERT_TRUE((*log)->put_schemas(schemas));
    append_events(**log);
    {
      const manual_clock clock(date_ns);
      const auto writer = storage::stream_writer::open(**log, clock);
      ASSERT_TRUE(writer) << writer.error().message();
      ASSERT_TRUE((*writer)->truncate(order, stream_version(50)));
      ASSERT_TRUE((*writer)->remove(removed));
    }
    save_snapshots(**log);
    // So small that it is written, but for the last of it, before opening returns.
    ASSERT_TRUE(storage::stream_index::open(**log, {.memory = 2'000}));
  }
};

} // namespace acta::tests
