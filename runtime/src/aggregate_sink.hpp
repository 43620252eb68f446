#pragma once

#include "aggregate.hpp"
#include "staging.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/runtime/detail/envelope.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

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
       std::vector<detail::verified_event>& events)
      : of_(of), command_(command), to_(to), events_(events) {
    events_.clear();
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
    const storage::record_fields fields{
      .stream = of_.stream(),
      .version = stream_version(of_.version_ + to_.reserved().size() + 1),
      .command = command_.id(),
      .event_type = of_.category_.event_ids[event_index],
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
    events_.push_back({event_index, {staged, payload.size()}});
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
  const aggregate& of_;
  const detail::envelope& command_;
  staging& to_;
  std::vector<detail::verified_event>& events_;
  std::size_t bytes_ = 0; ///< Of all records so far.
  std::optional<std::size_t> too_large_;
  std::optional<std::string_view> malformed_;
};

} // namespace acta::runtime
