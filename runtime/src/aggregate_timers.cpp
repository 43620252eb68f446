#include "aggregate.hpp"

#include "timer_command.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

/// False if it was moved, cancelled or fired meanwhile.
bool aggregate::is_still_due(const detail::envelope& command) const noexcept {
  ensure(command.is_timer(), "only a timer is due");
  const auto& one = static_cast<const timer_command&>(command);
  return timers_.due_of(one.timer()) == one.due_ns();
}

/// Of a command whose records are staged. Null if it changes none.
std::unique_ptr<timer_changes> aggregate::set_timers(std::span<const timer_setting> settings) {
  if (settings.empty())
    return nullptr;
  for (const auto& one : settings)
    timers_.apply(one);
  ensure(shared().timers != nullptr, "who sets timers has on_timer()");
  return std::make_unique<timer_changes>(
    timer_changes{.stream = whole_stream(),
                  .version = stream_version(version_),
                  .settings = {settings.begin(), settings.end()}});
}

/// A timer's event that was stored.
result<void> aggregate::evolve_timer(const storage::record_view& stored) {
  const auto setting = read_timer(stored);
  if (!setting)
    return std::unexpected(setting.error());
  timers_.apply(*setting);
  return {};
}

/// What is kept with a state, besides it.
std::vector<std::byte> aggregate::saved_memory() const {
  auto saved = recent_.saved(shared().options.repeat_window);
  timers_.save(saved);
  return saved;
}

} // namespace acta::runtime
