#include "run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace acta::sim {

result<std::unique_ptr<temporary_directory>> temporary_directory::make() {
  std::error_code code;
  auto pattern = (std::filesystem::temp_directory_path(code) / "acta-sim-XXXXXX").string();
  if (code || ::mkdtemp(pattern.data()) == nullptr)
    return failure(errc::io, fmt::format("'{}': no temporary directory can be made: {}; name one "
                                         "with --store, or set TMPDIR",
                                         pattern, std::generic_category().message(errno)));
  return std::unique_ptr<temporary_directory>(new temporary_directory(pattern));
}

temporary_directory::~temporary_directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

result<run_store> open_store(const options& chosen) {
  run_store made;
  if (chosen.durability == storage::durability::memory) {
    made.log = storage::make_memory_log();
    return made;
  }
  made.directory = chosen.store;
  if (chosen.feed == feed_kind::generator && chosen.orders == 0 && !made.directory.empty()
      && !std::filesystem::exists(made.directory / "log" / "data.mdb"))
    return failure(errc::not_found,
                   fmt::format("'{}' holds no store; --orders 0 rebuilds the book of one that is "
                               "there",
                               made.directory.string()));
  if (made.directory.empty()) {
    auto temporary = temporary_directory::make();
    if (!temporary)
      return failure(temporary);
    made.temporary = std::move(*temporary);
    made.directory = made.temporary->path();
  }
  auto log = storage::open_log(made.directory, {.durability = chosen.durability});
  if (!log)
    return failure(log);
  made.log = std::move(*log);
  return made;
}

result<void> catch_up(const projections::projector& follower, log_position position,
                      const std::function<void()>& meanwhile) {
  constexpr auto patience = std::chrono::milliseconds(100);
  for (;;) {
    auto reached = follower.wait_for(position, patience);
    if (reached || reached.error().code() != errc::timed_out)
      return reached;
    meanwhile();
  }
}

projection_state state_of(const projections::projector& follower, std::uint64_t log_events) {
  const auto position = follower.position().value();
  return {.name = std::string(follower.view().name()),
          .position = position,
          .lag_events = log_events - std::min(log_events, position)};
}

report begin_report(const options& chosen, const std::string& feed, const tally& results,
                    const runtime::engine& engine, const std::filesystem::path& directory) {
  report made;
  made.feed = feed;
  made.durability = storage::name(chosen.durability);
  made.store = chosen.store.string();
  made.commands = results.accepted + results.rejected;
  made.accepted = results.accepted;
  made.rejected = results.rejected;
  made.events = results.events;
  made.commits = engine.counters().commits;
  made.log_events = engine.log().tail().value();
  made.aggregates = results.streams;
  constexpr double per_us = 1'000;
  const auto percentile = [&](double percent) {
    return static_cast<double>(results.latency.percentile_ns(percent)) / per_us;
  };
  made.latency_us = {.p50 = percentile(50),
                     .p90 = percentile(90),
                     .p99 = percentile(99),
                     .p99_9 = percentile(99.9),
                     .max = percentile(100)};
  made.machine = this_machine(directory);
  return made;
}

std::unexpected<error> add_receipted(const error& why, const tally& results,
                                     const options& chosen) {
  return failure(why.code(),
                 fmt::format("{} ({} events of {} commands have their receipts, and are stored{})",
                             why.message(), results.events, results.accepted,
                             chosen.store.empty() ? " until this program ends"
                                                  : "; run the same again to go on"));
}

} // namespace acta::sim
