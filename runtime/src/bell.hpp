#pragma once

#include "futex.hpp"

#include <acta/runtime/engine_options.hpp>

#include <sched.h>

#include <atomic>
#include <chrono>

namespace acta::runtime {

/// Where one thread waits until another has something for it, and is woken.
///
/// Concurrency: whoever goes to sleep sets waiting_ and then looks whether there is something;
/// whoever has something says so and then looks at waiting_. All four are seq_cst, so at least one
/// of them sees what the other wrote: either the sleeper finds it, or it is woken. (Where what
/// there is lies behind a mutex, that does as well: the sleeper has set waiting_ before it locks,
/// and finds it, or the other locks later, and then sees waiting_.) One thread waits; any may ring.
class bell {
public:
  /// After there is something. A load, mostly.
  void ring() noexcept {
    if (waiting_.load(std::memory_order_seq_cst) != 0
        && waiting_.exchange(0, std::memory_order_seq_cst) != 0)
      futex_wake_one(&waiting_);
  }

  /// Returns once `ready()` is true, or now and then before. `ready` reads with seq_cst.
  template <class Ready>
  void wait(waiting how, Ready ready) noexcept {
    if (how == waiting::park) {
      park(ready);
      return;
    }
    while (!ready())
      if (how == waiting::spin)
        relax();
      else
        ::sched_yield();
  }

  /// As wait(), asleep, and so long at most.
  template <class Ready>
  void park_for(std::chrono::nanoseconds at_most, Ready ready) noexcept {
    if (at_most == std::chrono::nanoseconds::max()) {
      park(ready);
      return;
    }
    waiting_.store(1, std::memory_order_seq_cst);
    if (!ready())
      futex_wait_for(waiting_, 1, at_most);
    waiting_.store(0, std::memory_order_seq_cst);
  }

private:
  /// How often a thread looks before it parks. Looking saves it the wake-up, some microseconds, if
  /// something comes within that time, and takes the time from others if there are more busy
  /// threads than cores.
  static constexpr int looks_before_parking = 0;

  template <class Ready>
  void park(Ready ready) noexcept {
    for (int i = 0; i < looks_before_parking; ++i) {
      if (ready())
        return;
      relax();
    }
    waiting_.store(1, std::memory_order_seq_cst);
    if (ready()) {
      waiting_.store(0, std::memory_order_relaxed);
      return;
    }
    while (waiting_.load(std::memory_order_seq_cst) != 0)
      futex_wait(waiting_, 1);
  }

  futex_word waiting_{0};
};

} // namespace acta::runtime
