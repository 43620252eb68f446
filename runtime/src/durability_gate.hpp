#pragma once

#include "core.hpp"
#include "settlement.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <deque>
#include <mutex>
#include <optional>

namespace acta::runtime {

/// Holds the answers to commands that asked for acknowledgement::durable until the log is synced
/// that far; used at durability `process` alone.
///
/// Concurrency: hold() is called by the answerer; what it holds is given back by the thread that
/// syncs, through the housekeeper's staging buffer.
class durability_gate {
public:
  explicit durability_gate(core& shared);
  ~durability_gate();
  durability_gate(const durability_gate&) = delete;
  durability_gate& operator=(const durability_gate&) = delete;

  /// Takes the settlement, of kind::accepted or kind::known, if its answer must wait for the sync
  /// of `position`.
  [[nodiscard]] bool hold(settlement& one, log_position position);

private:
  struct held {
    settlement end;
    log_position position;
  };

  void synced(const result<log_position>& until);

  core& core_;
  std::mutex mutex_;
  std::deque<held> held_; ///< Their positions rise, but for those of repeats.
  std::optional<error> failure_;
};

} // namespace acta::runtime
