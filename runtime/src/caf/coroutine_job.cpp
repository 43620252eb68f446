#include "coroutine_job.hpp"

#include "scheduler.hpp"

#include <acta/base/ensure.hpp>

#include <caf/execution_unit.hpp>

#include <memory>

namespace acta::runtime {

caf::resumable::resume_result coroutine_job::resume(caf::execution_unit* unit, std::size_t) {
  const auto waiting = waiting_;
  ensure(unit != nullptr, "a worker resumes it");
  std::destroy_at(this);
  waiting.resume();
  scheduler::of(unit->system()).resumed_one();
  return is_gone;
}

} // namespace acta::runtime
