#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/record.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {

/// What a receipt of a store means.
enum class durability : std::uint8_t {
  power,   ///< Synced to the device: survives a killed process and a power loss.
  process, ///< With the kernel: survives a killed process. Synced in the background; a power loss
           ///< takes what was committed in the last log_options::sync_every and in the sync after
           ///< it (milliseconds), and the store opens as it was before.
  memory,  ///< Held by this process only: everything is gone with it.
};

/// The name of a level as written above, e.g. "power".
[[nodiscard]] std::string_view name(durability level) noexcept;

enum class direction : std::uint8_t { forward, backward };

/// Which records a cursor shows, and in which order.
struct scan_options {
  direction way = direction::forward;
  /// Only those of this category; 0 for all.
  category_id category{};
  /// Only those of these event types; empty for all.
  std::vector<event_type_id> event_types{};
  /// Only of streams whose stream_hash() is `part` modulo `parts`, which must not be 0.
  std::uint32_t part = 0;
  std::uint32_t parts = 1;
  /// Forward: the last position to look at; 0: the tail.
  log_position up_to{};
};

/// Reads records from a snapshot. Borrowed from the snapshot: must not outlive it. Not thread-safe.
class log_cursor {
public:
  log_cursor(const log_cursor&) = delete;
  log_cursor& operator=(const log_cursor&) = delete;
  virtual ~log_cursor() = default;

  /// The next records in the cursor's order, at most limits::cursor_batch; empty at its end. The
  /// span itself is valid until the next call, the records as long as the snapshot. errc::corrupt
  /// names the position of a record that does not parse or is missing; it comes after the records
  /// before it, and ends the cursor.
  [[nodiscard]] virtual result<std::span<const record_view>> next() = 0;

protected:
  log_cursor() = default;
};

/// The log as it was at one moment. Zero-copy: records point into the store, and are valid until
/// the snapshot is refreshed or destroyed, which is why they can only be had from an lvalue. May be
/// handed from thread to thread; used by one at a time. An old snapshot keeps pages of the log from
/// reuse: refresh it, or let it go. The log must outlive it.
///
///     auto snapshot = log->snapshot();
///     if (!snapshot) return failure(snapshot);
///     auto cursor = (*snapshot)->scan(log_position(1));
class log_snapshot {
public:
  log_snapshot(const log_snapshot&) = delete;
  log_snapshot& operator=(const log_snapshot&) = delete;
  virtual ~log_snapshot() = default;

  /// The oldest position there is: 1, until the beginning of the log is archived (archive.hpp).
  [[nodiscard]] virtual log_position first() const noexcept = 0;

  /// The newest position in this snapshot; if the log is empty the one before first(): mostly 0.
  [[nodiscard]] virtual log_position tail() const noexcept = 0;

  /// Moves to the newest state of the log. Everything read before is invalid. No cursor may be
  /// open.
  [[nodiscard]] virtual result<void> refresh() = 0;

  /// The record at a position. errc::not_found beyond the tail, at 0, and where it was archived,
  /// which the message says.
  [[nodiscard]] virtual result<record_view> at(log_position position) const& = 0;
  result<record_view> at(log_position) const&& = delete;

  /// A cursor that begins at `from`. Forward, 0 counts as first(), and beyond the tail there is
  /// nothing; backward, whatever is beyond the tail counts as the tail, and at 0 there is nothing.
  /// errc::not_found where `from` was archived: nobody misses events without being told.
  [[nodiscard]] virtual result<std::unique_ptr<log_cursor>>
  scan(log_position from, const scan_options& options) const& = 0;
  [[nodiscard]] result<std::unique_ptr<log_cursor>> scan(log_position from) const& {
    return scan(from, {});
  }
  result<std::unique_ptr<log_cursor>> scan(log_position, const scan_options&) const&& = delete;
  result<std::unique_ptr<log_cursor>> scan(log_position) const&& = delete;

  /// The newest position dated before `time_ns` (ns since 1970-01-01T00:00:00Z), the one before
  /// first() if there is none: what was recorded at that time or later follows it. Searches by
  /// halves, as dates never fall.
  [[nodiscard]] result<log_position> position_before(std::int64_t time_ns) const;

protected:
  log_snapshot() = default;
};

/// The FlatBuffers schema an event type is written with, in flatc's binary form (bfbs). Borrows.
struct event_schema {
  event_type_id type;
  std::span<const std::byte> bfbs;
};

/// The append-only log of a store: records at positions 1, 2, 3, ... (or from log_snapshot::first()
/// on), a dictionary of names, and the schemas of event types.
///
/// Threads: append(), the two register functions and put_schemas() belong to one thread at a time
/// (the committer). The others may be called from any thread; readers never wait for the writer,
/// nor the writer for readers. Durability: as durability() says, reached when append() returns.
class event_log {
public:
  event_log(const event_log&) = delete;
  event_log& operator=(const event_log&) = delete;
  virtual ~event_log() = default;

