#include <acta/base/clock.hpp>

#include <chrono>
#include <mutex>
#include <vector>

namespace acta::inline base {

namespace {

class wall_clock_type final : public clock {
public:
  [[nodiscard]] std::int64_t now_ns() const noexcept override {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  }
};

} // namespace

const clock& wall_clock() noexcept {
  static const wall_clock_type instance;
  return instance;
}

void manual_clock::advance_ns(std::int64_t by) noexcept {
  now_ns_.fetch_add(by, std::memory_order_seq_cst);
  const std::lock_guard guard(mutex_);
  for (auto* one : listeners_)
    one->clock_moved();
}

bool manual_clock::add_listener(listener& whom) const {
  const std::lock_guard guard(mutex_);
  listeners_.push_back(&whom);
  return true;
}

void manual_clock::remove_listener(listener& whom) const noexcept {
  const std::lock_guard guard(mutex_);
  std::erase(listeners_, &whom);
}

} // namespace acta::inline base
