#pragma once

#include "records.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/view_file.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// A view on disk of which it is known what it holds at each position of the log.
namespace acta::tests {

inline const storage::view_identity stepped{.name = "stepped"};

/// By key, as they are stored.
using view_content = std::map<std::string, std::string>;

[[nodiscard]] inline std::span<const std::byte> bytes_of(const std::string& text) noexcept {
  return std::as_bytes(std::span(text));
}

[[nodiscard]] inline std::string stepped_key(std::uint64_t position) {
  return "key " + std::to_string(1000 + position % 60);
}

/// Of any size, some over a page of LMDB.
[[nodiscard]] inline std::string stepped_value(std::uint64_t position) {
  return "value " + std::to_string(position)
         + std::string(position % 16 == 3 ? 9'000 : position * 37 % 700, 'v');
}

/// What the event at a position does.
template <class Put, class Erase>
void do_stepped(std::uint64_t position, Put&& put, Erase&& erase) {
  put(stepped_key(position), stepped_value(position));
  if (position % 5 == 0)
    erase(stepped_key(position * 7 + 1));
}

[[nodiscard]] inline view_content stepped_content(std::uint64_t position) {
  view_content all;
  for (std::uint64_t each = 1; each <= position; ++each)
    do_stepped(
      each,
      [&](const std::string& key, std::string value) {
        value.resize((value.size() + 7) / 8 * 8, '\0');
        all.insert_or_assign(key, std::move(value));
      },
      [&](const std::string& key) { all.erase(key); });
  return all;
}

/// Takes the view from its checkpoint to a position, as one step.
[[nodiscard]] inline result<void> step_to(storage::view_file& view, std::uint64_t position) {
  return view.write(log_position(position), [&](storage::view_writer& to) {
    result<void> done;
    for (auto each = view.position().value() + 1; each <= position; ++each)
      do_stepped(
        each,
        [&](const std::string& key, const std::string& value) {
          if (done)
            done = to.put(bytes_of(key), bytes_of(value));
        },
        [&](const std::string& key) {
          if (auto erased = to.erase(bytes_of(key)); done && !erased)
            done = failure(erased);
        });
    return done;
  });
}

/// What a state holds, and that it is what its checkpoint says.
[[nodiscard]] inline result<log_position> check_stepped(const storage::view_file& view) {
  log_position at;
  auto read = view.read([&](const storage::view_reader& now) {
    at = now.position();
    view_content all;
    auto scanned = now.scan({}, {}, storage::direction::forward,
                            [&](std::span<const std::byte> key, std::span<const std::byte> value) {
                              EXPECT_EQ(reinterpret_cast<std::uintptr_t>(value.data()) % 8, 0U);
                              all.emplace(text_of(key), text_of(value));
                              return true;
                            });
    EXPECT_EQ(all, stepped_content(at.value())) << "at position " << at.value();
    return scanned;
  });
  if (!read)
    return failure(read);
  return at;
}

/// Appends so many events of one stream, in one step.
inline void append_steps(storage::event_log& log, std::uint64_t count) {
  std::vector<finished_record> records;
  std::vector<std::span<const std::byte>> spans;
  for (std::uint64_t i = 1; i <= count; ++i)
    records.emplace_back(stream_id(category_id(1), 1), log.tail().value() + i, "event");
  for (const auto& record : records)
    spans.push_back(record.bytes());
  const auto appended = log.append(spans, 1'000);
  ASSERT_TRUE(appended) << appended.error().message();
}

} // namespace acta::tests
