#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace acta::projections {

/// How far a view is, and how to wait until it is further.
///
/// Concurrency: position and failure are written under the mutex, so that no waiter misses a step;
/// the position is atomic to be read without it. Any thread may wait or ask.
class progress {
public:
  /// All that can be read of the view is of events up to here.
  [[nodiscard]] log_position position() const noexcept {
    return log_position(position_.load(std::memory_order_acquire));
  }

  /// Waits until position() is `wanted` or more, `at_most` so long: with a receipt's position, one
  /// reads one's own writes. errc::timed_out says how far behind the view `name` is; where its
  /// projector has stopped, the error that stopped it.
  [[nodiscard]] result<void> wait_for(log_position wanted, std::chrono::nanoseconds at_most,
                                      std::string_view name) const;

  /// The error that stopped it, if one did.
  [[nodiscard]] result<void> status() const;

  /// Told of each move, and when it stops. Must be quick, must not throw, and must not add or
  /// remove listeners.
  class listener {
  public:
    virtual void moved() noexcept = 0;

  protected:
    ~listener() = default;
  };
  void add_listener(listener& whom);
  /// It is not told any more, and no call is under way when this returns.
  void remove_listener(listener& whom);

  // By who feeds the view.
  /// False if somebody else does: two would have it handle each event twice.
  [[nodiscard]] bool try_to_begin() noexcept {
    return !is_fed_.exchange(true, std::memory_order_acquire);
  }
  void end() noexcept { is_fed_.store(false, std::memory_order_release); }
  void move_to(log_position reached);
  void stop(error why);
  /// It goes on after stop().
  void go_on();

private:
  [[nodiscard]] result<void> status_locked() const;

  std::atomic<std::uint64_t> position_{0};
  std::atomic<bool> is_fed_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  mutable int waiting_ = 0;
  std::vector<listener*> listeners_;
  std::optional<error> failure_;
};

} // namespace acta::projections
