#pragma once

#include <acta/projections/projection.hpp>

#include <exception>
#include <span>
#include <string>

namespace acta::projections {

/// view.apply(), with what it throws as an error.
[[nodiscard]] inline result<void> apply(projection& view,
                                        std::span<const storage::record_view> records) {
  const auto threw = [&](const char* what) {
    return failure(errc::handler_failed,
                   "projection '" + std::string(view.name()) + "' threw: " + what);
  };
  try {
    return view.apply(records);
  } catch (const std::exception& thrown) {
    return threw(thrown.what());
  } catch (...) {
    return threw("something that is no std::exception");
  }
}

} // namespace acta::projections
