#include <acta/runtime/detail/pending_outcome.hpp>

#include "futex.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime::detail {

// After the exchange nothing of this may be touched: who waits may have gone on, and this with it.
// What wakes it needs the address alone.
void pending_outcome::arrive(outcome&& how) noexcept {
  ensure(!has_arrived(), "a command has one outcome");
  answer_.emplace(std::move(how));
  const auto* address = &state_;
  if (state_.exchange(arrived, std::memory_order_acq_rel) == parked)
    futex_wake_one(address);
}

void pending_outcome::park() noexcept {
  auto expected = under_way;
  if (!state_.compare_exchange_strong(expected, parked, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
    return;
  while (!has_arrived())
    futex_wait(state_, parked);
}

outcome pending_outcome::take() {
  ensure(has_arrived() && answer_.has_value(), "an outcome is taken once it is there");
  return std::move(*answer_);
}

} // namespace acta::runtime::detail
