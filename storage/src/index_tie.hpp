#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace acta::storage {

inline constexpr std::string_view index_tie_name = "index";

/// The value of "index" in its `meta`: what it is, and which log through where.
struct index_tie {
  std::array<char, 8> magic{'A', 'C', 'T', 'A', 'I', 'D', 'X', '\0'};
  std::uint32_t version = 1;
  std::uint32_t endian_mark = 0x01020304;
  std::array<char, 32> store_id{};
  std::uint64_t watermark = 0;
  std::uint64_t checksum = 0; ///< Of the record at the watermark: a log restored since has another.
};
static_assert(sizeof(index_tie) == 64);

} // namespace acta::storage
