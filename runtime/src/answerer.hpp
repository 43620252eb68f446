#pragma once

#include "commit_round.hpp"
#include "core.hpp"
#include "housekeeper.hpp"
#include "settlement.hpp"

#include <acta/base/ids.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace acta::runtime {

class committer;

/// Ends the rounds of the committer: tells callers their outcomes and listeners the tail, and hands
/// on what others do about a commit. Rounds are ended by the thread that commits, in order.
class answerer {
public:
  using tail_listener = std::function<void(log_position)>;

  answerer(core& shared, housekeeper& helper) : core_(shared), housekeeper_(helper) {}

  /// What is left of the round is its memory.
  void end(commit_round& round);

  [[nodiscard]] std::uint64_t rounds_done() const noexcept {
    return rounds_done_.load(std::memory_order_seq_cst);
  }

  using listener_handle = std::list<tail_listener>::iterator;
  [[nodiscard]] listener_handle add_listener(tail_listener listener);
  void remove_listener(listener_handle which);

private:
  [[nodiscard]] bool settle(settlement& one, const commit_round& round, log_position& last);
  void finish(settlement& one, const commit_round& round, outcome&& how) const;

  core& core_;
  housekeeper& housekeeper_;

  // Of one round, memory kept.
  housekeeper::work for_housekeeper_;
  std::vector<std::unique_ptr<timer_changes>> for_timers_;

  std::atomic<std::uint64_t> rounds_done_{0};
  std::mutex listeners_mutex_;
  std::list<tail_listener> listeners_;
};

} // namespace acta::runtime
