#include <acta/runtime/background_actor.hpp>

#include "scheduler.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <chrono>
#include <latch>
#include <utility>

namespace acta::runtime {

class background_actor::implementation {
public:
  implementation(caf::actor_system& system, work todo)
      : driven_(host_config::driven_worker_of(system)), todo_(std::move(todo)) {
    if (driven_ != nullptr)
      actor_ = system.spawn<caf::hidden>(start, this);
    else
      actor_ = system.spawn<caf::detached + caf::hidden>(start, this);
  }

  ~implementation() {
    caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown);
    while (driven_ != nullptr && !ended_.try_wait())
      driven_->run_job(0);
    ended_.wait();
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  void wake() noexcept {
    if (!woken_.exchange(true, std::memory_order_acq_rel))
      caf::anon_send(actor_, look_atom::value);
  }

  void wake_after(std::chrono::nanoseconds delay) {
    if (driven_ != nullptr)
      return wake();
    const auto now = std::chrono::steady_clock::now();
    if (alarm_ > now && alarm_ <= now + delay)
      return;
    alarm_ = now + delay;
    caf::delayed_anon_send(actor_, delay, look_atom::value);
  }

private:
  using look_atom = caf::atom_constant<caf::atom("look")>;

  static caf::behavior start(caf::event_based_actor* self, implementation* of) {
    self->attach_functor([of] { of->ended_.count_down(); });
    return {[of, self](look_atom) {
      // Cleared before the work: whoever wakes after this is looked for again. Acquire, so that
      // the work sees what the one who woke had done.
      of->woken_.exchange(false, std::memory_order_acq_rel);
      if (of->todo_() && !of->woken_.exchange(true, std::memory_order_acq_rel))
        self->send(self, look_atom::value);
    }};
  }

  worker* driven_; ///< Of an engine without threads, whose steps this waits for; else null.
  work todo_;
  std::atomic<bool> woken_{false};
  std::chrono::steady_clock::time_point alarm_; ///< The last that was asked for.
  std::latch ended_{1};
  caf::actor actor_; ///< There until the work has ended, which may send to it.
};

background_actor::background_actor(caf::actor_system& system, work todo)
    : implementation_(std::make_unique<implementation>(system, std::move(todo))) {}

background_actor::~background_actor() = default;

void background_actor::wake() noexcept {
  implementation_->wake();
}

void background_actor::wake_after(std::chrono::nanoseconds delay) {
  implementation_->wake_after(delay);
}

} // namespace acta::runtime
