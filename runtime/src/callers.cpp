#include "callers.hpp"

#include "driver.hpp"
#include "futex.hpp"

namespace acta::runtime {

void callers::wait(detail::arrival& pending, std::chrono::nanoseconds at_most) noexcept {
  if (driver_ != nullptr) {
    driver_->run_until([&] { return pending.has_arrived(); });
  } else if (spare_cores_ != 0 && at_most == std::chrono::nanoseconds::max()) {
    if (spinning_.fetch_add(1, std::memory_order_relaxed) < spare_cores_)
      while (!pending.has_arrived())
        relax();
    spinning_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (!pending.has_arrived())
    pending.park(at_most);
}

} // namespace acta::runtime
