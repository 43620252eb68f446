#pragma once

#include "index_key.hpp"
#include "lmdb_environment.hpp"
#include "synced_point.hpp"
#include "writer_lock.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace acta::storage {

class index_batch;

/// Where one event is.
struct indexed_event {
  stream_version version;
  log_position position;
};

/// The index on disk: an LMDB environment in `<store>/index`. Derived: it may be deleted whenever
/// the store is closed.
///
/// Operation: a key is a stream and the version of the first of up to limits::index_chunk events;
/// the value their positions, 5 bytes each. A batch of the log is put in, sorted by stream, in
/// transactions of bounded size; the last one raises the watermark. A batch that was cut short is
/// put in again, as what is there already is left out.
///
/// Durability: synced after each batch that is durable in the log, and as it was then when it was
/// not closed; see synced_point. Threads: flush() belongs to one thread;
/// readers may be on any.
class index_file {
public:
  /// Opens or makes it. errc::corrupt or foreign_store where it is not this log's index, or ahead
  /// of the log: remove() it then.
  [[nodiscard]] static result<std::unique_ptr<index_file>> open(const event_log& of);
  /// Removes the files of a log's index, which must not be open.
  [[nodiscard]] static result<void> remove(const event_log& of);

  ~index_file();
  index_file(const index_file&) = delete;
  index_file& operator=(const index_file&) = delete;

  /// The position it is built through.
  [[nodiscard]] log_position watermark() const noexcept { return watermark_; }

  /// Puts in the events after the watermark, up to `to`. Ends early, with the watermark where it
  /// was, once `stop` is true. errc::corrupt where versions do not follow one another, or the log
  /// cannot be read; errc::no_space, io.
  [[nodiscard]] result<void> flush(log_position to, const std::atomic<bool>& stop);

  /// One state of the index.
  class reader;

private:
  index_file(const event_log& of, writer_lock held, lmdb_environment environment) noexcept
      : log_(of), held_(std::move(held)), environment_(std::move(environment)) {}

  [[nodiscard]] result<void> start();
  [[nodiscard]] result<void> make();
  [[nodiscard]] result<void> check();
  [[nodiscard]] result<index_batch> read_log(const log_snapshot& from, log_position to) const;
  [[nodiscard]] result<void> put_watermark(MDB_txn* in, const log_snapshot& from, log_position to);

  const event_log& log_;
  writer_lock held_;
  lmdb_environment environment_;
  lmdb_readers readers_{environment_};
  MDB_dbi streams_ = 0;
  MDB_dbi meta_ = 0;
  log_position watermark_;
  bool is_whole_ = true; ///< False while a batch is there in part, or is not synced.
  std::optional<synced_point> synced_;
};

/// Reads the index as it was when the reader was begun. Not thread-safe.
class index_file::reader {
public:
  [[nodiscard]] static result<reader> begin(const index_file& of);
  reader(reader&& other) noexcept;
  reader& operator=(reader&&) = delete;
  ~reader();

  /// The newest event of a stream at or before `up_to`; empty if there is none.
  [[nodiscard]] result<std::optional<indexed_event>> newest(const stream_id& stream,
                                                            log_position up_to) const;

  /// Adds events of a stream to `found`, from `from` on in the direction, that are at or before
  /// `up_to`, until `found` has `max`.
  [[nodiscard]] result<void> read(const stream_id& stream, stream_version from, std::size_t max,
                                  direction way, log_position up_to,
                                  std::vector<indexed_event>& found) const;

  /// The streams with keys after `after`, as bytes, in their order, `max` at most.
  [[nodiscard]] result<std::vector<stream_id>> streams(std::span<const std::byte> after,
                                                       std::size_t max) const;

private:
  reader(const index_file& of, MDB_txn* transaction, MDB_cursor* cursor) noexcept
      : of_(&of), transaction_(transaction), cursor_(cursor) {}

  struct chunk;
  [[nodiscard]] result<std::optional<chunk>> get(const index_key& of, MDB_cursor_op how) const;
  [[nodiscard]] result<std::optional<chunk>> at_or_before(const index_key& wanted) const;

  const index_file* of_;
  MDB_txn* transaction_;
  MDB_cursor* cursor_;
};

} // namespace acta::storage
