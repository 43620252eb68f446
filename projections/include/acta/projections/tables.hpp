#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/ordered_table.hpp>
#include <acta/storage/view_file.hpp>

#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace acta::projections {

/// One state of the tables of an lmdb_view. Of one thread, and valid during the call that it is
/// given to, as is what it shows.
///
/// Errors: the first that a store, or a key that is too long, leads to is kept, nothing is found
/// from then on, and lmdb_view answers with it: so nobody need look at each call.
class table_reader {
public:
  explicit table_reader(const storage::view_reader& in) noexcept : in_(in) {}
  table_reader(const table_reader&) = delete;
  table_reader& operator=(const table_reader&) = delete;

  /// The position of the log that this state was built through.
  [[nodiscard]] log_position position() const noexcept { return in_.position(); }

  /// Of FlatBuffers a pointer, null if there is none, that the next change ends; of structs a copy,
  /// in an optional.
  template <table_key Key, table_value Value>
  [[nodiscard]] auto get(const ordered_table<Key, Value>& table,
                         const std::type_identity_t<Key>& key) const {
    return found<Value>(find(table.bytes_of(key)));
  }

  /// Shows what is in a range as `show(key, value)`, in the order of the keys or backward, until
  /// that returns false (or to the end where it returns nothing). `show` changes no table.
  ///
  ///     now.each(totals::by_day.between({customer, monday}, {customer, sunday}),
  ///              [&](const auto& key, const total& value) { sum += value.cents; });
  template <table_key Key, table_value Value, class Show>
  void each(const table_range<Key, Value>& range, Show&& show,
            storage::direction way = storage::direction::forward) const {
    scan(range.from, range.to, way, [&](bytes key, bytes value) {
      key_reader parts(key);
      const auto read = parts.read<Key>();
      const auto held = found<Value>(value);
      if (!parts.is_whole() || !held) {
        fail_as_damaged();
        return false;
      }
      if constexpr (std::is_void_v<decltype(show(read, *held))>) {
        show(read, *held);
        return true;
      } else {
        return static_cast<bool>(show(read, *held));
      }
    });
  }

  /// The first of a range as show(key, value), if there is one; true then.
  template <table_key Key, table_value Value, class Show>
  bool first(const table_range<Key, Value>& range, Show&& show) const {
    return one(range, std::forward<Show>(show), storage::direction::forward);
  }
  template <table_key Key, table_value Value, class Show>
  bool last(const table_range<Key, Value>& range, Show&& show) const {
    return one(range, std::forward<Show>(show), storage::direction::backward);
  }

  /// The first error there was.
  [[nodiscard]] const result<void>& status() const noexcept { return status_; }

protected:
  using bytes = std::span<const std::byte>;

  [[nodiscard]] std::optional<bytes> find(const key_bytes& key) const;
  void fail(error why) const;

private:
  void scan(const key_bytes& from, const key_bytes& to, storage::direction way,
            const storage::view_reader::look& show) const;
  void fail_as_damaged() const;

  template <class Value>
  [[nodiscard]] auto found(std::optional<bytes> held) const {
    if constexpr (flat_value<Value>) {
      if (!held)
        return static_cast<const Value*>(nullptr);
      const auto* value = reinterpret_cast<const std::uint8_t*>(held->data());
      flatbuffers::Verifier verifier(value, held->size());
      if (verifier.VerifyBuffer<Value>(nullptr))
        return flatbuffers::GetRoot<Value>(value);
      fail_as_damaged();
      return static_cast<const Value*>(nullptr);
    } else {
      std::optional<Value> value;
      if (held && held->size() >= sizeof(Value)) {
        std::memcpy(&value.emplace(), held->data(), sizeof(Value));
      } else if (held) {
        fail_as_damaged();
      }
      return value;
    }
  }

  template <class Range, class Show>
  bool one(const Range& range, Show&& show, storage::direction way) const {
    bool shown = false;
    each(
      range,
      [&](const auto& key, const auto& value) {
        show(key, value);
        shown = true;
        return false;
      },
      way);
    return shown;
  }

  const storage::view_reader& in_;
  mutable result<void> status_;
};

/// What a handler of an lmdb_view's model writes to; it reads what it wrote. After an error nothing
/// is written, and the step is undone.
class table_writer : public table_reader {
public:
  explicit table_writer(storage::view_writer& to) noexcept : table_reader(to), to_(to) {}

  /// In place of what there is.
  template <table_key Key, table_value Value>
    requires(!flat_value<Value>)
  void put(const ordered_table<Key, Value>& table, const std::type_identity_t<Key>& key,
           const std::type_identity_t<Value>& value) {
    put(table.bytes_of(key), std::as_bytes(std::span(&value, 1)));
  }
  /// `build(flatbuffers::FlatBufferBuilder&)` returns the offset of the finished table.
  ///
  ///     to.put(people::by_id, id, [&](auto& builder) { return Createperson(builder, age); });
  template <table_key Key, flat_value Value, class Build>
  void put(const ordered_table<Key, Value>& table, const std::type_identity_t<Key>& key,
           Build&& build) {
    builder_.Clear();
    const flatbuffers::Offset<Value> root = std::forward<Build>(build)(builder_);
    builder_.Finish(root);
    put(table.bytes_of(key),
        std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize())));
  }

  /// True if there was one.
  template <table_key Key, table_value Value>
  bool erase(const ordered_table<Key, Value>& table, const std::type_identity_t<Key>& key) {
    return erase(table.bytes_of(key));
  }

private:
  void put(const key_bytes& key, bytes value);
  bool erase(const key_bytes& key);

  storage::view_writer& to_;
  flatbuffers::FlatBufferBuilder builder_;
};

} // namespace acta::projections
