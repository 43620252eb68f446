#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace acta::runtime {

/// What the caller of an accepted command gets once its events meet what he asked for. Never taken
/// back.
struct receipt {
  stream_version version; ///< Of the aggregate after the command's last event.
  /// Of the command's last event; the log's tail if it stored none. Of a repeat, 0 if that event
  /// was archived meanwhile. 0 at acknowledgement::accepted: no position is given yet.
  log_position position;
  std::uint32_t events = 0;
  bool repeat = false; ///< True if the command id was known: this is the first receipt again.
};

/// The receipt of a command with a reply.
template <class Reply>
struct replied : receipt {
  /// What decide() returned. None of a repeat: replies are not stored.
  std::optional<Reply> reply;
};

template <class Command>
struct receipt_of {
  using type = receipt;
};
template <domain::has_reply Command>
struct receipt_of<Command> {
  using type = replied<typename Command::reply>;
};
/// receipt, or replied<Reply> for a command that says `using reply = Reply;`.
template <class Command>
using receipt_for = typename receipt_of<Command>::type;

/// A receipt, or why there is none. Nothing was stored, and the command may be sent again:
/// - errc::rejected: by the aggregate; see error::rejection()
/// - wrong_version: command_options::expected does not hold; the message has both versions
/// - expired: command_options::deadline_ns had passed
/// - handler_failed: decide() or evolve() threw
/// - too_large: its events are over a limit
/// - commit_failed: and so will all others be; open the store again
/// - corrupt, io, overloaded, incompatible_schema: the aggregate could not be loaded
/// From engine::ask() also what engine::tell() returns, and
/// - timed_out: it is not known what becomes of the command; send it again with the same id
using outcome = result<receipt>;
template <class Command>
using outcome_for = result<receipt_for<Command>>;

/// What the caller of an accepted atomic command gets: see engine::ask_all(). Never taken back.
struct atomic_receipt {
  /// Of the aggregates after the command, in the order of its parts. Of a repeat, 0 where it had
  /// stored no event, or where the aggregate has forgotten it.
  std::vector<stream_version> versions;
  /// Of the command's last event. Otherwise as receipt::position.
  log_position position;
  std::uint32_t events = 0; ///< Of all its aggregates.
  bool repeat = false;      ///< True if an aggregate knew the command id.
};

/// As `outcome`.
using atomic_outcome = result<atomic_receipt>;
/// As outcome_handler.
using atomic_outcome_handler = std::move_only_function<void(atomic_outcome&&)>;

/// Called exactly once for each command that tell() took: on a thread of the engine, one at a
/// time and in order; at acknowledgement::accepted on the thread that ran the aggregate. Must be
/// quick, must not block or throw, and must not call engine::ask() or stop().
using outcome_handler = std::move_only_function<void(outcome&&)>;
template <class Command>
using outcome_handler_for = std::move_only_function<void(outcome_for<Command>&&)>;

} // namespace acta::runtime
