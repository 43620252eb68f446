#pragma once

#include <acta/projections/projection.hpp>
#include <acta/runtime/upcasters.hpp>

#include <exception>
#include <span>
#include <string>

namespace acta::projections {

/// view.apply() of what the records are now, with what it throws as an error.
[[nodiscard]] inline result<void> apply(projection& view, const runtime::upcasters& upcasters,
                                        std::span<const storage::record_view> records,
                                        runtime::upcast_memory& memory) {
  memory.clear();
  const auto now = upcasters.apply(records, memory);
  if (!now)
    return std::unexpected(now.error());
  const auto threw = [&](const char* what) {
    return failure(errc::handler_failed,
                   "projection '" + std::string(view.name()) + "' threw: " + what);
  };
  try {
    return now->empty() ? result<void>() : view.apply(*now);
  } catch (const std::exception& thrown) {
    return threw(thrown.what());
  } catch (...) {
    return threw("something that is no std::exception");
  }
}

} // namespace acta::projections
