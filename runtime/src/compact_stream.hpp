#pragma once

#include <acta/base/ensure.hpp>
#include <acta/base/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace acta::runtime {

/// A stream_id in 24 bytes instead of 68, for what a million of must fit: integer keys, UUIDs and
/// texts of up to 16 bytes lie in it, longer texts on the heap.
class compact_stream {
public:
  explicit compact_stream(const stream_id& of)
      : category_(of.category()), kind_(of.kind()),
        size_(static_cast<std::uint8_t>(of.key().size())) {
    const auto key = of.key();
    if (key.size() <= place_.size()) {
      std::memcpy(place_.data(), key.data(), key.size());
    } else {
      auto* far = new std::byte[key.size()];
      std::memcpy(far, key.data(), key.size());
      std::memcpy(place_.data(), static_cast<const void*>(&far), sizeof far);
    }
  }
  ~compact_stream() {
    if (size_ > place_.size())
      delete[] far();
  }
  compact_stream(const compact_stream&) = delete;
  compact_stream& operator=(const compact_stream&) = delete;

  [[nodiscard]] stream_id get() const noexcept {
    const auto whole = stream_id::from_bytes(category_, kind_, key());
    ensure(whole.has_value(), "a stream's key stays as it was");
    return *whole;
  }
  [[nodiscard]] category_id category() const noexcept { return category_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return stream_hash(category_, kind_, key()); }
  [[nodiscard]] bool is(const stream_id& other) const noexcept {
    const auto others = other.key();
    return category_ == other.category() && kind_ == other.kind() && size_ == others.size()
           && std::memcmp(key().data(), others.data(), size_) == 0;
  }

private:
  [[nodiscard]] const std::byte* far() const noexcept {
    const std::byte* at = nullptr;
    std::memcpy(static_cast<void*>(&at), place_.data(), sizeof at);
    return at;
  }
  [[nodiscard]] std::span<const std::byte> key() const noexcept {
    return {size_ <= place_.size() ? place_.data() : far(), size_};
  }

  category_id category_;
  key_kind kind_;
  std::uint8_t size_;
  alignas(8) std::array<std::byte, 16> place_;
};
static_assert(sizeof(compact_stream) == 24);

} // namespace acta::runtime
