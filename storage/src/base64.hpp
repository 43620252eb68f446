#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {

/// RFC 4648 base64, with padding.
void append_base64(std::string& to, std::span<const std::byte> bytes);

/// The bytes of a base64 text; empty if it is none. One text for each bytes: padding must be there,
/// and bits that mean nothing be zero.
[[nodiscard]] std::optional<std::vector<std::byte>> parse_base64(std::string_view text);

} // namespace acta::storage
