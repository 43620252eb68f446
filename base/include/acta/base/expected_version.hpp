#pragma once

#include <acta/base/ids.hpp>

#include <cstdint>
#include <string>

namespace acta::inline base {

/// What the caller takes a stream's version to be when he appends to it. Version 0 is that of a
/// stream without events.
class expected_version {
public:
  /// No condition.
  [[nodiscard]] static constexpr expected_version any() noexcept { return {kind::any, {}}; }
  /// It has no events.
  [[nodiscard]] static constexpr expected_version none() noexcept { return exactly({}); }
  /// It has events.
  [[nodiscard]] static constexpr expected_version exists() noexcept { return {kind::exists, {}}; }
  [[nodiscard]] static constexpr expected_version exactly(stream_version version) noexcept {
    return {kind::exact, version};
  }

  [[nodiscard]] constexpr bool matches(stream_version actual) const noexcept {
    return matches(actual, actual != stream_version(0));
  }
  /// Of a stream that may have been removed: then it has a version, and no events.
  [[nodiscard]] constexpr bool matches(stream_version actual, bool has_events) const noexcept {
    switch (kind_) {
      case kind::any: return true;
      case kind::exists: return has_events;
      case kind::exact: return actual == version_ || (version_ == stream_version(0) && !has_events);
    }
    return false;
  }

  /// For people: "any version", "a stream with events", "no events", "version 3".
  [[nodiscard]] std::string to_string() const;

private:
  enum class kind : std::uint8_t { any, exists, exact };
  constexpr expected_version(kind of, stream_version version) noexcept
      : kind_(of), version_(version) {}

  kind kind_;
  stream_version version_;
};

} // namespace acta::inline base
