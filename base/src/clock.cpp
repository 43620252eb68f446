#include <acta/base/clock.hpp>

#include <chrono>

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

} // namespace acta::inline base
