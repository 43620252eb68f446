#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/base/expected_version.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/truncation.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace acta::storage {

/// An event to append. The bytes are copied during the call.
struct new_event {
  event_type_id type;
  std::span<const std::byte> payload;    ///< At most limits::max_payload_size bytes.
  std::span<const std::byte> metadata{}; ///< At most limits::max_metadata_size bytes.
  std::uint16_t schema_version = 1;
};

/// What to append to one stream, and on which condition. Without events it is a condition alone.
struct stream_append {
  stream_id stream;
  expected_version expected;
  std::span<const new_event> events;
};

struct append_result {
  log_position position;                ///< Of the last event; the log's tail if there was none.
  std::vector<stream_version> versions; ///< Of each stream after this, in the order given.
};

/// Appends to streams under conditions, for programs that have no engine: tools, imports, tests.
/// The log must be nobody else's to write, and outlive this.
///
/// Threads: append() may be called from any thread; calls wait for one another. Durability: the
/// log's, reached when append() returns.
///
///     auto writer = stream_writer::open(*log);
///     const new_event event{.type = submitted, .payload = bytes};
///     (*writer)->append({{{order, expected_version::none(), {&event, 1}}}});
class stream_writer {
public:
  /// Opens the index of the log: see stream_index::open(). Errors: those of the log.
  [[nodiscard]] static result<std::unique_ptr<stream_writer>>
  open(event_log& log, const clock& dated_by = wall_clock());

  /// Appends all of it in one atomic step, or nothing: errc::wrong_version names every condition
  /// that does not hold, with the version expected and the one that is; too_large an event or step
  /// over a limit; invalid_argument a stream named twice, or a category or event type that was not
  /// registered with the log; or the log's error. `command` is stored
  /// with each event. A step without events stores nothing and succeeds if its conditions hold.
  [[nodiscard]] result<append_result> append(std::span<const stream_append> step,
                                             const command_id& command = {});

  /// From now on the stream's events before version `before` are not read: not as the stream, nor
  /// by an aggregate. The log keeps them, and scans show them, until it is archived. Numbering goes
  /// on: version() stays. What is truncated stays so; a lower `before` does nothing. Stored in the
  /// log, as durable as an append. Returns the log's tail.
  ///
  /// An aggregate goes on from `state`, which is stored with it: without one, it can only be loaded
  /// while there is a snapshot of it (snapshot_store.hpp). It is of version `before` - 1 or later;
  /// given once more for the same `before`, it takes the place of none or of an older one. One that
  /// was stored before, and still reaches, is kept. Without any state, truncating all there is
  /// removes the stream.
  ///
  /// errc::invalid_argument for a `before` beyond the version that comes next, and for a state of
  /// another version; too_large for one over the limit of an event.
  [[nodiscard]] result<log_position> truncate(const stream_id& stream, stream_version before,
                                              const stream_snapshot* state = nullptr);

  /// Truncates all of a stream, and its state: expected_version::exists() does not hold any more,
  /// none() does, and an append makes it exist again, at the version after the last one. Without
  /// effect on one that has no events.
  [[nodiscard]] result<log_position> remove(const stream_id& stream);

  /// The index of the log, which contains everything appended here.
  [[nodiscard]] const stream_index& index() const noexcept { return *index_; }

private:
  stream_writer(event_log& log, const clock& dated_by, std::unique_ptr<stream_index> index) noexcept
      : log_(log), clock_(dated_by), index_(std::move(index)) {}

  struct stream_now;
  [[nodiscard]] result<stream_now> look_at(const stream_id& stream) const;
  [[nodiscard]] result<log_position>
  store_truncation(const stream_id& stream, const stream_now& now, const truncation& what);
  [[nodiscard]] result<log_position> store(std::span<const stream_append> step,
                                           std::span<const stream_version> versions,
                                           const command_id& command);
  [[nodiscard]] result<std::vector<stream_version>>
  check_conditions(std::span<const stream_append> step) const;

  event_log& log_;
  const clock& clock_;
  std::mutex mutex_; ///< One append at a time.
  std::unique_ptr<stream_index> index_;
};

} // namespace acta::storage
