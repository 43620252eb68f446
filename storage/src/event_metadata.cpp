#include <acta/storage/event_metadata.hpp>

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

namespace acta::storage {

namespace {

/// Pinned: docs/format.md.
enum class item : std::uint8_t { correlation = 1, causation = 2, user = 3, trace = 4 };

constexpr std::size_t head_size = 2; ///< Which item, and its size.
constexpr std::size_t max_text = std::numeric_limits<std::uint8_t>::max();

void put(std::vector<std::byte>& to, item which, std::span<const std::byte> value) {
  if (value.empty())
    return;
  ensure(value.size() <= max_text, "an item's size was checked");
  to.push_back(static_cast<std::byte>(which));
  to.push_back(static_cast<std::byte>(value.size()));
  to.insert(to.end(), value.begin(), value.end());
}

void put(std::vector<std::byte>& to, item which, const command_id& id) {
  if (!id.empty())
    put(to, which, std::as_bytes(std::span(id.bytes)));
}

[[nodiscard]] bool get(std::span<const std::byte> value, command_id& id) noexcept {
  if (value.size() != id.bytes.size())
    return false;
  std::memcpy(id.bytes.data(), value.data(), value.size());
  return true;
}

[[nodiscard]] std::string_view text(std::span<const std::byte> value) noexcept {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

} // namespace

result<std::vector<std::byte>> encode_metadata(const event_metadata& of) {
  for (const auto& [name, value] : {std::pair{"user", of.user}, std::pair{"trace", of.trace}})
    if (value.size() > max_text)
      return failure(errc::too_large, fmt::format("metadata: its {} has {} bytes, {} at most", name,
                                                  value.size(), max_text));
  std::vector<std::byte> bytes;
  put(bytes, item::correlation, of.correlation);
  put(bytes, item::causation, of.causation);
  put(bytes, item::user, std::as_bytes(std::span(of.user)));
  put(bytes, item::trace, std::as_bytes(std::span(of.trace)));
  return bytes;
}

result<event_metadata> decode_metadata(std::span<const std::byte> bytes) {
  event_metadata found;
  bool sound = true;
  while (!bytes.empty() && sound) {
    const auto size = bytes.size() < head_size ? max_text : std::to_integer<std::size_t>(bytes[1]);
    if (bytes.size() < head_size + size) {
      sound = false;
      break;
    }
    const auto value = bytes.subspan(head_size, size);
    switch (static_cast<item>(bytes[0])) {
      case item::correlation: sound = get(value, found.correlation); break;
      case item::causation: sound = get(value, found.causation); break;
      case item::user: found.user = text(value); break;
      case item::trace: found.trace = text(value); break;
      default: break; // of a newer program
    }
    bytes = bytes.subspan(head_size + size);
  }
  if (!sound)
    return failure(errc::corrupt, "the metadata of an event ends within an item, or an id in it "
                                  "has not 16 bytes: it was not written by an engine");
  return found;
}

} // namespace acta::storage
