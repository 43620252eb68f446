#pragma once

#include <acta/projections/table_key.hpp>

#include <flatbuffers/flatbuffers.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace acta::projections {

/// A table of a FlatBuffers schema.
template <class Value>
concept flat_value = requires(const Value& value, flatbuffers::Verifier& verifier) {
  { value.Verify(verifier) } -> std::same_as<bool>;
};

/// What an ordered_table holds: FlatBuffers, which are read where they lie, or plain structs, which
/// are copied. A struct's bytes are kept as they are: when it changes, so must the model's version.
template <class Value>
concept table_value =
  flat_value<Value> || (std::is_trivially_copyable_v<Value> && std::default_initializable<Value>);

/// What is looked for in a table: its keys from one on, and before another. To be had from the
/// table.
template <table_key Key, table_value Value>
struct table_range {
  key_bytes from;
  key_bytes to;
};

/// A table of a read model that is kept in an lmdb_view: its number, 1 to 255, each of a model
/// once, and never given to another table of the same version. It holds nothing itself.
///
///     struct totals {
///       using key = std::tuple<std::uint32_t, std::int64_t>; // customer, day
///       static constexpr projections::ordered_table<key, total> by_day{1};
template <table_key Key, table_value Value>
class ordered_table {
public:
  using key_type = Key;
  using value_type = Value;
  using range = table_range<Key, Value>;

  // 0 is the view's own: its dead letters.
  consteval explicit ordered_table(std::uint8_t number) : number_(number) {
    if (number == 0)
      throw "a table's number is 1 to 255";
  }

  [[nodiscard]] range all() const { return begins_with(key_bytes(number_)); }
  /// From `first` on, and before `end`.
  [[nodiscard]] range between(const Key& first, const Key& end) const {
    return {start(first), start(end)};
  }
  [[nodiscard]] range from(const Key& first) const { return {start(first), all().to}; }
  [[nodiscard]] range before(const Key& end) const { return {key_bytes(number_), start(end)}; }

  /// Keys whose first parts are these.
  ///
  ///     totals::by_day.with(customer)
  template <class... Parts>
  [[nodiscard]] range with(const Parts&... parts) const {
    return begins_with(beginning(std::make_index_sequence<sizeof...(Parts)>(), parts...));
  }
  /// Keys whose first parts are these, and then a text that begins so.
  ///
  ///     people::by_city_and_name.with_text("Bern", "Mei")
  template <class... Parts>
  [[nodiscard]] range with_text(const Parts&... parts) const {
    return text_behind(std::make_index_sequence<sizeof...(Parts) - 1>(), std::tie(parts...));
  }

  /// As it is stored.
  [[nodiscard]] key_bytes bytes_of(const Key& key) const {
    auto bytes = start(key);
    bytes.pad();
    return bytes;
  }

private:
  template <class Whole>
  struct parts_of : std::type_identity<std::tuple<Whole>> {};
  template <class... Parts>
  struct parts_of<std::tuple<Parts...>> : std::type_identity<std::tuple<Parts...>> {};
  using all_parts = typename parts_of<Key>::type;
  template <std::size_t Index>
  using part = std::tuple_element_t<Index, all_parts>;

  [[nodiscard]] key_bytes start(const Key& key) const {
    key_bytes bytes(number_);
    bytes.add(key);
    return bytes;
  }

  template <std::size_t... Index, class... Parts>
  [[nodiscard]] key_bytes beginning(std::index_sequence<Index...>, const Parts&... parts) const {
    static_assert(sizeof...(Parts) <= std::tuple_size_v<all_parts>, "a key has fewer parts");
    key_bytes prefix(number_);
    (prefix.add(part<Index>(parts)), ...);
    return prefix;
  }

  template <std::size_t... Index, class Tuple>
  [[nodiscard]] range text_behind(std::index_sequence<Index...> numbers, const Tuple& parts) const {
    static_assert(std::same_as<part<sizeof...(Index)>, std::string>, "that part is no text");
    auto prefix = beginning(numbers, std::get<Index>(parts)...);
    prefix.add_text(std::get<sizeof...(Index)>(parts));
    return begins_with(prefix);
  }

  [[nodiscard]] static range begins_with(const key_bytes& prefix) noexcept {
    range found{prefix, prefix};
    found.to.go_behind();
    return found;
  }

  std::uint8_t number_;
};

} // namespace acta::projections
