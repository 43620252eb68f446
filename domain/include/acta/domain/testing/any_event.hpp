#pragma once

#include <acta/base/schema.hpp>
#include <acta/domain/aggregate.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Events as the test kit of testing.hpp has them.
namespace acta::domain::testing {

/// A FlatBuffer as JSON, by the schema of its header; without one, how many bytes it has.
[[nodiscard]] std::string text_of(std::span<const std::uint8_t> schema, std::string_view table,
                                  std::span<const std::byte> payload);

/// An event of any type: a copy of its own.
class any_event {
public:
  template <class Event>
  [[nodiscard]] static any_event of(std::span<const std::byte> payload,
                                    std::uint16_t version = schema_version<Event>) {
    any_event made;
    made.type_ = Event::GetFullyQualifiedName();
    made.schema_ = schema_of<Event>;
    made.payload_.assign(payload.begin(), payload.end());
    made.version_ = version;
    made.well_formed_ = verified<Event>(made.payload_) != nullptr;
    return made;
  }

  /// Fully qualified: "example.deposited".
  [[nodiscard]] std::string_view type() const noexcept { return type_; }
  [[nodiscard]] std::uint16_t version() const noexcept { return version_; }
  [[nodiscard]] std::span<const std::byte> payload() const noexcept { return payload_; }
  /// False if the event's own verifier refuses the payload.
  [[nodiscard]] bool is_well_formed() const noexcept { return well_formed_; }

  /// `example.deposited {"amount":100}`.
  [[nodiscard]] std::string text() const;

  /// The event, borrowed; nullptr if it is of another type or not well formed.
  template <class Event>
  [[nodiscard]] const Event* as() const noexcept {
    const bool is_it = well_formed_ && type_ == Event::GetFullyQualifiedName();
    return is_it ? flatbuffers::GetRoot<Event>(payload_.data()) : nullptr;
  }

  /// Equal fields of one type and version, in whichever order they were built; where the header has
  /// no schema (flatc alone made it), equal bytes.
  bool operator==(const any_event& other) const;
  friend std::ostream& operator<<(std::ostream& out, const any_event& event);

private:
  any_event() = default;

  std::string_view type_;                // flatc's constant
  std::span<const std::uint8_t> schema_; // a constant of the header
  std::vector<std::byte> payload_;       // from operator new: aligned for any FlatBuffer
  std::uint16_t version_ = 0;
  bool well_formed_ = false;
};

/// An event whose type the compiler knows: given() refuses what is not the aggregate's.
template <class Event>
class event_of : public any_event {
public:
  explicit event_of(any_event event) : any_event(std::move(event)) {}
};

/// `build(flatbuffers::FlatBufferBuilder&)` returns the offset of the finished table, as for
/// emitter::emit.
template <class Event, class Build>
[[nodiscard]] event_of<Event> event(Build&& build) {
  flatbuffers::FlatBufferBuilder builder;
  const flatbuffers::Offset<Event> root = std::forward<Build>(build)(builder);
  builder.Finish(root);
  return event_of<Event>(
    any_event::of<Event>(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))));
}

} // namespace acta::domain::testing
