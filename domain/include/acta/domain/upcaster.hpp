#pragma once

#include <acta/base/schema.hpp>
#include <acta/domain/aggregate.hpp>

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace acta::domain {

/// What came of upcasting one event.
enum class upcast_outcome : std::uint8_t {
  converted, ///< The new payload is finished in the builder.
  dropped,   ///< Readers do not see the event; its position and version stay.
  malformed, ///< The old payload is not what it should be; the reader gets errc::corrupt.
};

/// Turns events of one type and version into what they are called now, each time they are read:
/// what is stored never changes. A pure function with its place in the order of versions. Upcasters
/// follow one another: one from 1 to 2 and one from 2 to 3 make 3 of 1. Made by upcast() or drop(),
/// or by hand for a table this program no longer has.
struct upcaster {
  std::string from_type; ///< Fully qualified name of the table, as it is stored.
  std::uint16_t from_version = 1;
  std::string to_type; ///< May be the same; empty: the events are dropped.
  std::uint16_t to_version = 1;
  /// Called on any thread that reads, several at a time. The payload is 8-byte aligned; the builder
  /// is empty. Not needed to drop.
  std::function<upcast_outcome(std::span<const std::byte> old_payload,
                               flatbuffers::FlatBufferBuilder& builder)>
    convert{};
  /// Of `from_type`, if the program has it: an engine refuses one that misreads what is stored.
  std::span<const std::uint8_t> from_schema{};
};

struct upcast_versions {
  std::uint16_t from = 1; ///< schema_version of the events it is for.
  std::uint16_t to = 0;   ///< Of what it makes of them; 0: the newest, schema_version<To>.
};

/// An upcaster between two tables. `convert(const From&, flatbuffers::FlatBufferBuilder&)` returns
/// the offset of a `To`, or a std::optional of that, which drops the event if it is empty.
///
///     domain::upcast<deposited, deposited_in>({.from = 1}, [](const deposited& old, auto& to) {
///       return Createdeposited_in(to, old.amount(), currency::euro);
///     })
template <class From, class To, class Convert>
[[nodiscard]] upcaster upcast(const upcast_versions& versions, Convert convert) {
  auto checked = [convert = std::move(convert)](std::span<const std::byte> old_payload,
                                                flatbuffers::FlatBufferBuilder& builder) {
    const auto* old = verified<From>(old_payload);
    if (old == nullptr)
      return upcast_outcome::malformed;
    const std::optional<flatbuffers::Offset<To>> root = convert(*old, builder);
    if (!root)
      return upcast_outcome::dropped;
    builder.Finish(*root);
    return upcast_outcome::converted;
  };
  return {.from_type = From::GetFullyQualifiedName(),
          .from_version = versions.from,
          .to_type = To::GetFullyQualifiedName(),
          .to_version = versions.to != 0 ? versions.to : schema_version<To>,
          .convert = std::move(checked),
          .from_schema = schema_of<From>};
}

/// Drops the events of a type and version.
[[nodiscard]] inline upcaster drop(std::string type, std::uint16_t version = 1) {
  return {.from_type = std::move(type), .from_version = version, .to_type = {}};
}

} // namespace acta::domain
