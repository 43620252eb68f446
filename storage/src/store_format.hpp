#pragma once

#include <acta/base/error.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

/// The entries of a log's database `meta`: docs/format.md.
namespace acta::storage {

inline constexpr std::string_view category_prefix = "category:";
inline constexpr std::string_view event_type_prefix = "event_type:";
inline constexpr std::string_view schema_prefix = "schema:";
/// Before the key of another entry: the checksum of its value.
inline constexpr std::string_view checksum_prefix = "checksum:";

inline constexpr std::size_t store_id_size = 16;

/// The key of a name in `meta`: the prefix and five digits, so that they are in order.
[[nodiscard]] std::string name_key(std::string_view prefix, std::uint16_t id);

/// The value of the entry `checksum:<key>`: XXH3-64 of the value of the entry `<key>`, 8 bytes.
[[nodiscard]] std::string checksum_value(std::string_view value);

/// The value of the entry `format` that this Acta writes.
[[nodiscard]] std::string format_value();

/// Checks the entry `format` of the log in `path`: errc::foreign_store, newer_format.
[[nodiscard]] result<void> check_format(std::string_view stored, const std::filesystem::path& path);

/// A store's id as 32 hexadecimal digits.
[[nodiscard]] std::string store_id_text(std::string_view bytes);

} // namespace acta::storage
