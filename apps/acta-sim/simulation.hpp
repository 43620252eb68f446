#pragma once

#include "options.hpp"
#include "report.hpp"

#include <acta/base/error.hpp>

#include <atomic>

namespace acta::sim {

/// The whole job: reads or generates the order flow, runs it through an engine, writes the files
/// that were asked for, and says what happened. `interrupted` ends it early and in order.
[[nodiscard]] result<report> simulate(const options& chosen, const std::atomic<bool>& interrupted);

} // namespace acta::sim
