#include "participation.hpp"

#include "failures.hpp"
#include "guarded.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

aggregate::participation::participation(aggregate& of, std::unique_ptr<detail::envelope> command,
                                        staging& to)
    : of_(of), command_(std::move(command)), to_(to), stream_(of.whole_stream()),
      sink_(of, *command_, to, events_, timers_) {
  ensure(to_.reserved().empty(), "a part's events begin with none");
}

detail::atomic_member aggregate::participation::member() noexcept {
  ensure(of_.state_ != nullptr, "what is decided over was loaded");
  return {
    .stream = stream_, .version = stream_version(of_.version_), .state = of_.state_, .sink = sink_};
}

result<void> aggregate::participation::finish() {
  if (auto sound = sink_.check(); !sound)
    return sound;
  return sink_.stage_timers();
}

std::span<const std::span<std::byte>> aggregate::participation::emitted() const noexcept {
  return to_.reserved();
}

result<void> aggregate::participation::try_events() {
  ensure(events_.size() + timers_.size() == to_.reserved().size(),
         "each event emitted, and each timer, is staged as a record");
  auto tried = guarded([this] { return of_.name(); }, "evolve() of an event that was to be stored",
                       [&] { return of_.category_.type->evolved(of_.state_, events_); });
  if (!tried)
    return std::unexpected(tried.error());
  tried_ = std::move(*tried);
  return {};
}

settlement aggregate::participation::apply() {
  if (tried_ != nullptr)
    of_.category_.type->become(of_.state_, tried_.get());
  else
    of_.category_.type->evolve(of_.state_, events_);
  return ended(of_.accept(std::move(command_), timers_, to_));
}

/// Where this aggregate has forgotten the command, or had no event of it, others know.
settlement aggregate::participation::repeat() {
  if (const auto* before = of_.find_repeated(*command_))
    return ended(of_.repeat(std::move(command_), *before));
  auto end = of_.end_of(std::move(command_));
  end.how = settlement::kind::known;
  end.repeat = true;
  end.version = {};
  return ended(std::move(end));
}

settlement aggregate::participation::fail(const error& why) {
  return ended(of_.fail(std::move(command_), why));
}

void aggregate::participation::report(const error& why) const {
  if (why.code() == errc::handler_failed)
    of_.shared().failures.handler_failed(stream_, why);
}

/// The number is that of the hold, which counts as handled once the aggregate goes on.
settlement aggregate::participation::ended(settlement&& end) {
  of_.end_turn(end, of_.handled.load(std::memory_order_relaxed) + 1);
  if (static_cast<const detail::envelope&>(*end.command).answered() == acknowledgement::accepted)
    of_.answer_at_once(end);
  return std::move(end);
}

} // namespace acta::runtime
