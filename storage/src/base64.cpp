#include "base64.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace acta::storage {

namespace {

constexpr std::string_view digits =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_digit = 64;

constexpr auto values = [] {
  std::array<std::uint8_t, 256> all{};
  all.fill(no_digit);
  for (std::size_t i = 0; i < digits.size(); ++i)
    all[static_cast<std::uint8_t>(digits[i])] = static_cast<std::uint8_t>(i);
  return all;
}();

} // namespace

void append_base64(std::string& to, std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8U | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      to += i <= count ? digits[bits >> (18 - 6 * i) & 63U] : '=';
  }
}

std::optional<std::vector<std::byte>> parse_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  const auto padding = text.ends_with("==") ? 2U : text.ends_with('=') ? 1U : 0U;
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_padding = i + padding >= text.size();
    const auto value = is_padding ? std::uint8_t{0} : values[static_cast<std::uint8_t>(text[i])];
    if (value == no_digit)
      return std::nullopt;
    bits = bits << 6U | value;
    if (i % 4 == 3)
      for (const auto shift : {16U, 8U, 0U})
        bytes.push_back(static_cast<std::byte>(bits >> shift & 0xffU));
  }
  ensure(bytes.size() >= padding, "padding is of the last three bytes");
  for (unsigned i = 0; i < padding; ++i) {
    if (bytes.back() != std::byte{0})
      return std::nullopt;
    bytes.pop_back();
  }
  return bytes;
}

} // namespace acta::storage
