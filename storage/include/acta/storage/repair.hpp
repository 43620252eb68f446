#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/verify.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace acta::storage {

/// A record that a repaired log does not have.
struct lost_record {
  log_position position;
  std::optional<stream_id> stream{}; ///< Empty if the record does not read.
  std::string event_type{};          ///< Its name; empty as above, or if it has none.
};

struct repair_options {
  /// How many lost records are listed; all are counted.
  std::size_t max_lost = 10'000;
  /// Called with the records looked at and how many there should be, now and then, on this thread.
  std::function<void(std::uint64_t done, std::uint64_t of)> progress{};
};

/// What repair_log() kept, and what it did not.
struct repaired_log {
  log_position kept;          ///< The new store has the records up to this one.
  std::uint64_t lost = 0;     ///< Records behind it.
  std::uint64_t readable = 0; ///< Of the lost: those that still read, in the damaged store.
  std::vector<lost_record> lost_records; ///< The first of them, in order of position.
  verification found;                    ///< What was wrong with the damaged log.
};

/// Makes a new store `into` (a directory that is not there, or empty) of the good prefix of the log
/// in `directory`: each record before the first that is damaged, missing or does not fit the ones
/// before it, up to the end of a whole command. Records are copied byte for byte, and so is the
/// rest of what the log says of itself (categories, event types, schemas); the new store has an id
/// of its own. A name that is damaged is kept as it reads, one that is lost gets a made-up one;
/// both are in `found`, as is what else was damaged and left out. Nothing derived (index,
/// snapshots) is copied: opening makes it anew. Of a log whose beginning was archived, what was
/// truncated is told at the end, where it may be lost: such streams have no beginning then.
///
/// The damaged store is read as verify_store() does it, and not written but for what is said there
/// of a machine that went down. Where that gives more, it is read as it was before its last commit.
/// Errors: as verify_store(), and errc::invalid_argument
/// if `into` has anything in it; corrupt if nothing says where the records are; newer_format,
/// foreign_store; those of writing, after which `into` is of no use.
///
///     auto repaired = repair_log(damaged, fresh);
///     if (!repaired) return failure(repaired);
///     for (const auto& lost : repaired->lost_records) list(lost.position, lost.event_type);
[[nodiscard]] result<repaired_log> repair_log(const std::filesystem::path& directory,
                                              const std::filesystem::path& into,
                                              const repair_options& options = {});

} // namespace acta::storage
