#include "thread_options.hpp"

#include <acta/base/limits.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <string>
#include <utility>

namespace acta::sim {

namespace {

/// An option whose value is one of `names`; the first is the default.
template <class Choice>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Choice& to,
                        const std::vector<std::pair<std::string, Choice>>& names,
                        const std::string& description) {
  std::vector<std::string> values;
  values.reserve(names.size());
  for (const auto& [value, choice] : names)
    values.push_back(value);
  const auto choose = [&to, names](const std::string& text) {
    for (const auto& [value, choice] : names)
      if (value == text)
        to = choice;
  };
  return app.add_option_function<std::string>(name, choose, description)
    ->type_name(fmt::format("{}", fmt::join(values, "|")))
    ->check(CLI::IsMember(values).description(""))
    ->default_str(values.front());
}

} // namespace

std::vector<CLI::Option*> add_thread_options(CLI::App& app, runtime::engine_options& to) {
  using runtime::commit_by;
  using runtime::waiting;
  return {
    app
      .add_option(
        "--workers", to.workers,
        "Threads that run aggregates (default: all cores but one; with --commit worker one)")
      ->type_name("N")
      ->check(CLI::Range(1U, limits::max_workers)),
    app.add_flag("--pin-workers", to.pin_workers, "Each worker stays on one core"),
    add_choice<waiting>(
      app, "--wait", to.wait,
      {{"park", waiting::park}, {"yield", waiting::yield}, {"spin", waiting::spin}},
      "How a worker waits for commands: it sleeps, it lets others go first, or it keeps its core"),
    add_choice<commit_by>(app, "--commit", to.commit,
                          {{"own_thread", commit_by::own_thread}, {"worker", commit_by::worker}},
                          "Who writes the log: a thread of its own, or the only worker"),
  };
}

} // namespace acta::sim
