#pragma once

#include <acta/runtime/engine.hpp>

#include <caf/all.hpp>

#include <utility>

namespace acta::tests {

/// An actor in an engine's system. With an argument, as without one CAF binds a reference to null,
/// which UBSan finds.
template <caf::spawn_options Options = caf::no_spawn_options, class Function>
caf::actor spawn(runtime::engine& in, Function run) {
  return in.system().spawn<Options>(
    [run = std::move(run)](caf::event_based_actor* self, int) { return run(self); }, 0);
}

} // namespace acta::tests
