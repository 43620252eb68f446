#pragma once

#include "chore.hpp"
#include "core.hpp"
#include "passivation.hpp"
#include "settlement.hpp"

#include <acta/base/ids.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace acta::runtime {

class registry;

/// Keeps the stream index behind the log, drops the actors of finished aggregates, and looks up the
/// first receipts of repeated commands: all that must not hold the committer up.
///
/// What loading relies on: the events of a stream without an actor are all indexed. At open the
/// whole log is indexed; later an actor is dropped only by this thread, after it has indexed the
/// log up to a tail that contains the aggregate's last event.
///
/// Concurrency: a thread of its own does this chore; give() is called by the answerer.
class housekeeper final : public chore {
public:
  struct work {
    std::vector<settlement> repeats;
    std::vector<finished_actor> finished;
  };

  housekeeper(core& shared, registry& actors);

  /// Does what it was given up to now.
  bool step() noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  [[nodiscard]] std::chrono::nanoseconds look_again_after() const noexcept override;

  /// Takes the work over if there is enough of it, or any that somebody waits for.
  void give(work& from);

  /// By the answerer, after each round.
  void after_round() noexcept {
    if (passivation_.waits_for_round() && passivation_.may_drop())
      wake();
  }

  /// errc::overloaded if the index is too far behind the log. Any thread; one load, mostly.
  [[nodiscard]] result<void> check_index_in_time() {
    return is_behind_.load(std::memory_order_relaxed) ? refuse() : result<void>{};
  }

  /// Waits until the index has reached a position of the log. Any thread but this one's.
  [[nodiscard]] result<void> index_up_to(log_position position);

  /// Says that nobody does this chore any more. Who waits for the index brings it up to date then.
  void end() noexcept;

private:
  [[nodiscard]] result<void> index();
  [[nodiscard]] result<void> refuse();
  [[nodiscard]] std::uint64_t index_lag() const noexcept;
  [[nodiscard]] bool has_no_thread() const noexcept {
    return core_.options.deterministic_seed.has_value();
  }
  void do_work(work& todo, bool may_drop);
  [[nodiscard]] settlement answer_repeat(settlement&& repeat) const;

  core& core_;
  registry& registry_;
  passivation passivation_;
  mutable std::mutex mutex_;
  work todo_;
  work in_hand_; ///< Of step(), memory kept.
  bool index_wanted_ = false;
  bool ended_ = false;
  std::atomic<bool> is_behind_{false}; ///< A lone flag: who sees it late is refused late.
  std::condition_variable indexed_;    ///< The index has moved, or cannot, or all has ended.
  std::optional<error> index_failure_;
};

} // namespace acta::runtime
