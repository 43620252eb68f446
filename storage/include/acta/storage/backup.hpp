#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <filesystem>
#include <functional>

namespace acta::storage {

/// What back_up() did.
struct backup_result {
  log_position before; ///< The backup had the records up to this one; 0 if it had none.
  log_position after;  ///< And now has them up to this one.
};

/// Copies a store that may be written meanwhile, by this process or (a log of
/// open_log_for_reading()) by another, into `directory`: a store of the same id, names, schemas and
/// records, byte for byte. It is the store as it was when this was called; of one at durability
/// `process` that is open here, as far as it was synced.
///
/// Resumable and incremental: the copy grows by whole commands and is a store at each moment, also
/// after a crash or an error; called again, this goes on behind the last record that is there. To
/// restore, copy the directory, back it up into another one, or open it.
///
/// Verified: each record's checksum before it is copied, and after each commit what was written is
/// read back and compared. An old part of the backup is not read again: verify() does that.
///
/// Of a log whose beginning was archived, a new backup has what is left, and an older one, which
/// has what was archived since, goes on if it reaches that far. Until this has returned, a
/// new one does not open: what was truncated is told at the end of such a log.
///
/// Errors: corrupt names a record of the store that is damaged; the backup ends before it.
/// invalid_argument if the directory is another store, has more than this one, or ends in another
/// record: then one of them was written since, and a new directory is needed; or for a log in
/// memory. store_in_use if the backup is open. Also those of open_log() and append().
///
/// `progress` is called with the position reached and the one to reach, on this thread.
///
///     auto log = open_log_for_reading("orders");
///     auto done = back_up(**log, "/mnt/backup/orders");
[[nodiscard]] result<backup_result>
back_up(const event_log& log, const std::filesystem::path& directory,
        const std::function<void(log_position, log_position)>& progress = {});

} // namespace acta::storage
