#pragma once

#include <caf/actor_system_config.hpp>

namespace acta::runtime {

/// Has a system print errors of to_caf_error() as what they say.
void render_errors_in(caf::actor_system_config& config);

} // namespace acta::runtime
