#pragma once

#include <acta/base/ensure.hpp>

#include <caf/resumable.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace acta::runtime {

/// Jobs for one worker, from any thread. A job is in no more than one queue, once.
///
/// Operation: the worker takes all there is at once, so it locks once for many jobs, and gives back
/// the memory of what it took before, so that nothing is allocated once both vectors have grown.
///
/// Concurrency: jobs_ is guarded by mutex_; filled_ says whether it has any and is changed under
/// the mutex too. It is seq_cst where it becomes true: see bell.
class job_queue {
public:
  /// True if the worker has to be woken: there was no job before. Who puts a job behind others need
  /// not, as whoever put the first one does.
  [[nodiscard]] bool push(caf::resumable* job) {
    ensure(job != nullptr, "a job is there");
    const std::lock_guard guard(mutex_);
    jobs_.push_back(job);
    if (jobs_.size() > 1)
      return false;
    filled_.store(true, std::memory_order_seq_cst);
    return true;
  }

  [[nodiscard]] bool filled() const noexcept { return filled_.load(std::memory_order_seq_cst); }

  /// Adds all jobs to `to`, in order. By the worker.
  void take(std::vector<caf::resumable*>& to) {
    if (!filled())
      return;
    const std::lock_guard guard(mutex_);
    if (to.empty())
      to.swap(jobs_);
    else
      to.insert(to.end(), jobs_.begin(), jobs_.end());
    jobs_.clear();
    filled_.store(false, std::memory_order_relaxed);
  }

private:
  std::mutex mutex_;
  std::vector<caf::resumable*> jobs_;
  /// Not beside the mutex: a worker that spins reads this all the time.
  alignas(64) std::atomic<bool> filled_{false};
};

} // namespace acta::runtime
