#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace acta::sim {

/// Counts outcomes for one thread that sends commands and waits for them.
///
/// Concurrency: one thread settles, one other waits. Both sides write their own variable and then
/// read the other's, all sequentially consistent, so at least one sees the other: either the waiter
/// sees the count it waits for, or the settler sees that somebody waits for it and wakes it. The
/// waiter reads signal_ before it looks at the count for the last time, so a wake-up in between
/// changes signal_ and is not missed. done_ is published after what the settler wrote before:
/// a waiter that saw the count sees that too.
class acknowledgements {
public:
  [[nodiscard]] std::uint64_t done() const noexcept { return done_.load(); }

  /// The settling thread only.
  void settle_one() noexcept {
    const auto done = done_.load(std::memory_order_relaxed) + 1;
    done_.store(done);
    auto wanted = wanted_.load();
    if (done >= wanted && wanted_.compare_exchange_strong(wanted, nobody)) {
      signal_.fetch_add(1);
      signal_.notify_one();
    }
  }

  /// The waiting thread only: returns when `count` are done.
  void wait_for(std::uint64_t count) noexcept {
    wanted_.store(count);
    for (;;) {
      const auto seen = signal_.load();
      if (done_.load() >= count)
        break;
      signal_.wait(seen);
    }
    wanted_.store(nobody);
  }

private:
  static constexpr auto nobody = std::numeric_limits<std::uint64_t>::max();

  alignas(64) std::atomic<std::uint64_t> done_ = 0;
  alignas(64) std::atomic<std::uint64_t> wanted_ = nobody;
  std::atomic<std::uint32_t> signal_ = 0;
};

} // namespace acta::sim
