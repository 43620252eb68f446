#pragma once

#include "../bell.hpp"
#include "../chore.hpp"
#include "job_queue.hpp"

#include <caf/execution_unit.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

namespace acta::runtime {

/// Runs actors: those that are at home here, and CAF's own as they come.
///
/// Operation: takes what is queued, all at once, and runs it, one job after the other; what its
/// jobs schedule meanwhile comes behind that, before what others queued. With a chore, it does a
/// round of that when it has no job, when it is urgent, and now and then.
///
/// Concurrency: schedule(), ring() and end() may be called from any thread; everything else belongs
/// to the thread that run() starts, or to the test that drives a worker without one.
class worker final : public caf::execution_unit {
public:
  struct settings {
    std::size_t messages_per_job; ///< An actor with more waits for its next turn.
    waiting wait;
    std::optional<std::size_t> core;             ///< To be pinned to.
    std::function<void(std::size_t)> not_pinned; ///< Called if the system does not allow that.
  };

  worker(caf::actor_system& system, settings how);
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;
  ~worker() override;

  /// Starts a thread that runs jobs until end().
  void start();
  /// Makes the thread run what is queued now, and waits until it has ended.
  void end() noexcept;

  /// Queues a job, from any thread.
  void schedule(caf::resumable* job);
  /// The same from within a job of this worker: takes no lock.
  void exec_later(caf::resumable* job) override { later_.push_back(job); }

  /// Gives it something to do besides jobs. Before there is anything to do.
  void add(chore& todo) noexcept;

  // -- without a thread -------------------------------------------------------

  /// Jobs that can be run now, in the order they came.
  [[nodiscard]] std::size_t jobs();
  /// Runs one of them.
  void run_job(std::size_t which);

  /// Lets go of all jobs. By whoever ends it, afterwards.
  void release_jobs();

private:
  void run() noexcept;
  void run_batch();
  void run(caf::resumable* job);
  void gather();
  [[nodiscard]] bool has_something() const noexcept;

  /// So many times the queue is emptied before the chore is looked after although there are jobs:
  /// actors that never rest must not keep commands from being committed.
  static constexpr std::size_t rounds_of_jobs = 64;
  /// Jobs are actors that other threads had in hand last: their memory, which lies behind the job,
  /// is asked for while those before them run.
  static constexpr std::size_t jobs_ahead = 3;

  // On lines of their own: others write the first two while the worker is at its jobs.
  alignas(64) job_queue queue_;
  alignas(64) bell bell_;
  alignas(64) std::atomic<chore*> chore_{nullptr};
  std::atomic<bool> ending_{false};
  settings settings_;
  std::vector<caf::resumable*> batch_; ///< In hand, in order. Empty but while it is run.
  std::vector<caf::resumable*> later_; ///< Scheduled from within.
  std::thread thread_;
};

} // namespace acta::runtime
