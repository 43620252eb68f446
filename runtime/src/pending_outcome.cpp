#include <acta/runtime/detail/pending_outcome.hpp>

#include "futex.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>

namespace acta::runtime::detail {

// After the exchange nothing of this may be touched: who waits may have gone on, and this with it.
// What wakes it needs the address alone.
void arrival::arrive() noexcept {
  ensure(!has_arrived(), "a command has one outcome");
  const auto* address = &state_;
  if (state_.exchange(arrived, std::memory_order_acq_rel) == parked)
    futex_wake_one(address);
}

void arrival::park(std::chrono::nanoseconds at_most) noexcept {
  auto expected = under_way;
  if (!state_.compare_exchange_strong(expected, parked, std::memory_order_acq_rel,
                                      std::memory_order_acquire)
      && expected == arrived)
    return;
  if (at_most == std::chrono::nanoseconds::max()) {
    while (!has_arrived())
      futex_wait(state_, parked);
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  while (!has_arrived()) {
    const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - start;
    if (at_most <= passed) // in this order: it may be any negative time
      return;
    futex_wait_for(state_, parked, at_most - passed);
  }
}

} // namespace acta::runtime::detail
