#pragma once

#include <acta/base/limits.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace acta::inline base {

/// An integer with a meaning. Explicit both ways, so that a version is never passed as a position.
template <class Tag, class Integer>
class strong_integer {
public:
  using value_type = Integer;

  constexpr strong_integer() noexcept = default;
  constexpr explicit strong_integer(Integer value) noexcept : value_(value) {}

  [[nodiscard]] constexpr Integer value() const noexcept { return value_; }
  [[nodiscard]] constexpr strong_integer next() const noexcept {
    return strong_integer(static_cast<Integer>(value_ + 1));
  }
  constexpr auto operator<=>(const strong_integer&) const noexcept = default;

private:
  Integer value_ = 0;
};

/// The number of events in a stream after an event: 1, 2, 3, ... 0 means the stream does not exist.
using stream_version = strong_integer<struct stream_version_tag, std::uint64_t>;

/// The place of an event in the log: 1, 2, 3, ... without a gap. 0 is before the first event.
using log_position = strong_integer<struct log_position_tag, std::uint64_t>;

/// The number a store gives to a category name ("order") in its dictionary. 0 is no category.
using category_id = strong_integer<struct category_id_tag, std::uint16_t>;

/// The number a store gives to an event type name in its dictionary. 0 is no type.
using event_type_id = strong_integer<struct event_type_id_tag, std::uint16_t>;

/// An aggregate's own name for one of its timers: a number, or an enumerator of any enumeration.
///
///     enum class timer { payment = 1 };
///     out.set_timer(timer::payment, out.now_ns() + half_an_hour_ns);
class timer_id {
public:
  constexpr timer_id() noexcept = default;
  constexpr explicit timer_id(std::uint64_t value) noexcept : value_(value) {}
  template <class Enum>
    requires std::is_enum_v<Enum>
  constexpr explicit(false) timer_id(Enum value) noexcept
      : value_(static_cast<std::uint64_t>(value)) {}

  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  constexpr auto operator<=>(const timer_id&) const noexcept = default;

private:
  std::uint64_t value_ = 0;
};

/// Sixteen bytes chosen by the caller that name one command, so that sending it again is harmless.
/// All zero means "not named": such a command is never taken for a repeat.
struct command_id {
  std::array<std::uint8_t, 16> bytes{};

  /// Two halves, e.g. a session and a number within it.
  [[nodiscard]] static command_id of(std::uint64_t high, std::uint64_t low) noexcept {
    command_id id;
    std::memcpy(id.bytes.data(), &high, sizeof high);
    std::memcpy(id.bytes.data() + sizeof high, &low, sizeof low);
    return id;
  }
  [[nodiscard]] std::uint64_t high() const noexcept { return half(0); }
  [[nodiscard]] std::uint64_t low() const noexcept { return half(8); }
  [[nodiscard]] bool empty() const noexcept { return (high() | low()) == 0; }
  bool operator==(const command_id& other) const noexcept {
    return high() == other.high() && low() == other.low();
  }

private:
  [[nodiscard]] std::uint64_t half(std::size_t offset) const noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
};

/// How the key of a stream is to be read.
enum class key_kind : std::uint8_t { integer = 1, uuid = 2, text = 3 };

/// Names one stream, which is one aggregate: a category and a key (64-bit integer, UUID, or text of
/// 1 to limits::max_key_size bytes). Keys are stored whole, never hashed: two keys never collide.
/// A plain value of 68 bytes.
///
///     auto order = stream_id(orders, 42);
class stream_id {
public:
  stream_id(category_id category, std::uint64_t key) noexcept;
  stream_id(category_id category, const std::array<std::byte, 16>& uuid) noexcept;

  /// Empty if the text is empty or longer than limits::max_key_size bytes.
  [[nodiscard]] static std::optional<stream_id> from_text(category_id category,
                                                          std::string_view key) noexcept;
  /// From the bytes of a record. Empty if the size does not fit the kind.
  [[nodiscard]] static std::optional<stream_id> from_bytes(category_id category, key_kind kind,
                                                           std::span<const std::byte> key) noexcept;

  [[nodiscard]] category_id category() const noexcept { return category_; }
  [[nodiscard]] key_kind kind() const noexcept { return kind_; }
  /// The key's bytes (an integer is little endian); valid while this stream_id is.
  [[nodiscard]] std::span<const std::byte> key() const noexcept { return {key_.data(), size_}; }
  /// The key as an integer; 0 unless kind() is key_kind::integer.
  [[nodiscard]] std::uint64_t integer() const noexcept;
  /// For people: "2/42", "2/550e8400-e29b-...", "2/alice"; with the category's name instead of its
  /// number where that is known.
  [[nodiscard]] std::string to_string(std::string_view category_name = {}) const;

  bool operator==(const stream_id& other) const noexcept;

private:
  stream_id(category_id category, key_kind kind, std::span<const std::byte> key) noexcept;

  category_id category_;
  key_kind kind_;
  std::uint8_t size_;
  std::array<std::byte, limits::max_key_size> key_; // only the first size_ bytes have a value
};

/// A 64-bit hash of category and key: the same on every machine and in every version, since stores
/// are sharded by it in memory only. Takes the parts so that a record needs no stream_id made.
[[nodiscard]] std::uint64_t stream_hash(category_id category, key_kind kind,
                                        std::span<const std::byte> key) noexcept;
[[nodiscard]] std::uint64_t stream_hash(const stream_id& stream) noexcept;

} // namespace acta::inline base
