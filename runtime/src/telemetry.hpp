#pragma once

#include "settlement.hpp"

#include <acta/runtime/engine_counters.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace acta::runtime {

/// A clock for durations, in ns.
[[nodiscard]] inline std::int64_t monotonic_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
           std::chrono::steady_clock::now().time_since_epoch())
    .count();
}

/// A count that one thread at a time raises and any may read.
class counter {
public:
  void add(std::uint64_t more = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t read() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// What is counted and timed of the commands of one category. Written by the answerer alone, which
/// sees each command's end; so nothing here is shared by writers.
struct category_telemetry {
  counter accepted, repeats, rejected, expired, wrong_version, failed;
  shared_latency_histogram mailbox, decide, stage, commit, receipt, total;

  void count_failure(errc why) noexcept {
    switch (why) {
      case errc::rejected: rejected.add(); break;
      case errc::expired: expired.add(); break;
      case errc::wrong_version: wrong_version.add(); break;
      default: failed.add();
    }
  }
  [[nodiscard]] command_counters counters() const noexcept {
    return {.accepted = accepted.read(),
            .repeats = repeats.read(),
            .rejected = rejected.read(),
            .expired = expired.read(),
            .wrong_version = wrong_version.read(),
            .failed = failed.read()};
  }
  [[nodiscard]] command_latencies latencies() const {
    return {.mailbox = mailbox.read(),
            .decide = decide.read(),
            .stage = stage.read(),
            .commit = commit.read(),
            .receipt = receipt.read(),
            .total = total.read()};
  }
};

/// When a group commit was taken and done, in monotonic_ns(); 0 where none of it was sampled.
struct commit_times {
  std::int64_t taken = 0;
  std::int64_t committed = 0;
};

/// Records a sampled command whose handler is called now.
inline void record(category_telemetry& to, const detail::stage_times& at,
                   const commit_times& commit) noexcept {
  const auto now = monotonic_ns();
  to.mailbox.record(at.begun - at.sent);
  to.decide.record(at.staged - at.begun);
  to.stage.record(commit.taken - at.staged);
  to.commit.record(commit.committed - commit.taken);
  to.receipt.record(now - commit.committed);
  to.total.record(now - at.sent);
}

} // namespace acta::runtime
