#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/truncation.hpp>

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace acta::storage {

struct stream_index_options {
  /// Bytes, for what is not on disk yet: see limits::default_index_memory. Not of a log in memory,
  /// whose index is in memory too, 4 bytes an event and 11 to 21 a stream.
  std::size_t memory = limits::default_index_memory;
  /// Called by open() now and then, on its thread, with the position reached and the tail: building
  /// the index of a large log takes seconds to minutes.
  std::function<void(log_position, log_position)> progress{};
};

struct stream_info {
  stream_id stream;
  stream_version version; ///< The newest.
};

/// Where the events of each stream are in the log. Derived from the log alone: of a store, it is
/// kept in its directory `index`, which may be removed while the store is closed.
///
/// Operation: catch_up() puts the newest events into a delta in memory; when that has half of the
/// memory it may have, a thread of the index sorts it by stream and writes it to the disk, and
/// another delta is filled. What is on disk when the store is opened need not be read again.
///
/// Threads: catch_up() belongs to one thread; the other functions may be called from any thread,
/// also during catch_up(). Durability: none of its own; after a power loss it is as of its last
/// sync, and goes on from there.
///
///     auto index = stream_index::open(*log);
///     auto newest = (*index)->read(order, *snapshot, stream_version(UINT64_MAX), 10,
///                                  direction::backward);
class stream_index {
public:
  /// The index of `log`, which must outlive it, caught up to the log's tail. What it reads of the
  /// log and has in memory is checked with its checksums. An index that is damaged, or another
  /// log's, is made anew. Errors: those of the log, and no_space, io, permission_denied naming the
  /// index.
  [[nodiscard]] static result<std::unique_ptr<stream_index>>
  open(const event_log& log, const stream_index_options& options = {});
  ~stream_index();
  stream_index(const stream_index&) = delete;
  stream_index& operator=(const stream_index&) = delete;

  /// Indexes the log up to its tail. Where the memory is full, it waits until some of it is on
  /// disk. On an error the index stays at what it had reached: errc::corrupt names the position of
  /// a record whose parts do not add up; errc::no_space and io, where the index cannot be written,
  /// may be tried again.
  [[nodiscard]] result<void> catch_up();

  /// The last position indexed.
  [[nodiscard]] log_position watermark() const noexcept;
  /// The last position on disk; 0 of a log in memory.
  [[nodiscard]] log_position stored_watermark() const noexcept;

  /// Events of a stream, at most `max`, beginning with version `from`: forward, 0 counts as 1, and
  /// beyond the newest there are none; backward, whatever is beyond the newest counts as that, and
  /// at 0 there are none. A stream that does not exist has none. Only what is in the index and in
  /// `snapshot` is seen. The records are valid as long as the snapshot. Takes time for every event
  /// that is read, and for those of the stream that are newer and not on disk yet. errc::corrupt
  /// names the position of a gap.
  [[nodiscard]] result<std::vector<record_view>>
  read(const stream_id& stream, const log_snapshot& snapshot, stream_version from = {},
       std::size_t max = std::numeric_limits<std::size_t>::max(),
       direction way = direction::forward) const;
  result<std::vector<record_view>> read(const stream_id&, const log_snapshot&&, stream_version = {},
                                        std::size_t = 0,
                                        direction = direction::forward) const = delete;

  /// The newest version a stream has had in `snapshot`; 0 if it never existed. It stays when the
  /// stream is truncated.
  [[nodiscard]] result<stream_version> version(const stream_id& stream,
                                               const log_snapshot& snapshot) const;

  /// From where a stream is read: what is before is not, as if it were not there. Checks the record
  /// that says so, errc::corrupt; its state lies in `snapshot`.
  [[nodiscard]] result<truncation> truncated(const stream_id& stream,
                                             const log_snapshot& snapshot) const;
  result<truncation> truncated(const stream_id&, const log_snapshot&&) const = delete;

  /// Where the event of a stream with this version is, also one that was truncated; 0 if it was
  /// archived. errc::not_found if there is none in the index and in `snapshot`.
  [[nodiscard]] result<log_position> position(const stream_id& stream, stream_version version,
                                              const log_snapshot& snapshot) const;

  /// Streams with their versions, `max` at most, in the order of category, kind of key and key:
  /// those that follow `after`, or all; of a category, or of all (0). The next page follows the
  /// last of this one. Only what is in the index and in `snapshot` is seen. Takes time for every
  /// event that is not on disk yet, and for every stream it returns.
  [[nodiscard]] result<std::vector<stream_info>> streams(const log_snapshot& snapshot,
                                                         std::size_t max,
                                                         const std::optional<stream_id>& after = {},
                                                         category_id category = {}) const;

  /// True if the index has no event, and no truncation, of a stream that shares this stream's hash:
  /// it is new. Never true for a stream that has indexed events. Cheap: no read of the log.
  [[nodiscard]] bool surely_absent(const stream_id& stream) const noexcept;

private:
  class implementation;
  explicit stream_index(std::unique_ptr<implementation> made) noexcept;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::storage
