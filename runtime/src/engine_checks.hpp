#pragma once

#include <acta/base/error.hpp>
#include <acta/runtime/engine_options.hpp>

/// What engine_options may be.
namespace acta::runtime {

/// Workers for engine_options::workers of 0.
[[nodiscard]] unsigned default_workers();
/// After the number of workers is known.
[[nodiscard]] result<void> check_threads(const engine_options& options);
/// Cores that callers may spin on: those that neither a worker nor the committer needs.
[[nodiscard]] int spare_cores(const engine_options& options);
/// errc::invalid_argument, naming what cannot be used and what could.
[[nodiscard]] result<void> check(const engine_options& options);

} // namespace acta::runtime
