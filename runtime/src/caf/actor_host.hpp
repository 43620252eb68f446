#pragma once

#include "../chore.hpp"
#include "../core.hpp"
#include "../mailbox.hpp"

#include <acta/runtime/detail/resumption.hpp>

#include <cstddef>
#include <memory>

namespace caf {
class actor_system;
}

namespace acta::runtime {

/// The CAF system and the aggregates' actors in it. All that depends on CAF's version is behind
/// this class and background_actor.
class actor_host {
public:
  /// The options must outlive it.
  explicit actor_host(const engine_options& options);
  ~actor_host();
  actor_host(const actor_host&) = delete;
  actor_host& operator=(const actor_host&) = delete;

  /// Starts the actor of an aggregate. It lives until mailbox::drop(). Any thread.
  [[nodiscard]] mailbox& spawn(const category_entry& category, const stream_id& stream);

  /// Has the first worker do a chore, besides the actors. Before there is anything to do.
  void add(chore& todo) noexcept;

  /// Has a worker resume a coroutine. Any thread.
  void resume(detail::resumption& waiting);
  /// True if none is to be resumed, or being resumed; and waits until that.
  [[nodiscard]] bool has_resumed_all() const noexcept;
  void wait_for_coroutines() const noexcept;

  /// Of a host without threads: how many actors can be run now, and runs one for one message.
  [[nodiscard]] std::size_t jobs();
  void run_job(std::size_t which);

  /// Memory of an actor with its place in the registry, an estimate.
  [[nodiscard]] static std::size_t bytes_of_actor() noexcept;

  [[nodiscard]] caf::actor_system& system() noexcept;

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::runtime
