#include <acta/storage/stream_name.hpp>

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace acta::storage {

namespace {

constexpr std::string_view text_mark = "text:";

[[nodiscard]] std::optional<std::uint64_t> parse_integer(std::string_view text) {
  std::uint64_t number = 0;
  const auto* begin = std::to_address(text.begin());
  const auto* end = std::to_address(text.end());
  const auto [stop, code] = std::from_chars(begin, end, number);
  const bool one_way_to_write_it = text == "0" || !text.starts_with('0');
  if (code != std::errc() || stop != end || !one_way_to_write_it)
    return std::nullopt;
  return number;
}

[[nodiscard]] std::optional<std::array<std::byte, 16>> parse_uuid(std::string_view text) {
  constexpr std::string_view form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != form.size())
    return std::nullopt;
  std::array<std::byte, 16> uuid{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] == '-' && text[i] == '-')
      continue;
    const auto value = std::string_view("0123456789abcdef").find(text[i]);
    if (form[i] == '-' || value == std::string_view::npos)
      return std::nullopt;
    auto& byte = uuid[digits / 2];
    byte = byte << 4U | static_cast<std::byte>(value);
    ++digits;
  }
  ensure(digits == 2 * uuid.size(), "a UUID has two digits a byte");
  return uuid;
}

/// The longest category that `text` begins with and a slash follows: names may contain slashes.
[[nodiscard]] std::optional<category_id> find_category(const event_log& log, std::string_view text,
                                                       std::string_view& key) {
  std::optional<category_id> found;
  std::size_t longest = 0;
  for (std::uint16_t id = 1; id != 0; ++id) {
    const auto name = log.category_name(category_id(id));
    if (name.empty())
      break;
    if (name.size() > longest && text.size() > name.size() && text.starts_with(name)
        && text[name.size()] == '/') {
      longest = name.size();
      found = category_id(id);
    }
  }
  if (found)
    key = text.substr(longest + 1);
  return found;
}

} // namespace

std::string key_text(const stream_id& stream) {
  const auto whole = stream.to_string(); // "7/key": the number has no slash
  return whole.substr(whole.find('/') + 1);
}

std::optional<stream_id> parse_key(category_id category, key_kind kind, std::string_view text) {
  switch (kind) {
    case key_kind::text: return stream_id::from_text(category, text);
    case key_kind::integer:
      if (const auto number = parse_integer(text))
        return stream_id(category, *number);
      return std::nullopt;
    case key_kind::uuid:
      if (const auto uuid = parse_uuid(text))
        return stream_id(category, *uuid);
      return std::nullopt;
  }
  return std::nullopt;
}

result<stream_id> parse_stream(const event_log& log, std::string_view text) {
  std::string_view key;
  const auto category = find_category(log, text, key);
  if (!category)
    return failure(errc::invalid_argument,
                   fmt::format("'{}' is no stream: it must be CATEGORY/KEY, of a category that the "
                               "store has",
                               text));
  if (!key.starts_with(text_mark))
    for (const auto kind : {key_kind::integer, key_kind::uuid})
      if (auto named = parse_key(*category, kind, key))
        return *named;
  if (key.starts_with(text_mark))
    key.remove_prefix(text_mark.size());
  if (auto named = stream_id::from_text(*category, key))
    return *named;
  return failure(errc::invalid_argument, fmt::format("'{}': a key has 1 to {} bytes, and this {}",
                                                     text, limits::max_key_size, key.size()));
}

} // namespace acta::storage
