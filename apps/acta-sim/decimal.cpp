#include "decimal.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace acta::sim {

template <class T>
std::optional<T> parse_integer(std::string_view text) noexcept {
  T value{};
  const auto* begin = text.data();
  const auto* end = begin + text.size();
  const auto [stopped, code] = std::from_chars(begin, end, value);
  if (code != std::errc{} || stopped != end)
    return std::nullopt;
  return value;
}

template std::optional<std::int64_t> parse_integer(std::string_view) noexcept;
template std::optional<std::uint64_t> parse_integer(std::string_view) noexcept;
template std::optional<std::uint32_t> parse_integer(std::string_view) noexcept;
template std::optional<int> parse_integer(std::string_view) noexcept;

std::optional<std::int64_t> parse_price(std::string_view text) noexcept {
  const bool negative = text.starts_with('-');
  if (negative)
    text.remove_prefix(1);
  const auto point = text.find('.');
  const auto whole_text = text.substr(0, point);
  const auto places_text = point == std::string_view::npos ? "0" : text.substr(point + 1);
  constexpr std::size_t places = 9;
  const auto whole = parse_integer<std::uint64_t>(whole_text);
  const auto fraction = parse_integer<std::uint64_t>(places_text);
  if (!whole || !fraction || places_text.size() > places)
    return std::nullopt;
  auto scaled = *fraction;
  for (auto i = places_text.size(); i < places; ++i)
    scaled *= 10;
  constexpr auto unit = static_cast<std::uint64_t>(price_unit);
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (*whole > (most - scaled) / unit)
    return std::nullopt;
  const auto value = static_cast<std::int64_t>(*whole * unit + scaled);
  return negative ? -value : value;
}

std::string price_text(std::int64_t price) {
  const auto magnitude =
    price < 0 ? 0 - static_cast<std::uint64_t>(price) : static_cast<std::uint64_t>(price);
  constexpr auto unit = static_cast<std::uint64_t>(price_unit);
  auto text = fmt::format("{}{}.{:09}", price < 0 ? "-" : "", magnitude / unit, magnitude % unit);
  const auto last = text.find_last_not_of('0');
  text.resize(text[last] == '.' ? last + 2 : last + 1);
  return text;
}

} // namespace acta::sim
