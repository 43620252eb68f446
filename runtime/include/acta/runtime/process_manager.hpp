#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>
#include <acta/domain/process_manager.hpp>
#include <acta/runtime/detail/process_type.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_journal.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace acta::runtime {

/// The id of the command number `index` (from 0) that the manager of this name answers the event at
/// `position` with: the same whenever it is sent, and whatever is sent in its place.
[[nodiscard]] command_id process_command_id(std::string_view manager, log_position position,
                                            std::uint32_t index) noexcept;
/// What an event is called where it is a cause: "acta.evt", then its position, little endian.
[[nodiscard]] command_id event_id(log_position position) noexcept;

struct process_options {
  /// Events up to here have made the states, and no command is sent for them: for a manager that is
  /// new to a store with a past. Of no matter when it is started again.
  log_position silent_until{};
  /// See limits::default_process_under_way; at least 1.
  std::size_t max_under_way = limits::default_process_under_way;
  /// See limits::default_process_note_every; at least 1.
  std::uint64_t note_every = limits::default_process_note_every;
};

/// Runs a process manager on an engine: sees the log's events, upcast, in their order, and sends
/// the commands that it answers them with. An actor with a thread of its own; it pulls what it sees
/// as a projector does, and holds nobody back.
///
/// Order: the commands of an instance are sent one after the other, each when the one before is
/// settled, and before its next event is handled. Instances do not wait for one another, but that
/// no further event is taken while one of an instance that waits is next.
///
/// Exactly once: each command has an id of its own (process_command_id), and what it stored carries
/// it. Started again, by this program or the next, the manager goes on from its last note: it folds
/// the states from the log, from where the oldest instance of then began, and looks in it for its
/// ids behind what was settled then: what is there is not sent again. A
/// failure that was skipped, or answered with another command, is noted before that comes. A
/// command that was accepted and stored nothing leaves no trace, and is decided again if the
/// program ended before the next note, which is when the manager has come to rest.
///
/// Failures: overloaded and io are tried again, for as long as it takes, with pauses that grow, on
/// the engine's clock. Of others Manager::failed() decides, or else the manager stops. So it does
/// when a function of the manager throws, where start_new() or must_continue() does not hold, and
/// when the engine fails or stops: see status(). It stops before the event; destroy it and start it
/// again.
///
/// Metadata: what a command stores carries the event's correlation, or else the id of the event's
/// command, and the event as its cause (event_id).
///
/// Lifecycle: the destructor waits for the commands under way. The engine must outlive it, and be
/// opened with process_journal. At most one manager of a name runs at a time. start() reads the
/// manager's progress, and blocks so long. A new one begins at the log's first position, which is 1
/// or where an archived log begins, and notes that. All functions may be called from any thread,
/// not from outcome handlers. In a deterministic engine a pause ends when a manual_clock is moved,
/// and steps are taken without end until then on a clock that runs.
///
///     auto running = runtime::process_manager::start<refunds>(*engine);
class process_manager {
public:
  /// errc::invalid_argument: a name that is no stream key, options of 0, or an event, a target or
  /// process_journal that the engine was opened without. errc::not_found if what it goes on from
  /// was archived.
  template <class Manager>
  [[nodiscard]] static result<std::unique_ptr<process_manager>>
  start(engine& on, const process_options& options = {}) {
    domain::require_process_manager<Manager>();
    return start(on, std::make_unique<detail::typed_process<Manager>>(), options);
  }
  ~process_manager();
  process_manager(const process_manager&) = delete;
  process_manager& operator=(const process_manager&) = delete;

  /// All commands of the events up to here are settled.
  [[nodiscard]] log_position position() const noexcept;
  /// The error that stopped it, if one did.
  [[nodiscard]] result<void> status() const;
  /// Waits until position() is there; errc::timed_out, or the error that stopped it.
  [[nodiscard]] result<void> wait_for(log_position position,
                                      std::chrono::nanoseconds at_most) const;

private:
  class implementation;
  explicit process_manager(std::unique_ptr<implementation> made) noexcept;
  [[nodiscard]] static result<std::unique_ptr<process_manager>>
  start(engine& on, std::unique_ptr<detail::process_type> type, const process_options& options);
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::runtime
