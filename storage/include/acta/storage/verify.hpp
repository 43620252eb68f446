#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace acta::storage {

/// Something that is wrong with a store, and where.
struct finding {
  log_position position;             ///< 0 if it is of no record; the first, if of several.
  std::string what;                  ///< One line. Names the position, and the stream if known.
  std::optional<stream_id> stream{}; ///< Of the record, where it is known.
  std::string file{};                ///< In the store: "log/data.mdb"; empty from verify().
  std::uint64_t byte = 0;            ///< In the file: where the damaged page or record begins.
};

/// What verify() or verify_store() found.
struct verification {
  std::uint64_t records = 0; ///< Positions looked at.
  std::uint64_t streams = 0;
  std::uint64_t pages = 0; ///< Pages of LMDB's files looked at; 0 from verify().
  std::uint64_t problems = 0;
  std::vector<finding> findings; ///< The first of the problems, as many as were asked for.
};

/// Reads a whole log, and goes on behind what is damaged: that each record is there and its parts
/// add up, its checksum, that its category and event type have names, that versions are consecutive
/// in each stream, commands whole and dates not falling, and that payloads are FlatBuffers of their
/// types, where the store has the schemas. Of a log that opens: verify_store() reads one that does
/// not. Streams are told apart by stream_hash(): 30 to 60 bytes of memory each. An error only if
/// the log cannot be read at all. `progress` is called with the position reached, now and then, on
/// this thread.
[[nodiscard]] result<verification> verify(const event_log& log, std::size_t max_findings = 100,
                                          const std::function<void(log_position)>& progress = {});

struct verify_options {
  /// How many findings are kept; all are counted.
  std::size_t max_findings = 100;
  /// Called with the records looked at and how many there should be, now and then, on this thread.
  std::function<void(std::uint64_t done, std::uint64_t of)> progress{};
};

/// Reads a store that nobody has open straight from its files, without LMDB, which trusts what it
/// reads and is killed by a damaged page. Also one that open_log() refuses, whatever its bytes are.
/// Checks what verify() does, and store.id, the log's dictionary, and each page of the log and of
/// `index` and `snapshots` where they are. Where no page of theirs and nothing in the log is
/// damaged, also what they say: that the index has each event through its watermark with its
/// stream, version and position, and no other, and that its watermark is one of this log; that each
/// snapshot is whole and of the event at its position; and of `timers`, that it is of this log and
/// its timers were set by events that there are. A finding in them costs no event: removing the
/// directory or file is the way out, as it says. Takes the store back to its last sync first, if
/// the machine went down while it was open at durability `process`, as opening it does.
///
/// Errors, if it cannot be read at all: errc::store_in_use (make a backup, and verify that),
/// not_found if there is no directory, permission_denied, io. Memory: as verify(), a bit a page, a
/// bit for each event that the index does not have yet, 110 bytes a snapshot, and some 32 MiB.
/// Reads each file once; the log and the index once more if they differ.
///
///     auto done = verify_store(directory);
///     if (!done) return failure(done);
///     for (const auto& found : done->findings) report(found.what);
[[nodiscard]] result<verification> verify_store(const std::filesystem::path& directory,
                                                const verify_options& options = {});

} // namespace acta::storage
