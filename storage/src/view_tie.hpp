#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

namespace acta::storage {

inline constexpr const char* view_meta_name = "meta";
inline constexpr const char* view_tables_name = "tables";
inline constexpr std::string_view view_tie_name = "view";

/// The value of "view" in its `meta`: what it is, and of which log through where. The label, a
/// text, follows it.
struct view_tie {
  std::array<char, 8> magic{'A', 'C', 'T', 'A', 'V', 'I', 'E', 'W'};
  std::uint32_t format = 1;
  std::uint32_t endian_mark = 0x01020304;
  std::array<char, 32> store_id{};
  std::uint64_t position = 0; ///< The checkpoint.
  std::uint64_t checksum = 0; ///< Of the record there: a log restored since has another.
};
static_assert(sizeof(view_tie) == 64);

/// What is wrong with a view in a directory says that it can be made anew, and not to restore a
/// backup; and where it is to be opened again, its store need not be.
[[nodiscard]] error made_anew(const error& why, const std::filesystem::path& directory);

/// Of the record at a position. Empty where it is archived and none after it; not_found where some
/// are.
[[nodiscard]] result<std::optional<std::uint64_t>> checksum_at(const event_log& log,
                                                               log_position position);

/// The value of "view", if it is of the view `label`, and of this log and its past: the record at
/// its checkpoint is the one it knows. `file` is named by errors.
[[nodiscard]] result<view_tie> check_view_tie(std::span<const std::byte> value,
                                              const event_log& log, std::string_view label,
                                              const std::filesystem::path& file);

} // namespace acta::storage
