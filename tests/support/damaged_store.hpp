#pragma once

#include "records.hpp"

#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// A small store, what is in it, and bytes of it changed.
namespace acta::tests {

/// What a log says: the names of its dictionary and its records.
struct log_content {
  std::vector<std::string> names;
  std::vector<std::string> records;
  bool operator==(const log_content&) const = default;
};

/// Reads all there is, by scan and one by one.
[[nodiscard]] inline result<log_content> content_of(const storage::event_log& log) {
  log_content all;
  for (std::uint16_t id = 1; id <= 4; ++id) {
    all.names.emplace_back(log.category_name(category_id(id)));
    all.names.emplace_back(log.event_type_name(event_type_id(id)));
  }
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto cursor = (*snapshot)->scan(log_position(1));
  if (!cursor)
    return failure(cursor);
  for (auto records = (*cursor)->next(); records && !records->empty(); records = (*cursor)->next())
    for (const auto& record : *records)
      all.records.emplace_back(text_of(record.bytes()));
  for (std::uint64_t i = 1; i <= log.tail().value(); ++i)
    if (const auto record = (*snapshot)->at(log_position(i));
        !record || all.records.size() < i || text_of(record->bytes()) != all.records[i - 1])
      return failure(errc::corrupt, "position " + std::to_string(i) + " does not read");
  return all;
}

/// Quicker to map, many thousand times.
inline const storage::log_options small_map{.map_size = std::size_t{1} << 24U};

/// Makes a store of everything a log has: pages of records and a branch above them, keys of two
/// kinds, commands of several events, metadata, a payload in pages of its own (position 36), free
/// pages. Three records a commit.
inline void make_small_store(const std::filesystem::path& store, std::uint64_t commits = 30) {
  auto log = storage::open_log(store, small_map);
  ASSERT_TRUE(log) << log.error().message();
  for (const auto* name : {"order", "account"})
    ASSERT_TRUE((*log)->register_category(name));
  for (const auto* name : {"order.submitted", "order.filled", "account.opened"})
    ASSERT_TRUE((*log)->register_event_type(name));
  const auto text = stream_id::from_text(category_id(2), "alice");
  ASSERT_TRUE(text);
  std::int64_t date = 1'000;
  for (std::uint64_t i = 1; i <= commits; ++i) {
    const stream_id order(category_id(1), i % 3);
    const auto version = 2 * ((i - 1) / 3) + 1;
    const finished_record first(order, version, "submitted", 1, i);
    const finished_record second(order, version + 1, "filled " + std::to_string(i), 0, i, 2,
                                 "by bob");
    const finished_record other(*text, i, i == 12 ? std::string(9'000, 'x') : "opened", 0, 100 + i,
                                3);
    const std::array records{first.bytes(), second.bytes(), other.bytes()};
    ASSERT_TRUE((*log)->append(records, date += 10));
  }
}

/// Changes a byte of a file in place.
inline void flip(const std::filesystem::path& file, std::size_t at, unsigned bits = 0xff) {
  const int descriptor = ::open(file.c_str(), O_RDWR);
  ASSERT_GE(descriptor, 0);
  unsigned char byte = 0;
  ASSERT_EQ(::pread(descriptor, &byte, 1, static_cast<off_t>(at)), 1);
  byte = static_cast<unsigned char>(byte ^ bits);
  ASSERT_EQ(::pwrite(descriptor, &byte, 1, static_cast<off_t>(at)), 1);
  ::close(descriptor);
}

} // namespace acta::tests
