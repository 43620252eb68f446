#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

namespace acta::storage {

/// Where the events of each stream are in the log. Derived from the log alone and held in memory:
/// 11 to 21 bytes a stream and 8 bytes an event.
///
/// Operation: events whose streams share a hash (30 bits of it) form one chain from newest to
/// oldest; a reader follows the chain and keeps the records whose key is the stream's, so two
/// streams are never taken for one another, whatever their hashes.
///
/// Threads: catch_up() belongs to one thread; the other functions may be called from any thread,
/// also during catch_up().
class stream_index {
public:
  /// An empty index over `log`, which must outlive it.
  explicit stream_index(const event_log& log);
  ~stream_index();
  stream_index(const stream_index&) = delete;
  stream_index& operator=(const stream_index&) = delete;

  enum class check {
    structure, ///< That positions have no gap and the parts of a record add up to its size.
    full,      ///< Also each checksum, and that commands are whole.
  };
  /// Indexes the log up to its tail. On an error (errc::corrupt names the position) the index stays
  /// at what it had reached. After errc::corrupt of a full check, make another to check again.
  [[nodiscard]] result<void> catch_up(check how = check::structure);

  /// The last position indexed.
  [[nodiscard]] log_position watermark() const noexcept;

  /// Events of a stream, at most `max`, beginning with version `from`: forward, 0 counts as 1, and
  /// beyond the newest there are none; backward, whatever is beyond the newest counts as that, and
  /// at 0 there are none. A stream that does not exist has none. Only what is in the index and in
  /// `snapshot` is seen. The records are valid as long as the snapshot. Takes time for every event
  /// from the newest to the oldest that is read. errc::corrupt names the position of a gap.
  [[nodiscard]] result<std::vector<record_view>>
  read(const stream_id& stream, const log_snapshot& snapshot, stream_version from = {},
       std::size_t max = std::numeric_limits<std::size_t>::max(),
       direction way = direction::forward) const;
  result<std::vector<record_view>> read(const stream_id&, const log_snapshot&&, stream_version = {},
                                        std::size_t = 0,
                                        direction = direction::forward) const = delete;

  /// The newest version of a stream, as read() sees it; 0 if it does not exist.
  [[nodiscard]] result<stream_version> version(const stream_id& stream,
                                               const log_snapshot& snapshot) const;

  /// True if the index has no event whose stream shares this stream's hash: it is new. Never true
  /// for a stream that has indexed events. Cheap: no read of the log.
  [[nodiscard]] bool surely_absent(const stream_id& stream) const noexcept;

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::storage
