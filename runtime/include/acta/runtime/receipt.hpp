#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstdint>
#include <functional>

namespace acta::runtime {

/// What the caller of an accepted command gets once its events meet the log's durability. Never
/// taken back.
struct receipt {
  stream_version version; ///< Of the aggregate after the command's last event.
  /// Of the command's last event; the log's tail if it stored none. Of a repeat, 0 if that event
  /// was archived meanwhile.
  log_position position;
  std::uint32_t events = 0;
  bool repeat = false; ///< True if the command id was known: this is the first receipt again.
};

/// A receipt, or why there is none: errc::rejected (see error::rejection()), handler_failed,
/// too_large, commit_failed, or corrupt, io or overloaded where the aggregate could not be loaded.
/// From engine::ask() also what engine::tell() returns.
using outcome = result<receipt>;

/// Called exactly once for each command that tell() took, on the thread that commits, one at a
/// time. Must be quick, must not block or throw, and must not call engine::ask() or stop().
using outcome_handler = std::move_only_function<void(outcome&&)>;

} // namespace acta::runtime
