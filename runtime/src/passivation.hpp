#pragma once

#include "core.hpp"
#include "settlement.hpp"

#include <atomic>
#include <cstdint>
#include <vector>

namespace acta::runtime {

class registry;

/// Finds aggregates that need not be in memory: idle for long, or for longest when memory runs out.
/// A part of the housekeeper.
///
/// Operation: an idle actor is chosen under its registry lock; it has staged all it was sent, but
/// that may not be committed, answered and indexed yet. So it is dropped later: when the committer
/// has gone through a whole round that began after it was chosen, and the index has caught up. If
/// it was sent a command meanwhile, it stays. Until then settlements and this point to it; that
/// nobody else drops it is what mailbox::chosen is for.
///
/// Concurrency: the housekeeper's thread, but for is_due() and waits_for_round(), which any may
/// call.
class passivation {
public:
  passivation(core& shared, registry& actors);

  /// True if there is something to do: memory is short, or it is time to look for idle ones, or
  /// those chosen can be dropped. Cheap.
  [[nodiscard]] bool is_due() const noexcept;
  [[nodiscard]] bool is_short_of_memory() const noexcept;
  /// True if chosen ones wait for the committer.
  [[nodiscard]] bool waits_for_round() const noexcept {
    return wanted_round_.load(std::memory_order_seq_cst) != 0;
  }
  /// Chooses, if it is time for it.
  void choose();
  /// True if those chosen may be dropped once the index has the log.
  [[nodiscard]] bool may_drop() const noexcept;
  void drop();

private:
  [[nodiscard]] bool is_worth_a_look() const noexcept;
  void rest(std::int64_t after_search_ns) noexcept;
  [[nodiscard]] std::int64_t step() const noexcept;
  [[nodiscard]] std::int64_t tick_now() const noexcept;
  void look_for_idle();
  void choose_for_memory();

  core& core_;
  registry& registry_;
  std::atomic<std::int64_t> began_ns_; ///< On the engine's clock: ticks count from here.
  std::uint32_t age_; ///< In ticks: as idle as this was enough when memory was short last.
  std::atomic<std::int64_t> looked_at_{0}; ///< The tick when idle ones were looked for last.
  std::vector<finished_actor> chosen_;
  std::atomic<std::uint64_t> wanted_round_{0}; ///< 0: none is chosen.
  // After a search for memory that found all of them busy the next one waits: until then, by
  // monotonic_ns(), or, in an engine without threads, for another round.
  std::atomic<std::int64_t> not_before_ns_{0};
  std::atomic<std::uint64_t> not_before_round_{0};
};

} // namespace acta::runtime
