#pragma once

#include "lmdb_environment.hpp"
#include "synced_point.hpp"

#include <acta/base/error.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace acta::storage {

/// Syncs an environment that commits without a sync, at most `every` after a commit began to wait,
/// on a thread of its own: durability `process`. What was committed and not synced is lost when the
/// power goes: that of the last `every` and of the time a sync takes.
///
/// Threads: changed() and failed() from the committing thread.
class background_sync {
public:
  /// `synced` is called on the thread with a read transaction at each state that became durable,
  /// and `failed` if there will be no more.
  [[nodiscard]] static result<std::unique_ptr<background_sync>>
  start(const lmdb_environment& of, std::chrono::milliseconds every,
        std::function<void(MDB_txn*)> synced, std::function<void(const error&)> failed);

  /// Syncs a last time, unless a sync failed.
  ~background_sync();
  background_sync(const background_sync&) = delete;
  background_sync& operator=(const background_sync&) = delete;

  /// Something was committed. Cheap.
  void changed() noexcept;

  /// Why the last sync failed; then nothing may be committed any more.
  [[nodiscard]] std::optional<error> failed() const;

private:
  background_sync(synced_point from, std::chrono::milliseconds every,
                  std::function<void(MDB_txn*)> synced, std::function<void(const error&)> failed);

  void run() noexcept;
  [[nodiscard]] bool wait_for_change() noexcept;

  synced_point point_;
  std::chrono::milliseconds every_;
  std::function<void(MDB_txn*)> synced_;
  std::function<void(const error&)> on_failure_;
  std::atomic<int> changed_{0};
  std::atomic<bool> has_failed_{false};
  mutable std::mutex mutex_;
  std::condition_variable stop_asked_;
  bool stopping_ = false;
  std::optional<error> failure_;
  std::thread thread_;
};

} // namespace acta::storage
