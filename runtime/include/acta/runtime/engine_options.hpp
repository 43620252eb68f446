#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/base/limits.hpp>
#include <acta/domain/upcaster.hpp>
#include <acta/runtime/failure_report.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_index.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace acta::runtime {

class interceptor;

/// How a worker waits for commands.
enum class waiting {
  park,  ///< It sleeps until it is woken, which takes microseconds.
  yield, ///< It looks again and again, and lets others go first: a core is busy, and nobody waits.
  spin,  ///< It does nothing but look: woken in well under a microsecond. The core is its own.
};

/// Who writes the log and calls the outcome handlers.
enum class commit_by {
  own_thread, ///< While it waits for the disk, the workers go on.
  /// The only worker, when it has no command left to handle, or has handled enough for a commit:
  /// no thread waits for another, which is quickest where a commit is (durability process, memory).
  /// Meanwhile it handles no command. Outcome handlers run between two of them.
  worker,
};

struct engine_options {
  /// Threads that run aggregates, each its share, by stream. 0: one for each core the calling
  /// thread may use but one, which is left to the committer, and at least one. At most
  /// limits::max_workers.
  unsigned workers = 0;
  /// Each worker stays on one core of those that the thread that opens the engine may use, from the
  /// last: what it works on stays in that core's cache. No more workers than cores then:
  /// errc::invalid_argument.
  bool pin_workers = false;
  /// Threads that spin take the core of whoever they wait for if there are more of them than cores,
  /// which costs milliseconds: so many workers are refused, errc::invalid_argument. Other threads
  /// that spin, and other engines', are the caller's to count.
  ///
  /// With spin, callers of ask() and truncate() spin too, as many as there are cores that neither a
  /// worker nor the committer needs; the others sleep.
  waiting wait = waiting::park;
  /// By the worker: there may be no other, errc::invalid_argument.
  commit_by commit = commit_by::own_thread;
  /// For tests: the engine has no thread, and whoever calls it takes its steps, in an order drawn
  /// from this seed; see engine::run_one(). One thread may call it. The same commands in the same
  /// order then have the same course, always. What is said above of threads does not matter; for
  /// CAF's actors no time passes, so that their timeouts never come. The store keeps its threads,
  /// which write and decide nothing.
  std::optional<std::uint64_t> deterministic_seed{};
  /// Commands taken and not yet settled; one more is refused with errc::overloaded. About 250 bytes
  /// of memory each, plus the command.
  std::size_t max_in_flight = limits::default_max_in_flight;
  /// Commands that wait for one aggregate; one more is refused with errc::overloaded.
  std::size_t max_mailbox = limits::default_max_mailbox;
  /// Aggregates that had no command for so long are dropped from memory: looked for every eighth of
  /// it. The next command loads them again. 0: none. On the engine's clock.
  std::chrono::nanoseconds passivate_after{0};
  /// Memory of all live aggregates, in bytes: actors, states and remembered command ids (see
  /// engine_counters::aggregate_memory), not of the index, the log and commands under way. Near it
  /// those that have had no command for longest are dropped. A command to one that is not in memory
  /// is refused with errc::overloaded while all that are take an eighth more than this and are
  /// busy. 0: none; more than 8/9 of 2^63 is refused with errc::invalid_argument. An aggregate
  /// whose state has more on the heap than sizeof(state) says so with `static std::size_t
  /// heap_size(const state&) noexcept`.
  std::size_t memory_budget = 0;
  /// Aggregates that are loaded at the same time, at least 1; others wait in the order they came,
  /// and their workers go on with those that are loaded. It takes more workers than this to wait.
  std::size_t max_recoveries = limits::default_max_recoveries;
  /// Command ids each aggregate remembers: see limits::default_repeat_window.
  std::size_t repeat_window = limits::default_repeat_window;
  /// Of the index of streams. When it falls behind the log, by more events than a 64th of its
  /// memory in bytes, commands are refused with errc::overloaded until its disk has caught up.
  storage::stream_index_options index{};
  /// Events of an aggregate after which a snapshot of its state is saved, in the background. 0:
  /// none are saved, and those there are not used. Only of aggregates that say how (see
  /// domain::aggregate); a snapshot holds the command ids too, 24 bytes each.
  std::uint64_t snapshot_every = limits::default_snapshot_every;
  /// Newest snapshots kept of each aggregate, at least 1.
  std::size_t snapshots_kept = limits::default_snapshots_kept;
  /// Where they are, for those who read them, too: opened with storage::open_snapshots() and the
  /// same log. Null: the engine opens those beside the log, makes them anew if they are damaged,
  /// and goes on without if they cannot be opened.
  std::shared_ptr<storage::snapshot_store> snapshots{};
  /// Called with what went wrong and did no harm: a snapshot that was not saved, or not used where
  /// it should have been; a timer that is tried again. By any of the engine's threads, at the same
  /// time too; must be quick and not throw.
  std::function<void(const error&)> warning{};
  /// Called when an aggregate or a commit fails: see failure_report. As `warning`.
  std::function<void(const failure_report&)> watch{};
  /// Asked before every command, in this order; not before a timer fires. Each must outlive the
  /// engine.
  std::vector<interceptor*> interceptors{};
  /// Every so many-th command of a caller's thread is timed: see engine::latencies(). 1: each; 0:
  /// none.
  unsigned latency_sample = limits::default_latency_sample;
  /// Dates the records, once a commit, and says when timers are due. Must outlive the engine.
  /// Timers are looked at when a manual_clock is moved; on any other clock once a second, at least.
  const acta::clock* clock = &wall_clock();
  /// What events that are no longer written have become; applied on every way of reading through
  /// this engine: aggregates, projectors and read().
  std::vector<domain::upcaster> upcasters{};
};

} // namespace acta::runtime
