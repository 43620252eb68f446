#include "index_key.hpp"

#include <acta/base/ensure.hpp>

#include <bit>
#include <cstring>

namespace acta::storage {

namespace {

static_assert(std::endian::native == std::endian::little, "the store is little endian");

// A zero within a text is followed by `escaped`, and its end is a zero followed by `ended`, so that
// "a" comes before "a\0" and that before "ab", and no key is the start of another.
constexpr std::byte zero{0};
constexpr std::byte ended{1};
constexpr std::byte escaped{0xff};

[[nodiscard]] std::uint64_t big_endian_at(const std::byte* at) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap64(value);
}

/// The text at the start of `bytes` and what follows its end; false if it has none.
[[nodiscard]] bool read_text(std::span<const std::byte>& bytes,
                             std::array<std::byte, limits::max_key_size>& text,
                             std::size_t& size) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto one = bytes[i];
    if (one == zero) {
      ++i;
      if (i < bytes.size() && bytes[i] == ended) {
        bytes = bytes.subspan(i + 1);
        return true;
      }
      if (i == bytes.size() || bytes[i] != escaped)
        return false;
    }
    if (size == text.size())
      return false;
    text[size++] = one;
  }
  return false;
}

} // namespace

void index_key::put_start(category_id category, key_kind kind) noexcept {
  put(static_cast<std::byte>(category.value() >> 8U));
  put(static_cast<std::byte>(category.value() & 0xffU));
  put(static_cast<std::byte>(kind));
}

void index_key::put_big_endian(std::uint64_t value) noexcept {
  value = __builtin_bswap64(value);
  std::memcpy(bytes_.data() + size_, &value, sizeof value);
  size_ += sizeof value;
}

index_key::index_key(category_id category, std::uint64_t key) noexcept {
  put_start(category, key_kind::integer);
  put_big_endian(key);
  put_big_endian(0);
}

index_key::index_key(const stream_id& stream) noexcept {
  put_start(stream.category(), stream.kind());
  switch (stream.kind()) {
    case key_kind::integer: put_big_endian(stream.integer()); break;
    case key_kind::uuid:
      for (const auto one : stream.key())
        put(one);
      break;
    case key_kind::text:
      for (const auto one : stream.key()) {
        put(one);
        if (one == zero)
          put(escaped);
      }
      put(zero);
      put(ended);
      break;
  }
  put_big_endian(0);
  ensure(size_ <= max_size, "a key of the index has room for every stream");
}

void index_key::set_version(stream_version version) noexcept {
  size_ -= sizeof(std::uint64_t);
  put_big_endian(version.value());
}

std::optional<index_entry_name> parse_index_key(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t start = 3;
  if (bytes.size() < start)
    return std::nullopt;
  const auto category = category_id(static_cast<std::uint16_t>(
    std::to_integer<unsigned>(bytes[0]) << 8U | std::to_integer<unsigned>(bytes[1])));
  const auto kind = static_cast<key_kind>(bytes[2]);
  auto rest = bytes.subspan(start);
  std::array<std::byte, limits::max_key_size> key{};
  std::size_t size = 0;
  switch (kind) {
    case key_kind::integer:
      if (rest.size() != 2 * sizeof(std::uint64_t))
        return std::nullopt;
      return index_entry_name{stream_id(category, big_endian_at(rest.data())),
                              stream_version(big_endian_at(rest.data() + sizeof(std::uint64_t)))};
    case key_kind::uuid:
      size = 16;
      if (rest.size() != size + sizeof(std::uint64_t))
        return std::nullopt;
      std::memcpy(key.data(), rest.data(), size);
      rest = rest.subspan(size);
      break;
    case key_kind::text:
      if (!read_text(rest, key, size))
        return std::nullopt;
      break;
    default: return std::nullopt;
  }
  const auto stream = stream_id::from_bytes(category, kind, std::span(key).first(size));
  if (!stream || rest.size() != sizeof(std::uint64_t))
    return std::nullopt;
  return index_entry_name{*stream, stream_version(big_endian_at(rest.data()))};
}

} // namespace acta::storage
