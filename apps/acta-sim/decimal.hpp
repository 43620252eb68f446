#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace acta::sim {

/// Prices are integers in 1e-9 of the currency.
inline constexpr std::int64_t price_unit = 1'000'000'000;

/// Reads "13", "5.51" or "-0.000000001" exactly: at most nine places, no exponent, no spaces. Empty
/// if the text is not of that form or does not fit 64 bits.
[[nodiscard]] std::optional<std::int64_t> parse_price(std::string_view text) noexcept;

/// The shortest text with at least one place, as the reference files write it: "13.0", "5.51".
[[nodiscard]] std::string price_text(std::int64_t price);

/// Reads a whole number that fits T; empty otherwise.
template <class T>
[[nodiscard]] std::optional<T> parse_integer(std::string_view text) noexcept;

} // namespace acta::sim
