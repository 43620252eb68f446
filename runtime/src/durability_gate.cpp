#include "durability_gate.hpp"

#include "committer.hpp"

#include <acta/base/ensure.hpp>

#include <memory>
#include <utility>

namespace acta::runtime {

durability_gate::durability_gate(core& shared) : core_(shared) {
  core_.log->on_sync([this](const result<log_position>& until) { synced(until); });
}

durability_gate::~durability_gate() {
  core_.log->on_sync({});
  ensure(held_.empty(), "every command is answered before the engine ends");
}

bool durability_gate::hold(settlement& one, log_position position) {
  const auto* command = one.command->as_command();
  if (command == nullptr || command->answered() != acknowledgement::durable
      || core_.log->synced_tail() >= position)
    return false;
  const std::lock_guard guard(mutex_);
  if (failure_) {
    one.how = settlement::kind::failed;
    one.failure = std::make_unique<error>(errc::commit_failed, failure_->message());
    return false;
  }
  // Looked at again under the lock: a sync that ended meanwhile has passed by already.
  if (core_.log->synced_tail() >= position)
    return false;
  one.position = position;
  held_.push_back({std::move(one), position});
  return true;
}

void durability_gate::synced(const result<log_position>& until) {
  const std::lock_guard guard(mutex_);
  if (!until)
    failure_ = until.error();
  if (held_.empty())
    return; // the engine may not have begun yet: no chore of it is to be woken
  std::deque<held> still;
  for (auto& [end, position] : held_) {
    if (until && position > *until) {
      still.push_back({std::move(end), position});
      continue;
    }
    if (until) {
      end.how = settlement::kind::known;
    } else {
      end.how = settlement::kind::failed;
      end.failure = std::make_unique<error>(errc::commit_failed, until.error().message());
    }
    core_.committer->stage(std::move(end));
  }
  held_ = std::move(still);
  core_.committer->wake();
}

} // namespace acta::runtime
