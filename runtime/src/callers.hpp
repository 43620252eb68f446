#pragma once

#include <acta/runtime/detail/pending_outcome.hpp>
#include <acta/runtime/receipt.hpp>

#include <atomic>
#include <chrono>

namespace acta::runtime {

class driver;

/// How callers wait for outcomes: asleep, or spinning as long as a core is left for it. Of an
/// engine without threads they take its steps.
class callers {
public:
  /// At most so many callers spin at a time. Before anybody waits.
  void may_spin(int at_most) noexcept { spare_cores_ = at_most; }

  /// Callers run the engine themselves. Before anybody waits.
  void drive(driver& engine) noexcept { driver_ = &engine; }

  /// Waits for the outcome of a command that was sent, so long at most. Any thread that runs no
  /// actor.
  void wait(detail::arrival& pending, std::chrono::nanoseconds at_most) noexcept;

private:
  driver* driver_ = nullptr;
  int spare_cores_ = 0;
  std::atomic<int> spinning_{0}; ///< A lone count: orders nothing.
};

/// Waits for what `start(handler)` sends to call the handler; where nothing was sent, says why.
template <class Start>
[[nodiscard]] outcome wait_for_outcome(callers& how, Start start) {
  detail::pending_outcome<outcome> pending;
  if (auto sent = start([&pending](outcome&& end) { pending.give(std::move(end)); }); !sent)
    return failure(sent);
  how.wait(pending, std::chrono::nanoseconds::max());
  return pending.take();
}

} // namespace acta::runtime
