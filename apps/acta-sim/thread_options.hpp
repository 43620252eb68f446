#pragma once

#include <acta/runtime/engine_options.hpp>

#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace acta::sim {

/// Adds --workers, --pin-workers, --wait and --commit to a program's arguments, as engine_options
/// names them. `to` must outlive the parsing. Which of them go together, the engine says when it is
/// opened.
std::vector<CLI::Option*> add_thread_options(CLI::App& app, runtime::engine_options& to);

} // namespace acta::sim
