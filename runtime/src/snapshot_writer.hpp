#pragma once

#include "chore.hpp"
#include "core.hpp"
#include "taken_snapshot.hpp"

#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace acta::runtime {

/// Saves the snapshots whose events are committed, many in one step. A chore for a thread of its
/// own, since its syncs must hold up neither the committer nor those who wait for the housekeeper.
/// A failure is a warning: the snapshots are given up, and later ones tried.
///
/// Concurrency: take() is called by the aggregates, give() by the answerer.
class snapshot_writer final : public chore {
public:
  explicit snapshot_writer(core& shared) : core_(shared) {}

  /// From one step to the next: each is a sync, and the log's syncs come first.
  static constexpr std::chrono::milliseconds pause{100};

  /// Saves what it was given up to now.
  bool step() noexcept override;
  [[nodiscard]] bool ready() const noexcept override;

  /// False if so much is under way that no snapshot should be taken now.
  [[nodiscard]] bool has_room() const noexcept {
    return waiting_.load(std::memory_order_relaxed) < limits::max_snapshots_waiting;
  }
  [[nodiscard]] std::unique_ptr<taken_snapshot> take(const stream_id& of, stream_version after,
                                                     std::uint64_t schema,
                                                     std::vector<std::byte> commands,
                                                     flatbuffers::DetachedBuffer state) {
    return std::make_unique<taken_snapshot>(of, after, schema, std::move(commands),
                                            std::move(state), waiting_);
  }

  /// The snapshot's last event is committed, at `position`.
  void give(std::unique_ptr<taken_snapshot> one, log_position position);

private:
  struct committed {
    std::unique_ptr<taken_snapshot> snapshot;
    log_position position;
  };

  [[nodiscard]] result<void> save(const std::vector<committed>& all) const;

  core& core_;
  std::atomic<std::size_t> waiting_{0}; ///< Bytes of all that was taken and still is.
  mutable std::mutex mutex_;
  std::vector<committed> given_;
  std::vector<committed> in_hand_; ///< Of step(), memory kept.
};

} // namespace acta::runtime
