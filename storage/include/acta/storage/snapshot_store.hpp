#pragma once

#include <acta/base/error.hpp>
#include <acta/base/expected_version.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>

/// Snapshots of streams' states, so that loading one need not read all of its events. Derived from
/// the log: they may be deleted at any time, and none is needed.
namespace acta::storage {

/// The state of a stream after one of its events. The bytes are borrowed.
struct stream_snapshot {
  stream_version version;                ///< Of the stream, not 0.
  log_position position;                 ///< Of the event with this version,
  std::uint64_t event_checksum = 0;      ///< its record_header::checksum,
  std::int64_t recorded_at_ns = 0;       ///< and when it was recorded.
  std::uint64_t schema_hash = 0;         ///< Of what `state` is; chosen by the one who saves.
  std::span<const std::byte> metadata{}; ///< What else the one who saves wants to have back.
  std::span<const std::byte> state{};    ///< 8-byte aligned when it is read.
};

/// Checks that a snapshot's last event is the one at its position in `log`. errc::corrupt if not:
/// the log was restored from an older backup, or is another one. errc::not_found if that event was
/// archived, so that nothing can be said.
[[nodiscard]] result<void> verify(const stream_snapshot& snapshot, const stream_id& stream,
                                  const log_snapshot& log);

struct snapshot_to_save {
  stream_id stream;
  stream_snapshot snapshot;
  /// The version of the stream's newest snapshot before the call; 0 if there is none.
  expected_version newest = expected_version::any();
};

/// Which snapshots of a stream are meant: all bounds are inclusive.
struct snapshot_criteria {
  stream_version min_version{};
  stream_version max_version{std::numeric_limits<std::uint64_t>::max()};
  std::int64_t max_recorded_at_ns = std::numeric_limits<std::int64_t>::max();
};

/// The newest snapshots of each stream. Threads: any; those who write wait for one another.
/// Durability: on disk, synced when save() returns. Errors: those of the device.
///
///     auto snapshots = storage::open_snapshots(*log);
///     (*snapshots)->read(order, {}, [&](const auto& one) {
///       return !one || !use(*one); // this one will not do: on to the one before
///     });
class snapshot_store {
public:
  snapshot_store(const snapshot_store&) = delete;
  snapshot_store& operator=(const snapshot_store&) = delete;
  virtual ~snapshot_store() = default;

  /// Saves all or none. One of a version that is there already takes its place. The stream's newer
  /// ones go, as they are of events that the log has lost, and the oldest, where there are more
  /// than snapshot_options::keep. errc::wrong_version if a stream's newest snapshot is not of the
  /// version expected; errc::too_large over limits::max_snapshot_size; errc::invalid_argument at
  /// version 0.
  [[nodiscard]] virtual result<void> save(std::span<const snapshot_to_save> all) = 0;

  using reader = std::function<bool(const result<stream_snapshot>&)>;
  /// Shows `look` those of a stream that match, newest first, until it returns false. What it is
  /// shown is valid during the call. In place of a damaged one it is shown errc::corrupt, whatever
  /// its date. A reading holds pages of the store: `look` should not take long.
  [[nodiscard]] virtual result<void>
  read(const stream_id& stream, const snapshot_criteria& criteria, const reader& look) const = 0;

  /// Removes those of a stream that match, damaged ones whatever their date, and returns how many.
  [[nodiscard]] virtual result<std::size_t> remove(const stream_id& stream,
                                                   const snapshot_criteria& criteria) = 0;

protected:
  snapshot_store() = default;
};

struct snapshot_options {
  /// Newest snapshots kept of each stream, at least 1.
  std::size_t keep = limits::default_snapshots_kept;
};

/// Opens the snapshots beside a log, making them if there are none; of a log in memory, none that
/// are in memory too. Only while the log is open, and once at a time: errc::store_in_use. Other
/// errors: errc::corrupt and newer_format, where remove_snapshots() is the way out;
/// permission_denied, not_found, no_space, io; invalid_argument.
[[nodiscard]] result<std::unique_ptr<snapshot_store>>
open_snapshots(const event_log& log, const snapshot_options& options = {});

/// Removes all snapshots beside a log. They must not be open: errc::store_in_use.
[[nodiscard]] result<void> remove_snapshots(const event_log& log);

} // namespace acta::storage
