#include "callers.hpp"

#include "driver.hpp"
#include "futex.hpp"

namespace acta::runtime {

outcome callers::wait(detail::pending_outcome& pending) noexcept {
  if (driver_ != nullptr)
    driver_->run_until([&] { return pending.has_arrived(); });
  else if (spare_cores_ != 0) {
    if (spinning_.fetch_add(1, std::memory_order_relaxed) < spare_cores_)
      while (!pending.has_arrived())
        relax();
    spinning_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (!pending.has_arrived())
    pending.park();
  return pending.take();
}

} // namespace acta::runtime
