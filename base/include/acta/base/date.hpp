#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace acta::inline base {

/// A moment as ISO 8601 in UTC, to the nanosecond: "2026-11-21T12:52:33.000000001Z". Every value
/// has a text of its own, always 30 characters.
[[nodiscard]] std::string date_text(std::int64_t ns_since_1970);

/// The moment of such a text, exactly; empty for any other text, and for what 64 bits cannot hold.
[[nodiscard]] std::optional<std::int64_t> parse_date(std::string_view text) noexcept;

} // namespace acta::inline base
