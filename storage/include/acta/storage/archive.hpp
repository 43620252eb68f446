#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>

namespace acta::storage {

struct archive_options {
  /// Called with the records copied and how many there are to copy, now and then, on this thread.
  std::function<void(std::uint64_t done, std::uint64_t of)> progress{};
};

/// What archive() did.
struct archive_result {
  log_position first;         ///< The log begins here now.
  std::uint64_t archived = 0; ///< Records that were taken out of the log by this call.
  std::size_t truncated = 0;  ///< Streams that were truncated at their state to make way.
  std::size_t carried = 0;    ///< Truncations that were stored again, at the log's end.
};

/// Moves the records before position `before` out of the log in `directory`, which nobody may have
/// open, into the store `into`. Where `before` is within a command, the whole of it stays. What the
/// records took of the log's file is free for what is appended from then on; the file does not get
/// smaller. Positions, versions and receipts stay as they are, and the log begins at
/// log_snapshot::first().
///
/// `into` is a store of the same id, as back_up() makes one: new, or one that this store was
/// archived or backed up into before, which is continued. It is read with open_log_for_reading(),
/// and verified with verify_store(), like any other.
///
/// No stream may lose events that it still needs: of each that has events before `before`, these
/// must all be truncated (stream_writer::truncate(), remove()), or be in its state: one that was
/// kept with its truncation, or its newest snapshot, which is then stored in the log, and the
/// stream truncated there, in a commit of its own. Whether a program of now can load that snapshot
/// is not known here, and it will have no other (schema_version, repeat_window). Else nothing is
/// archived: errc::invalid_argument says how many streams are in the way, and names some.
///
/// Crash-safe and resumable: nothing is deleted before all of it has been copied, synced, and read
/// back from `into` byte for byte, and it is deleted from the front in steps, each of which leaves
/// a whole log. After an error or a crash call it again. Takes memory for each stream that has
/// events before `before`, some 150 bytes.
///
/// Errors: not_found if there is no store; invalid_argument for a `before` beyond the log's end,
/// and an `into` that is another store or lies in this one; too_large for a snapshot over the limit
/// of an event; corrupt names a record that is damaged, in either; and those of open_log(),
/// back_up() and append().
///
///     auto done = archive("orders", log_position(1'000'000), "/mnt/archive/orders");
///     if (!done) return failure(done);
[[nodiscard]] result<archive_result> archive(const std::filesystem::path& directory,
                                             log_position before, const std::filesystem::path& into,
                                             const archive_options& options = {});

} // namespace acta::storage
