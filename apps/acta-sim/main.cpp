// acta-sim: see options.cpp for what it does, or run acta-sim --help.
#include "options.hpp"
#include "output_file.hpp"
#include "report.hpp"
#include "simulation.hpp"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

extern "C" void interrupt(int /*signal*/) {
  interrupted.store(true, std::memory_order_relaxed);
}

void handle_signals() {
  struct sigaction action{};
  action.sa_handler = interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND); // a second one ends the program at once
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

int fail(const acta::error& why) {
  fmt::print(stderr, "acta-sim: {}\n", why.message());
  return 1;
}

int run(const acta::sim::options& chosen) {
  const bool json_to_stdout = chosen.json == "-";
  std::optional<acta::apps::output_file> json;
  if (!chosen.json.empty() && !json_to_stdout) {
    auto file = acta::apps::output_file::create(chosen.json);
    if (!file)
      return fail(file.error());
    json.emplace(std::move(*file));
  }
  const auto report = acta::sim::simulate(chosen, interrupted);
  if (!report)
    return fail(report.error());
  if (json) {
    json->write(to_json(*report));
    if (auto written = json->finish(); !written)
      return fail(written.error());
  }
  const auto text = json_to_stdout ? to_json(*report) : chosen.quiet ? "" : to_table(*report);
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0)
    return fail({acta::errc::io, "standard output cannot be written"});
  constexpr int interrupted_status = 130; // as a shell says it of a program ended by SIGINT
  return report->interrupted ? interrupted_status : 0;
}

} // namespace

int main(int argc, char** argv) {
  try {
    const auto chosen = acta::sim::parse_options(argc, argv);
    if (const auto* end = std::get_if<acta::sim::exit_now>(&chosen))
      return end->status;
    handle_signals();
    return run(std::get<acta::sim::options>(chosen));
  } catch (const std::exception& thrown) {
    fmt::print(stderr, "acta-sim: {}\n", thrown.what());
    return 1;
  }
}
