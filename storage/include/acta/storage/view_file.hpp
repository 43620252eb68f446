#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace acta::storage {

/// Which view of a store: part `part` of `parts` of the view `name`, built as `version` says.
struct view_identity {
  std::string name; ///< 1 to 100 of [a-z0-9_].
  std::uint32_t version = 1;
  std::uint32_t part = 0;
  std::uint32_t parts = 1;

  /// "revenue@1", "revenue@1.0of4": its directory in `<store>/views`.
  [[nodiscard]] std::string label() const;
};

/// One state of a view: keys in the order of their bytes, each with a value. Valid during the call
/// that it is given to, and so are the bytes that it shows; of that call's thread.
///
/// Keys: 8 to limits::max_view_key bytes, a multiple of 8, as values are then aligned to 8 bytes:
/// FlatBuffers are read where they lie. Values are handed back with zeros added up to a multiple of
/// 8.
class view_reader {
public:
  using bytes = std::span<const std::byte>;
  /// False: that was enough.
  using look = std::function<bool(bytes key, bytes value)>;

  view_reader(const view_reader&) = delete;
  view_reader& operator=(const view_reader&) = delete;
  virtual ~view_reader() = default;

  /// The checkpoint of this state.
  [[nodiscard]] virtual log_position position() const noexcept = 0;
  /// The value of a key; empty if there is none.
  [[nodiscard]] virtual result<std::optional<bytes>> get(bytes key) const = 0;
  /// Shows what has keys from `from` on and before `to` (any bytes; an empty `to` is the end), in
  /// their order or, backward, the other way round. `show` must not change the view.
  [[nodiscard]] virtual result<void> scan(bytes from, bytes to, direction way,
                                          const look& show) const = 0;

protected:
  view_reader() = default;
};

/// The same within a change, which it sees. What get() returned is valid until the next put() or
/// erase().
class view_writer : public view_reader {
public:
  /// In place of the value there is. errc::too_large: over limits::max_view_key or max_view_value.
  [[nodiscard]] virtual result<void> put(bytes key, bytes value) = 0;
  /// True if there was one.
  [[nodiscard]] virtual result<bool> erase(bytes key) = 0;
};

/// A view on disk: an LMDB environment in `<store>/views/<label>`, with the position of the log
/// that it was built through, its checkpoint. Derived: its directory may be removed whenever the
/// store is closed, and the view is made anew then.
///
/// Threads: write() and clear() of one thread at a time; read() of any, which waits for nobody and
/// nobody for it. A read that takes long keeps old pages from reuse, and the file grows.
///
/// Durability: no write waits for the device. It is synced every limits::view_sync_every writes, up
/// to where the log is synced by then, so that it is never ahead of the log; when it was not closed
/// it is taken back to its last sync, and the events since are applied again.
///
/// Errors name the file. corrupt: it is damaged, of another store, ahead of the log or of another
/// past; the message names the directory to be removed. not_found: its file was removed or replaced
/// since it was opened. no_space, io: nothing of a write is seen, and a later one may succeed. Only
/// where the device fails on the page that commits, which needs no room, must it be closed and
/// opened again: the message says so.
///
///     auto view = storage::open_view(*log, {.name = "revenue"});
///     if (!view) return failure(view);
///     auto done = (*view)->write(reached, [&](auto& to) { return to.put(key, value); });
class view_file {
public:
  view_file(const view_file&) = delete;
  view_file& operator=(const view_file&) = delete;
  /// No read may be under way. Needs the log no more.
  virtual ~view_file() = default;

  /// The checkpoint; 0: nothing was applied yet. Of the thread that writes.
  [[nodiscard]] virtual log_position position() const noexcept = 0;

  /// Calls `look` with the newest state. errc::overloaded: limits::max_readers are under way.
  using reading = std::function<result<void>(const view_reader&)>;
  [[nodiscard]] virtual result<void> read(const reading& look) const = 0;

  /// Does what `change` does, and moves the checkpoint to `reached` (0: it stays), in one
  /// transaction: all of it or, where `change` fails or throws, nothing. invalid_argument:
  /// `reached` is behind the checkpoint, or not in the log.
  using writing = std::function<result<void>(view_writer&)>;
  [[nodiscard]] virtual result<void> write(log_position reached, const writing& change) = 0;

  /// Removes all there is, and the checkpoint, in one transaction; synced when it returns.
  [[nodiscard]] virtual result<void> clear() = 0;

protected:
  view_file() = default;
};

/// Opens a view of a log, or makes it. The log must be open for writing and outlive all writes.
/// Errors: invalid_argument for a name that is none, and a log without a directory; store_in_use if
/// it is open; and those above.
[[nodiscard]] result<std::unique_ptr<view_file>> open_view(const event_log& of,
                                                           const view_identity& which);

} // namespace acta::storage
