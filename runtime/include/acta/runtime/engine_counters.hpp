#pragma once

#include <acta/runtime/latency_histogram.hpp>

#include <cstdint>

namespace acta::runtime {

/// Counts since the engine was opened. Read at any time from any thread; each is exact, together
/// they may be some microseconds apart.
struct engine_counters {
  std::uint64_t commits = 0;
  std::uint64_t events = 0;
  std::uint64_t live_aggregates = 0;   ///< Actors now in memory.
  std::uint64_t passivated = 0;        ///< Actors dropped: closed, idle, or over the memory budget.
  std::uint64_t aggregate_memory = 0;  ///< Estimated, of the live ones, in bytes.
  std::uint64_t recoveries = 0;        ///< Aggregates loaded from events or a snapshot.
  std::uint64_t recovery_failures = 0; ///< Loadings that failed; see failure_report.
  std::uint64_t overloaded = 0;        ///< Commands refused for lack of room.
};

/// What became of the commands of one category; those that never reached an aggregate are not here.
struct command_counters {
  std::uint64_t accepted = 0;      ///< With or without events.
  std::uint64_t repeats = 0;       ///< Answered with their first receipt.
  std::uint64_t rejected = 0;      ///< By decide() or an interceptor.
  std::uint64_t expired = 0;       ///< Past their deadline.
  std::uint64_t wrong_version = 0; ///< Sent for another version.
  std::uint64_t failed = 0;        ///< All other errors.
};

/// Where the time of the sampled commands of a category went (engine_options::latency_sample), from
/// tell() to the call of the handler, in consecutive stages.
struct command_latencies {
  latency_histogram mailbox; ///< Until the aggregate's turn came.
  latency_histogram decide;  ///< Loading, decide(), evolve(), encoding.
  latency_histogram stage;   ///< Until the committer took it: mostly the commit before.
  latency_histogram commit;  ///< Appending and syncing, with all that was committed together.
  latency_histogram receipt; ///< Until the handler was called.
  latency_histogram total;
};

} // namespace acta::runtime
