#pragma once

#include "worker.hpp"

#include "../compact_stream.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/detail/resumption.hpp>
#include <acta/runtime/engine_options.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/detail/test_actor_clock.hpp>
#include <caf/detail/thread_safe_actor_clock.hpp>
#include <caf/detail/type_list.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace acta::runtime {

/// CAF's settings of an engine's system, which choose the scheduler and carry its options.
struct host_config : caf::actor_system_config {
  explicit host_config(const engine_options& from);
  /// The worker that whoever holds the system must run, if it is that of an engine without threads.
  [[nodiscard]] static worker* driven_worker_of(caf::actor_system& system) noexcept;

  const engine_options& options;
};

/// Acta's scheduler, in the place of CAF's. Every aggregate is at home on one worker, by its
/// stream, so what that has touched stays in one core's cache and its staging buffer has one
/// producer. CAF's other actors are given to the workers in turn; those that a job schedules stay
/// on its worker.
///
/// What it costs: a worker does not help another one. With some thousand aggregates their hash
/// spreads the work; a single one has never had more than one worker anyway.
class scheduler final : public caf::scheduler::abstract_coordinator {
public:
  explicit scheduler(caf::actor_system& system);
  ~scheduler() override;
  [[nodiscard]] static caf::actor_system::module* make(caf::actor_system& system,
                                                       caf::detail::type_list<>);

  /// The scheduler of an engine's system.
  [[nodiscard]] static scheduler& of(caf::actor_system& system) noexcept {
    return static_cast<scheduler&>(system.scheduler());
  }

  [[nodiscard]] worker& home_of(const compact_stream& stream) noexcept;
  [[nodiscard]] worker& first_worker() noexcept { return *workers_.front(); }

  /// Has a worker resume a coroutine. Any thread.
  void resume(detail::resumption& waiting);
  void resumed_one() noexcept;
  /// True if none is to be resumed, or being resumed.
  [[nodiscard]] bool has_resumed_all() const noexcept {
    return to_resume_.load(std::memory_order_acquire) == 0;
  }
  /// Waits until that. Not on a worker.
  void wait_for_coroutines() const noexcept;

  // -- caf::scheduler::abstract_coordinator -------------------------------------
  void enqueue(caf::resumable* job) override;
  [[nodiscard]] caf::actor_clock& clock() noexcept override;

protected:
  void start() override;
  void stop() override;

private:
  void start_workers();
  void start_without_threads();
  void stop_without_threads();

  const engine_options& options_;
  std::vector<std::unique_ptr<worker>> workers_;
  /// Coroutines, until they were. On a line of its own: all who schedule read what is before.
  alignas(64) std::atomic<std::int64_t> to_resume_{0};
  caf::detail::thread_safe_actor_clock clock_;
  std::thread clock_thread_;                    ///< Sends what CAF's actors asked to get later.
  caf::detail::test_actor_clock stopped_clock_; ///< Without threads no time passes for them.
};

} // namespace acta::runtime
