#pragma once

#include "core.hpp"
#include "housekeeper.hpp"
#include "settlement.hpp"
#include "staging.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace acta::runtime {

/// Takes what the aggregates staged, appends it in one transaction, and answers the callers: group
/// commit. While it syncs, the aggregates go on staging.
///
/// Concurrency: one thread, the only writer of the log. It sleeps on `sleeping_`; see wake().
/// Failure: the first failed append fails all commands in it and all that follow, since they were
/// decided on states that never became true, and the engine has to be reopened.
class committer {
public:
  using tail_listener = std::function<void(log_position)>;

  committer(core& shared, housekeeper& helper, std::size_t shards);
  ~committer();
  committer(const committer&) = delete;
  committer& operator=(const committer&) = delete;

  /// Where the aggregate of this stream stages: always the same place, which keeps its order.
  [[nodiscard]] staging& staging_of(const stream_id& stream) noexcept;
  /// Stages what is no aggregate's, and has no records: the housekeeper's answers, and errands. Any
  /// thread; wake() must follow.
  void stage(settlement&& one);

  /// Makes the committer look, after a seal().
  void wake() noexcept;

  /// Counts a command in, unless that were more than the limit.
  [[nodiscard]] bool admit() noexcept;
  /// Counts `commands` out: answered, or not sent after all.
  void dismiss(std::int64_t commands = 1) noexcept;
  /// Waits until every admitted command is answered.
  void drain() noexcept;
  /// Ends the thread. All commands must have been answered.
  void stop() noexcept;

  [[nodiscard]] std::optional<error> failed() const;
  [[nodiscard]] bool has_failed() const noexcept {
    return has_failed_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t commits() const noexcept {
    return commits_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t events() const noexcept {
    return events_.load(std::memory_order_relaxed);
  }

  using listener_handle = std::list<tail_listener>::iterator;
  [[nodiscard]] listener_handle add_listener(tail_listener listener);
  void remove_listener(listener_handle which);

private:
  void run() noexcept;
  [[nodiscard]] bool anything_ready() const noexcept;
  void sleep() noexcept;
  void take();
  void commit();
  void answer(settlement& one, log_position& last);
  void run_errand(settlement& one, log_position last) const;
  void fail_with(const error& why);

  core& core_;
  housekeeper& housekeeper_;
  std::vector<std::unique_ptr<staging>> shards_; ///< The last one is that of stage().
  std::mutex stage_mutex_;                       ///< Makes those who call stage() one producer.

  // Of the thread: one commit's worth, memory kept.
  std::vector<std::span<const std::byte>> records_;
  std::vector<settlement*> settlements_; ///< In the staging buffers.
  housekeeper::work for_housekeeper_;

  std::atomic<int> sleeping_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> in_flight_{0};
  std::atomic<int> draining_{0};
  std::atomic<bool> has_failed_{false};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> events_{0};

  mutable std::mutex failure_mutex_;
  std::optional<error> failure_;
  std::mutex listeners_mutex_;
  std::list<tail_listener> listeners_;

  std::thread thread_;
};

} // namespace acta::runtime
