#pragma once

#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

/// What tests of this project hold and fail besides what storage::log_faults does.
namespace acta::tests {

/// Holds whoever passes while it is closed.
class gate {
public:
  void close() {
    const std::lock_guard guard(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard guard(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  /// Waits until somebody stands at it, closed.
  void wait_for_arrival() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return arrived_ > 0; });
  }

  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --arrived_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int arrived_ = 0;
};

/// Holds the thread of an index where it begins to write a batch, while its gate is closed, and
/// fails it there, so many times.
class held_index_log final : public storage::forwarding_log {
public:
  struct state {
    gate at;
    std::atomic<int> failures{0};
  };
  held_index_log(std::shared_ptr<storage::event_log> to, std::shared_ptr<state> by)
      : forwarding_log(std::move(to)), by_(std::move(by)) {}

  result<std::unique_ptr<storage::log_snapshot>> snapshot() const override {
    if (is_indexer()) {
      by_->at.pass();
      if (by_->failures > 0) {
        --by_->failures;
        by_->failures.notify_all();
        return failure(errc::io, "held_index_log: told to fail");
      }
    }
    return forwarding_log::snapshot();
  }

private:
  [[nodiscard]] static bool is_indexer() {
    std::array<char, 16> name{};
    return ::pthread_getname_np(::pthread_self(), name.data(), name.size()) == 0
           && std::string_view(name.data()) == "acta.indexer";
  }

  std::shared_ptr<state> by_;
};

/// At durability `process`, and synced when the test says so.
class unsynced_log final : public storage::forwarding_log {
public:
  class state {
  public:
    void sync_up_to(log_position position) {
      synced_ = position.value();
      const std::lock_guard guard(mutex_);
      listener_(position);
    }

  private:
    friend class unsynced_log;
    std::mutex mutex_;
    sync_listener listener_;
    std::atomic<std::uint64_t> synced_{0};
  };
  unsynced_log(std::shared_ptr<storage::event_log> to, std::shared_ptr<state> by)
      : forwarding_log(std::move(to)), by_(std::move(by)) {}

  storage::durability durability() const noexcept override { return storage::durability::process; }
  log_position synced_tail() const noexcept override { return log_position(by_->synced_.load()); }
  void on_sync(const sync_listener& listener) override {
    const std::lock_guard guard(by_->mutex_);
    by_->listener_ = listener;
  }

private:
  std::shared_ptr<state> by_;
};

} // namespace acta::tests
