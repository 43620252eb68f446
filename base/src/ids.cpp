#include <acta/base/ids.hpp>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace acta::inline base {

static_assert(std::endian::native == std::endian::little,
              "stores are little endian, read in place");

namespace {

[[nodiscard]] bool fits(key_kind kind, std::size_t size) noexcept {
  switch (kind) {
    case key_kind::integer: return size == sizeof(std::uint64_t);
    case key_kind::uuid: return size == 16;
    case key_kind::text: return size >= 1 && size <= limits::max_key_size;
  }
  return false;
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014): a bijection, so integer keys of one category never share a hash.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

} // namespace

stream_id::stream_id(category_id category, key_kind kind, std::span<const std::byte> key) noexcept
    : category_(category), kind_(kind), size_(static_cast<std::uint8_t>(key.size())) {
  std::copy(key.begin(), key.end(), key_.begin());
}

stream_id::stream_id(category_id category, std::uint64_t key) noexcept
    : stream_id(category, key_kind::integer, std::as_bytes(std::span(&key, 1))) {}

stream_id::stream_id(category_id category, const std::array<std::byte, 16>& uuid) noexcept
    : stream_id(category, key_kind::uuid, uuid) {}

std::optional<stream_id> stream_id::from_text(category_id category, std::string_view key) noexcept {
  return from_bytes(category, key_kind::text, std::as_bytes(std::span(key)));
}

std::optional<stream_id> stream_id::from_bytes(category_id category, key_kind kind,
                                               std::span<const std::byte> key) noexcept {
  if (!fits(kind, key.size()))
    return std::nullopt;
  return stream_id(category, kind, key);
}

std::uint64_t stream_id::integer() const noexcept {
  std::uint64_t value = 0;
  if (kind_ == key_kind::integer)
    std::memcpy(&value, key_.data(), sizeof value);
  return value;
}

std::string stream_id::to_string(std::string_view category_name) const {
  auto text = category_name.empty() ? fmt::format("{}/", category_.value())
                                    : fmt::format("{}/", category_name);
  switch (kind_) {
    case key_kind::integer: return text + fmt::format("{}", integer());
    case key_kind::text: return text.append(reinterpret_cast<const char*>(key_.data()), size_);
    case key_kind::uuid: break;
  }
  for (std::size_t i = 0; i < size_; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      text += '-';
    text += fmt::format("{:02x}", std::to_integer<unsigned>(key_[i]));
  }
  return text;
}

bool stream_id::operator==(const stream_id& other) const noexcept {
  return category_ == other.category_ && kind_ == other.kind_
         && std::ranges::equal(key(), other.key());
}

std::uint64_t stream_hash(category_id category, key_kind kind,
                          std::span<const std::byte> key) noexcept {
  const auto seed = (std::uint64_t{category.value()} << 8U) | static_cast<std::uint64_t>(kind);
  if (kind != key_kind::integer)
    return XXH3_64bits_withSeed(key.data(), key.size(), seed);
  std::uint64_t value = 0;
  std::memcpy(&value, key.data(), std::min(key.size(), sizeof value));
  return mix(value + mix(seed));
}

std::uint64_t stream_hash(const stream_id& stream) noexcept {
  return stream_hash(stream.category(), stream.kind(), stream.key());
}

} // namespace acta::inline base
