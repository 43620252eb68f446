#pragma once

#include "answerer.hpp"
#include "chore.hpp"
#include "commit_round.hpp"
#include "core.hpp"
#include "housekeeper.hpp"
#include "settlement.hpp"
#include "staging.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace acta::runtime {

/// Takes what the aggregates staged, appends it in one transaction, and has the callers answered:
/// group commit. While it syncs, the aggregates go on staging.
///
/// Concurrency: the thread that does this chore is the only writer of the log: one of its own, or
/// the only worker, between its jobs.
/// Failure: the first failed append fails all commands in it and all that follow, since they were
/// decided on states that never became true, and the engine has to be reopened.
class committer final : public chore {
public:
  committer(core& shared, housekeeper& helper, std::size_t shards);

  /// Commits what is staged, up to limits::max_commit_size, and has it answered.
  bool step() noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  /// True if enough is staged for one commit. For a worker that commits itself.
  [[nodiscard]] bool urgent() const noexcept override;

  /// Where the aggregate of this stream stages: always the same place, which keeps its order.
  [[nodiscard]] staging& staging_of(const compact_stream& stream) noexcept;
  /// Stages what is no aggregate's, and has no records: the housekeeper's answers, and errands. Any
  /// thread; wake() must follow.
  void stage(settlement&& one);

  /// Makes it go through a round though there may be nothing to commit. Any thread.
  void want_round() noexcept {
    round_wanted_.store(true, std::memory_order_seq_cst);
    wake();
  }
  /// A round begins before the buffers are looked at, and is done when all that was in them is
  /// committed and handed on; numbered from 1. One that left some of it does not count as done.
  ///
  /// What happened before this call is seen by the rounds that are not begun yet: both are
  /// read-modify-writes of one count, so the later one acquires what the earlier released.
  [[nodiscard]] std::uint64_t rounds_begun() noexcept {
    return rounds_begun_.fetch_add(0, std::memory_order_acq_rel);
  }
  [[nodiscard]] std::uint64_t rounds_done() const noexcept { return answers_.rounds_done(); }

  [[nodiscard]] answerer& answers() noexcept { return answers_; }

  /// Counts a command in, unless that were more than the limit.
  [[nodiscard]] bool admit() noexcept;
  /// Counts in what belongs to a command that was admitted: as many more answers are to come.
  void admit_parts(std::size_t parts) noexcept;
  /// Counts `commands` out, which were answered.
  void dismiss(std::int64_t commands = 1) noexcept;
  /// Counts one out that was not sent after all.
  void undo_admission() noexcept;
  /// Repeats an attempt to send that fails with errc::overloaded whenever there may be room, so
  /// long at most.
  [[nodiscard]] result<void> try_while_full(std::chrono::nanoseconds at_most,
                                            const std::function<result<void>()>& attempt);
  /// There may be room now. Cheap while nobody waits for it.
  void made_room() noexcept;
  /// True if no command is admitted and not answered.
  [[nodiscard]] bool is_idle() const noexcept {
    return in_flight_.load(std::memory_order_seq_cst) == 0;
  }
  /// Waits until that.
  void drain() noexcept;

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

private:
  void take();
  void commit();
  void run_errands();
  void fail_with(const error& why);
  [[nodiscard]] bool try_to_admit() noexcept;
  void wake_drain() noexcept;

  core& core_;
  answerer answers_;
  std::vector<std::unique_ptr<staging>> shards_; ///< The last one is that of stage().
  std::mutex stage_mutex_;                       ///< Makes those who call stage() one producer.

  // Of who commits.
  commit_round round_;
  std::size_t own_ = 0; ///< In the round in hand: where the settlements of stage() begin.

  std::atomic<std::int64_t> in_flight_{0};
  std::atomic<int> draining_{0};
  std::atomic<bool> round_wanted_{false};
  std::atomic<std::uint64_t> rounds_begun_{0};
  std::atomic<bool> found_full_{false}; ///< Somebody found no place since the last that was undone.
  std::atomic<int> waiting_for_room_{0};
  std::mutex room_mutex_;
  std::condition_variable room_;
  std::uint64_t room_made_ = 0;
  std::atomic<bool> has_failed_{false};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> events_{0};

  mutable std::mutex failure_mutex_;
  std::optional<error> failure_;
};

} // namespace acta::runtime
