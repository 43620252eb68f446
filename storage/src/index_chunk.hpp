#pragma once

#include <acta/base/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace acta::storage {

/// The value of an entry of the index: positions of consecutive versions, 5 bytes each, little
/// endian, rising.
class index_chunk {
public:
  static constexpr std::size_t position_size = 5;

  explicit index_chunk(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] bool is_well_formed() const noexcept {
    return !bytes_.empty() && bytes_.size() % position_size == 0;
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() / position_size; }
  [[nodiscard]] std::uint64_t operator[](std::size_t i) const noexcept {
    std::uint64_t position = 0;
    std::memcpy(&position, bytes_.data() + i * position_size, position_size);
    return position;
  }
  [[nodiscard]] std::uint64_t last() const noexcept { return (*this)[size() - 1]; }

  static void put(std::byte* to, std::uint64_t position) noexcept {
    std::memcpy(to, &position, position_size);
  }

private:
  std::span<const std::byte> bytes_;
};

} // namespace acta::storage
