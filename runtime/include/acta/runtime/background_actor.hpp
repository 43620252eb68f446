#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace caf {
class actor_system;
}

namespace acta::runtime {

/// A CAF actor with a thread of its own that does a piece of work whenever it is woken. Waking is
/// coalesced: any number of calls before the actor looks make it look once.
///
/// In the system of an engine with engine_options::deterministic_seed it has no thread and works in
/// the engine's steps.
///
/// Lifecycle: the destructor waits for the piece in hand and ends the actor. The system must
/// outlive it. wake() may be called from any thread, also from the work itself.
class background_actor {
public:
  /// Does a piece of work, on the actor's thread; true if there is more to do at once. Must not
  /// throw.
  using work = std::function<bool()>;

  background_actor(caf::actor_system& system, work todo);
  ~background_actor();
  background_actor(const background_actor&) = delete;
  background_actor& operator=(const background_actor&) = delete;

  void wake() noexcept;
  /// Wakes it after so long, or sooner where that was asked for; at once in a deterministic engine,
  /// where no time passes for actors. From the work only.
  void wake_after(std::chrono::nanoseconds delay);

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::runtime
