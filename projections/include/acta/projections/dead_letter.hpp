#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstdint>
#include <string>

namespace acta::projections {

/// An event that a view has not handled and does not wait for. It is kept with the view, until it
/// is retried with success, or discarded.
struct dead_letter {
  log_position position;
  std::string stream; ///< For people, "order/42"; two streams never have the same.
  errc code = errc::handler_failed;
  std::string why;
  std::uint32_t attempts = 0; ///< 0: not tried, as an earlier event of its stream is dead.
  std::int64_t since_ns = 0;  ///< Since 1970-01-01T00:00:00Z, by the engine's clock.

  bool operator==(const dead_letter&) const = default;
};

} // namespace acta::projections
