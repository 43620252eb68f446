#pragma once

#include <acta/base/expected_version.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_metadata.hpp>

#include <chrono>
#include <cstdint>

namespace acta::runtime {

/// When a command is answered. A command may wait for less than its store promises, never get less.
enum class acknowledgement : std::uint8_t {
  /// Its events are decided, and will be committed unless the commit fails, which is not told.
  accepted,
  /// Its events are as durable as the log promises (see storage::durability). The default.
  committed,
  /// A power loss leaves its events: at durability `process` it waits for the background sync.
  /// Refused with errc::invalid_argument where the log is in memory.
  durable,
};

/// How one command is handled. What is left out costs nothing.
struct command_options {
  /// Names the command: sent again while the aggregate remembers it (see
  /// engine_options::repeat_window), it gets its first receipt and does nothing. A command that
  /// stored no event, or was refused, is not remembered but decided anew. Empty: never a repeat.
  command_id id{};
  /// The aggregate's version, as the caller takes it to be; otherwise errc::wrong_version, and
  /// decide() is not called.
  expected_version expected = expected_version::any();
  acknowledgement answered = acknowledgement::committed;
  /// On the engine's clock, in ns since 1970-01-01T00:00:00Z: a command that has not reached
  /// decide() by then is refused with errc::expired. 0: none. A repeat gets its first receipt all
  /// the same: so who timed out, and sends the command again as it was, learns that it happened.
  std::int64_t deadline_ns = 0;
  /// How long the caller's thread waits, at most, where the engine or the aggregate has no room,
  /// before errc::overloaded. A command's place in the order is taken when there is room. Where
  /// engine::ask() is refused, as in an outcome handler, nothing waits.
  std::chrono::nanoseconds wait_for_room{0};
  /// How long ask() waits for the outcome, at most, before errc::timed_out. Not for tell().
  std::chrono::nanoseconds wait_for_outcome = std::chrono::nanoseconds::max();
  /// Stored with each of the command's events.
  storage::event_metadata metadata{};
};

} // namespace acta::runtime
