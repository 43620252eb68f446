#pragma once

#include "core.hpp"
#include "registry.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/engine_options.hpp>

/// What engine_options may be, and what is said of commands that are not sent.
namespace acta::runtime {

/// Workers for engine_options::workers of 0.
[[nodiscard]] unsigned default_workers();
/// After the number of workers is known.
[[nodiscard]] result<void> check_threads(const engine_options& options);
/// Cores that callers may spin on: those that neither a worker nor the committer needs.
[[nodiscard]] int spare_cores(const engine_options& options);
/// errc::invalid_argument, naming what cannot be used and what could.
[[nodiscard]] result<void> check(const engine_options& options);

/// Of a command to a stream of this category, if there is one: it is not that aggregate's.
[[nodiscard]] std::unexpected<error> refuse(const category_entry* category,
                                            const stream_id& stream);
/// errc::overloaded, naming what is full.
[[nodiscard]] std::unexpected<error> no_room(registry::delivery how, const core& shared,
                                             const category_entry& category,
                                             const stream_id& stream);

} // namespace acta::runtime
