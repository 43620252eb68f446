#pragma once

#include "chore.hpp"
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
/// on what others do about a commit.
///
/// Operation: the committer ends a round here itself, or gives it to the thread that does this
/// chore, so that it can append the next while the callers of this one are told. Never two rounds
/// at a time, and in order: who has one to end waits until the one before is ended.
///
/// Concurrency: `given_` hands a round over, and back: the one who gives stores it (seq_cst, thus
/// release) after it has filled it, and fills or ends no other before he finds it empty again
/// (acquire), which the one who ends it makes it last of all. So all that a round's end touches is
/// touched by one thread at a time, in order.
class answerer final : public chore {
public:
  using tail_listener = std::function<void(log_position)>;

  answerer(core& shared, housekeeper& helper) : core_(shared), housekeeper_(helper) {}

  /// Ends the round that was given.
  bool step() noexcept override;
  [[nodiscard]] bool ready() const noexcept override {
    return given_.load(std::memory_order_seq_cst) != nullptr;
  }

  /// Has rounds given to whoever does this chore. Before there are any.
  void has_helper() noexcept { has_helper_ = true; }

  /// By the committer: ends the round before it returns, or, if that is worth it, some time after;
  /// then true, and the round stays where it is until the next call has returned.
  [[nodiscard]] bool end(commit_round& round, bool more_waits);

  [[nodiscard]] std::uint64_t rounds_done() const noexcept {
    return rounds_done_.load(std::memory_order_seq_cst);
  }

  using listener_handle = std::list<tail_listener>::iterator;
  [[nodiscard]] listener_handle add_listener(tail_listener listener);
  void remove_listener(listener_handle which);

private:
  void wait_for_helper() noexcept;
  void answer(commit_round& round);
  [[nodiscard]] bool settle(settlement& one, const commit_round& round, log_position& last);
  void finish(settlement& one, const commit_round& round, outcome&& how) const;

  core& core_;
  housekeeper& housekeeper_;
  bool has_helper_ = false;
  std::atomic<commit_round*> given_{nullptr};

  // Of who ends a round, memory kept.
  housekeeper::work for_housekeeper_;
  std::vector<std::unique_ptr<timer_changes>> for_timers_;

  std::atomic<std::uint64_t> rounds_done_{0};
  std::mutex listeners_mutex_;
  std::list<tail_listener> listeners_;
};

} // namespace acta::runtime
