#pragma once

#include <array>
#include <cstdint>
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

} // namespace acta::storage
