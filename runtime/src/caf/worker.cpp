#include "worker.hpp"

#include "../at_work.hpp"
#include "../cores.hpp"
#include "../prefetch.hpp"
#include "../thread_name.hpp"
#include "coroutine_job.hpp"

#include <acta/base/ensure.hpp>

#include <caf/actor_system.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <utility>

namespace acta::runtime {

worker::worker(caf::actor_system& system, settings how)
    : caf::execution_unit(&system), settings_(std::move(how)) {}

worker::~worker() {
  ensure(!thread_.joinable(), "a worker is ended before it is destroyed");
}

void worker::start() {
  thread_ = std::thread([this] {
    name_this_thread("acta.worker");
    const at_work here;
    if (settings_.core && !pin_this_thread(*settings_.core) && settings_.not_pinned)
      settings_.not_pinned(*settings_.core);
    system().thread_started();
    run();
    system().thread_terminates();
  });
}

void worker::end() noexcept {
  ending_.store(true, std::memory_order_seq_cst);
  bell_.ring();
  if (thread_.joinable())
    thread_.join();
}

void worker::schedule(caf::resumable* job) {
  if (queue_.push(job))
    bell_.ring();
}

void worker::add(chore& todo) noexcept {
  todo.is_done_by(bell_);
  ensure(chore_.exchange(&todo, std::memory_order_seq_cst) == nullptr, "a worker has one chore");
}

bool worker::has_something() const noexcept {
  const auto* todo = chore_.load(std::memory_order_seq_cst);
  return queue_.filled() || (todo != nullptr && todo->ready())
         || ending_.load(std::memory_order_seq_cst);
}

void worker::run() noexcept {
  for (std::size_t rounds = 0;;) {
    const bool last = ending_.load(std::memory_order_seq_cst);
    gather();
    const bool idle = batch_.empty();
    if (!idle)
      run_batch();
    bool did_something = !idle;
    if (idle || ++rounds >= rounds_of_jobs) {
      rounds = 0;
      auto* todo = chore_.load(std::memory_order_acquire);
      did_something = (todo != nullptr && todo->step()) || !idle;
    }
    if (last)
      return;
    if (!did_something)
      bell_.wait(settings_.wait, [this] { return has_something(); });
  }
}

void worker::gather() {
  if (batch_.empty())
    std::swap(batch_, later_);
  else
    batch_.insert(batch_.end(), later_.begin(), later_.end());
  later_.clear();
  queue_.take(batch_);
}

void worker::run_batch() {
  auto* todo = chore_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (i + jobs_ahead < batch_.size())
      prefetch(batch_[i + jobs_ahead], 7, -192); // what CAF keeps of an actor lies before this
    run(batch_[i]);
    if (todo != nullptr && todo->urgent())
      todo->step();
  }
  batch_.clear();
}

void worker::run(caf::resumable* job) {
  switch (job->resume(this, settings_.messages_per_job)) {
    case caf::resumable::resume_later: exec_later(job); break;
    case caf::resumable::awaiting_message:
    case caf::resumable::done: job->intrusive_ptr_release_impl(); break;
    case coroutine_job::is_gone: break;
  }
}

std::size_t worker::jobs() {
  ensure(!thread_.joinable(), "a worker with a thread runs its jobs itself");
  gather();
  return batch_.size();
}

void worker::run_job(std::size_t which) {
  ensure(which < jobs(), "one of the jobs there are");
  auto* job = batch_[which];
  batch_.erase(batch_.begin() + static_cast<std::ptrdiff_t>(which));
  run(job);
}

void worker::release_jobs() {
  while (jobs() != 0) {
    auto* job = batch_.front();
    batch_.erase(batch_.begin());
    caf::scheduler::abstract_coordinator::cleanup_and_release(job);
  }
}

} // namespace acta::runtime
