#pragma once

#include <acta/base/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace acta::storage {

/// The key of an entry of the index on disk: a stream, and a version in it, such that keys sort as
/// bytes by category, kind of key, key (an integer by its value, a text by its bytes) and version.
/// Byte by byte: docs/format.md.
class index_key {
public:
  explicit index_key(const stream_id& stream) noexcept;
  /// The same for an integer key.
  index_key(category_id category, std::uint64_t key) noexcept;

  void set_version(stream_version version) noexcept;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), size_}; }
  /// The part that all entries of the stream share.
  [[nodiscard]] std::span<const std::byte> stream() const noexcept {
    return {bytes_.data(), size_ - sizeof(std::uint64_t)};
  }

  /// The largest: a text of zeros, each of which takes two bytes, and its end.
  static constexpr std::size_t max_size = 3 + 2 * limits::max_key_size + 2 + sizeof(std::uint64_t);

private:
  void put(std::byte one) noexcept { bytes_[size_++] = one; }
  void put_start(category_id category, key_kind kind) noexcept;
  void put_big_endian(std::uint64_t value) noexcept;

  std::array<std::byte, max_size> bytes_; // only the first size_ bytes have a value
  std::size_t size_ = 0;
};

/// What a key says.
struct index_entry_name {
  stream_id stream;
  stream_version version;
};

/// Empty if the bytes are no key.
[[nodiscard]] std::optional<index_entry_name>
parse_index_key(std::span<const std::byte> bytes) noexcept;

} // namespace acta::storage
