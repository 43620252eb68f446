#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

/// The entries of a log's database `meta`: docs/format.md.
namespace acta::storage {

inline constexpr std::string_view category_prefix = "category:";
inline constexpr std::string_view event_type_prefix = "event_type:";
inline constexpr std::string_view schema_prefix = "schema:";
/// Before the key of another entry: the checksum of its value.
inline constexpr std::string_view checksum_prefix = "checksum:";

/// Where the log begins; there once something was archived. A `log_start`.
inline constexpr std::string_view start_key = "first";
/// The directory of the store that has what was archived last: for messages only.
inline constexpr std::string_view archive_key = "archive";

inline constexpr std::size_t store_id_size = 16;

/// Where a log begins: what was before it is archived.
struct log_start {
  log_position first{1};
  std::uint64_t checksum_before = 0; ///< record_header::checksum of the record before it.
  /// The log's last record when it was archived. What archived streams have come to is told by
  /// records up to there, so that a copy which ends before it must not be gone on with. 0 in an
  /// archive, which nobody goes on with.
  std::uint64_t whole_through = 0;
};

/// The value of the entry `first`: all as u64.
[[nodiscard]] std::string start_value(const log_start& start);
/// Empty if it is none.
[[nodiscard]] std::optional<log_start> parse_start(std::string_view stored) noexcept;

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
