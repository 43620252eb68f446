#pragma once

#include "core.hpp"
#include "taken_snapshot.hpp"

#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace acta::runtime {

/// Saves the snapshots whose events are committed, many in one step. Has a thread of its own, since
/// its syncs must hold up neither the committer nor those who wait for the housekeeper. A failure
/// is a warning: the snapshots are given up, and later ones tried.
///
/// Concurrency: take() is called by the aggregates, give() by the committer.
class snapshot_writer {
public:
  explicit snapshot_writer(core& shared);
  ~snapshot_writer();
  snapshot_writer(const snapshot_writer&) = delete;
  snapshot_writer& operator=(const snapshot_writer&) = delete;

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

  /// Ends the thread after what it was given.
  void stop() noexcept;

private:
  struct committed {
    std::unique_ptr<taken_snapshot> snapshot;
    log_position position;
  };

  void run() noexcept;
  [[nodiscard]] result<void> save(const std::vector<committed>& all) const;

  core& core_;
  std::atomic<std::size_t> waiting_{0}; ///< Bytes of all that was taken and still is.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<committed> given_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace acta::runtime
