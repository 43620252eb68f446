#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <cstdint>
#include <optional>
#include <vector>

/// The pending timers of a store as they were at a position of its log, in the file `timers` beside
/// it: derived, so that an engine need not look for them in the whole log when it is opened. It may
/// lag behind the log, and be removed.
namespace acta::storage {

/// A timer that an aggregate has set.
struct pending_timer {
  stream_id stream;
  timer_id id;
  std::int64_t due_ns = 0; ///< ns since 1970-01-01T00:00:00Z.
  stream_version version;  ///< Of the event that set it.
};

struct timer_checkpoint {
  log_position through; ///< All events up to this one are taken into account. Not 0.
  std::vector<pending_timer> pending;
};

/// What was saved last for this log, if it holds: none where nothing was, or where the log neither
/// has the record it goes up to nor begins before it. Errors: corrupt for a damaged file, or one
/// that is no such file; newer_format; foreign_store for one of another store or log; io,
/// permission_denied. All of them mean that the log has to be read instead. Any thread.
[[nodiscard]] result<std::optional<timer_checkpoint>>
load_timer_checkpoint(const event_log& log, const log_snapshot& snapshot);

/// Saves one in the place of the one before, whole or not at all, synced to the device. Does
/// nothing where nothing may lie beside the log: see event_log::directory(). `snapshot` has the
/// record it goes up to. Errors: no_space, io, permission_denied. One thread at a time.
[[nodiscard]] result<void> save_timer_checkpoint(const event_log& log, const log_snapshot& snapshot,
                                                 const timer_checkpoint& what);

} // namespace acta::storage
