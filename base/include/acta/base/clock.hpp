#pragma once

#include <atomic>
#include <cstdint>

namespace acta::inline base {

/// Where the engine takes "now" from, so that tests can move time. Thread-safe.
class clock {
public:
  virtual ~clock() = default;
  /// Nanoseconds since 1970-01-01T00:00:00Z.
  [[nodiscard]] virtual std::int64_t now_ns() const noexcept = 0;
};

/// The machine's wall clock. The object lives as long as the process.
[[nodiscard]] const clock& wall_clock() noexcept;

/// A clock that moves only when told to. Thread-safe.
class manual_clock final : public clock {
public:
  explicit manual_clock(std::int64_t now_ns = 0) noexcept : now_ns_(now_ns) {}

  [[nodiscard]] std::int64_t now_ns() const noexcept override {
    return now_ns_.load(std::memory_order_relaxed);
  }
  void advance_ns(std::int64_t by) noexcept { now_ns_.fetch_add(by, std::memory_order_relaxed); }

private:
  std::atomic<std::int64_t> now_ns_; // a lone value: nothing is published through it
};

} // namespace acta::inline base
