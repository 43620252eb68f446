#pragma once

#include "options.hpp"
#include "report.hpp"

#include <acta/base/error.hpp>

#include <atomic>

namespace acta::sim {

/// As simulate(), for a feed of a shop's orders: they go through the engine, and what the store has
/// of them at the end is told.
[[nodiscard]] result<report> simulate_shop(const options& chosen,
                                           const std::atomic<bool>& interrupted);

} // namespace acta::sim
