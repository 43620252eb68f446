#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace acta::inline base {

/// Where the engine takes "now" from, so that tests can move time. Thread-safe.
class clock {
public:
  /// Told when a clock was moved by hand. Must be quick, must not throw, and must not add or remove
  /// listeners.
  class listener {
  public:
    virtual void clock_moved() noexcept = 0;

  protected:
    ~listener() = default;
  };

  virtual ~clock() = default;
  /// Nanoseconds since 1970-01-01T00:00:00Z.
  [[nodiscard]] virtual std::int64_t now_ns() const noexcept = 0;

  /// True if from now on the listener is told of each move, until it is removed: who waits for a
  /// time need not look by himself. False of a clock that runs, as most do; nobody is told then.
  [[nodiscard]] virtual bool add_listener([[maybe_unused]] listener& whom) const { return false; }
  /// It is not told any more, and no call is under way when this returns.
  virtual void remove_listener([[maybe_unused]] listener& whom) const noexcept {}
};

/// The machine's wall clock. The object lives as long as the process.
[[nodiscard]] const clock& wall_clock() noexcept;

/// A clock that moves only when told to. Thread-safe.
class manual_clock final : public clock {
public:
  explicit manual_clock(std::int64_t now_ns = 0) noexcept : now_ns_(now_ns) {}

  [[nodiscard]] std::int64_t now_ns() const noexcept override {
    return now_ns_.load(std::memory_order_seq_cst);
  }
  /// Tells the listeners before it returns.
  void advance_ns(std::int64_t by) noexcept;

  [[nodiscard]] bool add_listener(listener& whom) const override;
  void remove_listener(listener& whom) const noexcept override;

private:
  // seq_cst: who is about to sleep looks at it after he has said so, and is woken after it moved.
  std::atomic<std::int64_t> now_ns_;
  mutable std::mutex mutex_;
  mutable std::vector<listener*> listeners_;
};

} // namespace acta::inline base
