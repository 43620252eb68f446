#pragma once

#include <acta/base/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What an export and an import must agree on.
namespace acta::storage {

inline constexpr std::uint64_t export_format = 1;

/// The fields of a record's line, all of which must be there, and one that may be.
inline constexpr std::array<std::string_view, 12> record_fields_in_json{
  "position",       "category",    "key_kind", "key",       "version",  "event_type",
  "schema_version", "recorded_at", "command",  "remaining", "metadata", "payload"};
inline constexpr std::string_view decoded_field = "event";

/// Of key_kind, from 1.
inline constexpr std::array<std::string_view, 3> key_kind_names{"integer", "uuid", "text"};

/// Lowercase hexadecimal digits.
[[nodiscard]] std::string hex_text(const std::array<std::uint8_t, 16>& bytes);

/// A JSON string; of bytes that are no UTF-8, which JSON cannot have, {"base64": "..."}.
[[nodiscard]] std::string json_string(std::string_view text);

} // namespace acta::storage
