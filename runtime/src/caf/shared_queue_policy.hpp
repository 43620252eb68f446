#pragma once

#include "../prefetch.hpp"

#include <acta/base/ensure.hpp>

#include <caf/logger.hpp>

// CAF's worker asks every job for its id, by a dynamic_cast and two look-ups, to put it into log
// lines. Nothing logs in this system; what is instantiated here leaves it out.
#undef CAF_PUSH_AID_FROM_PTR
#define CAF_PUSH_AID_FROM_PTR(ignored) static_cast<void>(0)

#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/coordinator.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace acta::runtime {

/// A scheduling policy for caf::scheduler::coordinator: work sharing, as caf::policy::work_sharing,
/// with the queue locked once for many jobs. CAF's locks it, allocates a node and wakes a worker
/// for each one, which with a message to a different actor each time is once a command.
///
/// Concurrency: all of coordinator_data is guarded by its lock. A worker's batch is its own. A job
/// waits behind those of its batch even when another worker is idle; so that this stays short, a
/// worker takes its share of the queue and at most max_batch, unless it is alone.
class shared_queue_policy : public caf::policy::unprofiled {
public:
  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator* of) : coordinator(of) {}

    caf::scheduler::abstract_coordinator* coordinator;
    std::mutex lock;
    std::condition_variable filled;
    std::deque<caf::resumable*> queue;
    std::size_t sleeping = 0;
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
    std::deque<caf::resumable*> batch;
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    auto& shared = self->data();
    bool wake = false;
    {
      const std::lock_guard guard(shared.lock);
      shared.queue.push_back(job);
      wake = shared.sleeping != 0;
    }
    if (wake)
      shared.filled.notify_one();
  }
  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& batch = self->data().batch;
    if (batch.empty())
      fill(batch, self->parent()->data());
    auto* job = batch.front();
    ensure(job != nullptr, "a worker wakes for a job");
    batch.pop_front();
    if (batch.size() >= jobs_ahead)
      prefetch(batch[jobs_ahead - 1], 4, -64);
    return job;
  }

  /// Jobs that a worker which has ended took and did not run.
  template <class Worker, class Function>
  void foreach_resumable(Worker* self, Function release) {
    std::ranges::for_each(self->data().batch, release);
    self->data().batch.clear();
  }
  template <class Coordinator, class Function>
  void foreach_central_resumable(Coordinator* self, Function release) {
    auto& shared = self->data();
    const std::lock_guard guard(shared.lock);
    std::ranges::for_each(shared.queue, release);
    shared.queue.clear();
  }

private:
  static constexpr std::size_t max_batch = 64;
  /// Jobs are actors that other threads had in hand last: their memory, which lies around the job,
  /// is asked for while those before them run.
  static constexpr std::size_t jobs_ahead = 3;

  static void fill(std::deque<caf::resumable*>& batch, coordinator_data& shared) {
    std::unique_lock guard(shared.lock);
    ++shared.sleeping;
    shared.filled.wait(guard, [&] { return !shared.queue.empty(); });
    --shared.sleeping;
    const auto workers = shared.coordinator->num_workers();
    if (workers == 1) {
      batch.swap(shared.queue);
      return;
    }
    const auto share = std::clamp<std::size_t>(shared.queue.size() / workers, 1, max_batch);
    const auto end = shared.queue.begin() + static_cast<std::ptrdiff_t>(share);
    batch.assign(shared.queue.begin(), end);
    shared.queue.erase(shared.queue.begin(), end);
  }
};

} // namespace acta::runtime