  /// Appends encoded records (see encode_record()) as one atomic step, at consecutive positions,
  /// dated `recorded_at_ns` (ns since 1970-01-01T00:00:00Z) or, where that is earlier, as the
  /// record before them: dates never fall. Returns the position of the last; the tail if there are
  /// none. On an error (no_space, map_full, io) this log appends no more, and shows nothing of it.
  /// Once the store is opened again, all of the records are there or none: a sync may fail after
  /// the device had everything.
  [[nodiscard]] virtual result<log_position>
  append(std::span<const std::span<const std::byte>> records, std::int64_t recorded_at_ns) = 0;

  /// The newest position that meets durability(). Published after the commit.
  [[nodiscard]] virtual log_position tail() const noexcept = 0;

  /// The newest position that a power loss leaves: the tail at `power`, behind it at `process`, 0
  /// at `memory`.
  [[nodiscard]] virtual log_position synced_tail() const noexcept = 0;

  /// Calls `listener` whenever synced_tail() has moved at durability `process`, or cannot move any
  /// more, with the reason; on the thread that syncs, which it must not hold up. In place of the
  /// one before; when this returns, no call of that is under way. Elsewhere there are no calls.
  using sync_listener = std::function<void(const result<log_position>&)>;
  virtual void on_sync([[maybe_unused]] const sync_listener& listener) {}

  [[nodiscard]] virtual result<std::unique_ptr<log_snapshot>> snapshot() const = 0;

  /// The id of a name in this store's dictionary, added if it is new. Stored before it returns.
  [[nodiscard]] virtual result<category_id> register_category(std::string_view name) = 0;
  [[nodiscard]] virtual result<event_type_id> register_event_type(std::string_view name) = 0;

  /// A name from the dictionary; empty if there is none with this id.
  [[nodiscard]] virtual std::string_view category_name(category_id id) const noexcept = 0;
  [[nodiscard]] virtual std::string_view event_type_name(event_type_id id) const noexcept = 0;

  /// Stores schemas in one atomic step, each in place of the one its type has. As they are:
  /// register_schemas() (schema.hpp) checks them first. Stored before it returns.
  [[nodiscard]] virtual result<void> put_schemas(std::span<const event_schema> schemas) = 0;

  /// The schema of an event type, as it was stored; empty if the store has none.
  [[nodiscard]] virtual result<std::vector<std::byte>> schema(event_type_id id) const = 0;

  [[nodiscard]] virtual storage::durability durability() const noexcept = 0;

  /// Of the store, 32 hexadecimal digits that no other store has; empty for a log in memory.
  [[nodiscard]] virtual std::string_view store_id() const noexcept = 0;

  /// Of the store: what is derived from the log lies beside it. Empty where nothing may: for a log
  /// in memory, or one that is open for reading.
  [[nodiscard]] virtual const std::filesystem::path& directory() const noexcept = 0;

protected:
  event_log() = default;
};

struct log_options {
  /// Bytes of address space, in whole pages; the file grows only as it is written.
  std::size_t map_size = limits::default_map_size;
  /// `power` or `process`. Of this opening: a store may be opened at another level each time. At
  /// `power` a commit waits for the device (some 100 us), at `process` it does not (some 5 us).
  storage::durability durability = storage::durability::power;
  /// At `process`: how long after a commit the background sync begins, at most. A sync is a write
  /// and two syncs of the device.
  std::chrono::milliseconds sync_every = limits::default_sync_every;
};

/// Opens the store in `directory` for writing, making it if the directory is missing or empty.
/// The store is held exclusively until the log is destroyed: a second opener,
/// in this process or another, gets errc::store_in_use with the holder's process id and name.
/// Other errors: foreign_store, newer_format, corrupt, not_found, permission_denied, no_space, io,
/// invalid_argument.
[[nodiscard]] result<std::unique_ptr<event_log>> open_log(const std::filesystem::path& directory,
                                                          const log_options& options = {});

/// Opens the store in `directory` for reading only: const, so that nothing can be appended. Another
/// process may write it meanwhile: tail(), snapshots and names show what it has committed. Needs no
/// writer lock, changes nothing, and works on media that cannot be written; elsewhere LMDB's
/// `lock.mdb` must be writable. durability() is `process`, as what the writer has not synced is
/// shown too; synced_tail() is not known: 0. Its stream_index is in memory. A store is open once a
/// process (errc::store_in_use). Other errors: not_found if there is no store, io if it must be
/// opened for writing first after a power loss, and those of open_log().
[[nodiscard]] result<std::unique_ptr<const event_log>>
open_log_for_reading(const std::filesystem::path& directory);

/// A log in memory with the same behaviour. Durability `memory`.
[[nodiscard]] std::unique_ptr<event_log> make_memory_log();

} // namespace acta::storage
