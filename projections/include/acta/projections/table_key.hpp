#pragma once

#include <acta/base/limits.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace acta::projections {

/// What a key of an ordered_table is made of: an integer or an enumeration, or a short text, whose
/// bytes are compared. A key is one of these, or a std::tuple of several.
template <class Part>
concept key_part = (std::integral<Part> && !std::same_as<Part, bool>) || std::is_enum_v<Part>
                   || std::same_as<Part, std::string>;

namespace detail {

template <class Key>
struct is_table_key : std::bool_constant<key_part<Key>> {};
template <class... Parts>
struct is_table_key<std::tuple<Parts...>> : std::bool_constant<(key_part<Parts> && ...)> {};

} // namespace detail

template <class Key>
concept table_key = detail::is_table_key<Key>::value;

/// A key as bytes, whose order (memcmp) is the order of the keys: integers with the highest byte
/// first, of signed ones the sign turned over; a text ends with two zeros, and a zero in it is
/// followed by 0xff. So no key is the beginning of another.
class key_bytes {
public:
  explicit key_bytes(std::uint8_t table) noexcept { push(static_cast<std::byte>(table)); }

  template <key_part Part>
  void add(const Part& part) {
    if constexpr (std::is_enum_v<Part>) {
      add(static_cast<std::underlying_type_t<Part>>(part));
    } else if constexpr (std::same_as<Part, std::string>) {
      add_text(part);
      push(std::byte{});
      push(std::byte{});
    } else {
      const auto bits = turned(static_cast<std::make_unsigned_t<Part>>(part), //
                               std::signed_integral<Part>);
      for (std::size_t i = sizeof bits; i-- > 0;)
        push(static_cast<std::byte>(static_cast<std::uint64_t>(bits) >> (8 * i)));
    }
  }
  template <class... Parts>
  void add(const std::tuple<Parts...>& key) {
    std::apply([this](const auto&... parts) { (this->add(parts), ...); }, key);
  }
  /// Without an end: the beginning of all texts that begin so.
  void add_text(std::string_view text) noexcept {
    for (const char each : text) {
      push(static_cast<std::byte>(each));
      if (each == '\0')
        push(std::byte{0xff});
    }
  }

  /// With zeros up to whole eights, as keys are stored.
  void pad() noexcept {
    while (size_ % 8 != 0)
      push(std::byte{});
  }
  /// The first bytes that are behind all that begin with these; empty if there are none.
  void go_behind() noexcept {
    while (size_ > 0 && bytes_[size_ - 1] == std::byte{0xff})
      --size_;
    if (size_ > 0)
      bytes_[size_ - 1] = static_cast<std::byte>(static_cast<unsigned>(bytes_[size_ - 1]) + 1);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), size_}; }
  /// It has more than limits::max_view_key bytes, and bytes() is no key.
  [[nodiscard]] bool is_too_long() const noexcept { return is_too_long_; }

  template <std::unsigned_integral Bits>
  [[nodiscard]] static Bits turned(Bits bits, bool is_signed) noexcept {
    constexpr auto sign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
    return is_signed ? static_cast<Bits>(bits ^ sign) : bits;
  }

private:
  void push(std::byte each) noexcept {
    if (size_ == bytes_.size())
      is_too_long_ = true;
    else
      bytes_[size_++] = each;
  }

  std::array<std::byte, limits::max_view_key> bytes_;
  std::size_t size_ = 0;
  bool is_too_long_ = false;
};

/// Takes the parts of a key apart again. What is no key of that kind is told by is_whole().
class key_reader {
public:
  /// Of the bytes of a key, its table's number first.
  explicit key_reader(std::span<const std::byte> key) noexcept : left_(key) { (void)next(); }

  template <table_key Key>
  [[nodiscard]] Key read() {
    if constexpr (key_part<Key>)
      return read_part<Key>();
    else
      return read_tuple(static_cast<Key*>(nullptr));
  }
  /// What was read was there, and what is left is the padding.
  [[nodiscard]] bool is_whole() const noexcept { return !was_short_ && left_.size() < 8; }

private:
  template <class... Parts>
  [[nodiscard]] std::tuple<Parts...> read_tuple(std::tuple<Parts...>*) {
    return std::tuple<Parts...>{read_part<Parts>()...}; // braces: from left to right
  }

  template <class Part>
  [[nodiscard]] Part read_part() {
    if constexpr (std::is_enum_v<Part>) {
      return static_cast<Part>(read_part<std::underlying_type_t<Part>>());
    } else if constexpr (std::same_as<Part, std::string>) {
      std::string text;
      for (;;) {
        const auto each = next();
        if (each == std::byte{} && next() == std::byte{})
          return text;
        text.push_back(static_cast<char>(each));
      }
    } else {
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < sizeof(Part); ++i)
        bits = (bits << 8U) | static_cast<std::uint64_t>(next());
      return static_cast<Part>(key_bytes::turned(static_cast<std::make_unsigned_t<Part>>(bits),
                                                 std::signed_integral<Part>));
    }
  }

  [[nodiscard]] std::byte next() noexcept {
    was_short_ = was_short_ || left_.empty();
    if (was_short_)
      return {}; // zeros end a text too
    const auto each = left_.front();
    left_ = left_.subspan(1);
    return each;
  }

  std::span<const std::byte> left_;
  bool was_short_ = false;
};

} // namespace acta::projections
