#include "driver.hpp"

#include "at_work.hpp"
#include "caf/actor_host.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

void driver::add(chore& todo) {
  todo.is_done_by(nobody_);
  chores_.push_back(&todo);
}

bool driver::run_one() {
  ensure(!std::exchange(running_, true), "no step is taken within a step: a handler must not wait");
  const at_work here;
  ready_.clear();
  const auto jobs = host_.jobs();
  if (jobs != 0)
    ready_.push_back(nullptr);
  for (auto* one : chores_)
    if (one->ready())
      ready_.push_back(one);
  if (!ready_.empty()) {
    if (auto* chosen = ready_[draw(ready_.size())]; chosen == nullptr)
      host_.run_job(draw(jobs));
    else
      ensure(chosen->step(), "a chore that is ready has something to do");
  }
  running_ = false;
  return !ready_.empty();
}

void driver::must_run_one() {
  ensure(run_one(), "what is waited for comes before there is nothing left to do");
}

void driver::finish_chores() {
  for (auto* one : chores_)
    while (one->step()) {
    }
  chores_.clear();
}

std::size_t driver::draw(std::size_t below) {
  return random_() % below;
}

} // namespace acta::runtime
