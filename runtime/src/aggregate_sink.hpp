#pragma once

#include "aggregate.hpp"
#include "staging.hpp"
#include "timer_command.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/runtime/detail/envelope.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace acta::runtime {

/// Turns what decide() emits into records in the staging buffer.
class aggregate::sink final : public domain::event_sink {
public:
  sink(const aggregate& of, const detail::envelope& command, staging& to,
       std::vector<detail::verified_event>& events, std::vector<timer_setting>& timers)
      : of_(of), command_(command), to_(to), events_(events), timers_(timers) {
    begin();
  }
  /// Forgets what was emitted. A timer that fires is not pending any more, whatever happens.
  void begin() {
    to_.discard();
    events_.clear();
    timers_.clear();
    if (command_.is_timer())
      timers_.push_back({.id = static_cast<const timer_command&>(command_).timer()});
  }

  void accept(std::size_t event_index, std::uint16_t schema_version,
              std::span<const std::byte> payload) noexcept override {
    if (too_large_ || malformed_)
      return;
    if (!of_.category_.type->verify(event_index, payload)) {
      malformed_ = of_.category_.type->events()[event_index].name;
      return;
    }
    if (payload.size() > limits::max_payload_size
        || bytes_ + payload.size() > limits::max_command_size
        || to_.reserved().size() == limits::max_events_per_command) {
      too_large_ = payload.size();
      return;
    }
    events_.push_back(
      {event_index, stage(of_.category_.event_ids[event_index], schema_version, payload)});
  }

  void set_timer(timer_id id, std::int64_t due_ns) noexcept override {
    const auto found = std::ranges::find(timers_, id, &timer_setting::id);
    if (found != timers_.end())
      found->due_ns = due_ns;
    else if (timers_.size() < limits::max_events_per_command)
      timers_.push_back({.id = id, .due_ns = due_ns});
    else
      too_large_ = 0;
  }

  /// Stages what changes of the timers, behind the events. errc::too_large if too many are pending.
  [[nodiscard]] result<void> stage_timers() {
    const auto fires = [&](const timer_setting& one) {
      return command_.is_timer() && one.id == static_cast<const timer_command&>(command_).timer();
    };
    std::erase_if(timers_, [&](const timer_setting& one) {
      return of_.timers_.due_of(one.id) == one.due_ns && !fires(one);
    });
    auto pending = of_.timers_.size();
    for (const auto& one : timers_) {
      pending -= of_.timers_.due_of(one.id) != 0 ? 1U : 0U;
      pending += one.due_ns != 0 ? 1U : 0U;
    }
    if (pending > limits::max_pending_timers
        || to_.reserved().size() + timers_.size() > limits::max_events_per_command)
      return failure(errc::too_large,
                     fmt::format("{}: with this command {} timers would be pending, and {} events "
                                 "stored; at most {} and {} are; nothing was stored",
                                 of_.name(), pending, to_.reserved().size() + timers_.size(),
                                 limits::max_pending_timers, limits::max_events_per_command));
    for (const auto& one : timers_)
      (void)stage(of_.shared().timer_event, 1, timer_payload(one));
    return {};
  }

  /// errc::too_large for events over a limit; errc::handler_failed for one that does not pass the
  /// FlatBuffers verifier, which a reader could not load.
  [[nodiscard]] result<void> check() const {
    if (malformed_)
      return failure(errc::handler_failed,
                     fmt::format("{}: its event {} does not pass the FlatBuffers verifier (tables "
                                 "nested too deep?); nothing was stored",
                                 of_.name(), *malformed_));
    if (too_large_)
      return failure(errc::too_large,
                     fmt::format("{}: its event number {}, of {} bytes, is over a limit ({} bytes "
                                 "an event, {} bytes and {} events a command); nothing was stored",
                                 of_.name(), to_.reserved().size() + 1, *too_large_,
                                 limits::max_payload_size, limits::max_command_size,
                                 limits::max_events_per_command));
    return {};
  }

private:
  /// The next record of the command; where its payload lies in the staging buffer.
  [[nodiscard]] std::span<const std::byte> stage(event_type_id type, std::uint16_t schema_version,
                                                 std::span<const std::byte> payload) {
    const storage::record_fields fields{
      .stream = of_.whole_stream(),
      .version = stream_version(of_.version_ + to_.reserved().size() + 1),
      .command = command_.id(),
      .event_type = type,
      .schema_version = schema_version,
      .metadata = command_.metadata(),
      .payload = payload,
    };
    const auto size = storage::record_size(fields);
    bytes_ += size;
    auto* record = to_.reserve(size);
    storage::encode_record(fields, record);
    const auto* staged = record + size - storage::padded(payload.size()); // a record ends with it
    ensure(reinterpret_cast<std::uintptr_t>(staged) % 8 == 0, "a FlatBuffer is read in place");
    return {staged, payload.size()};
  }

  const aggregate& of_;
  const detail::envelope& command_;
  staging& to_;
  std::vector<detail::verified_event>& events_;
  std::vector<timer_setting>& timers_;
  std::size_t bytes_ = 0; ///< Of all records so far.
  std::optional<std::size_t> too_large_;
  std::optional<std::string_view> malformed_;
};

} // namespace acta::runtime
