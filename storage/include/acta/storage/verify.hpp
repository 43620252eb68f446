#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace acta::storage {

/// What is wrong with a record.
struct finding {
  log_position position;
  std::string what; ///< Names the position, and the stream where it is known.
};

/// What verify() found.
struct verification {
  std::uint64_t records = 0; ///< Positions looked at.
  std::uint64_t streams = 0;
  std::uint64_t problems = 0;
  std::vector<finding> findings; ///< The first of the problems, as many as were asked for.
};

/// Reads a whole log, and goes on behind what is damaged: that each record is there and its parts
/// add up, its checksum, that its category and event type have names, that versions are consecutive
/// in each stream, commands whole and dates not falling. Not whether a payload is a FlatBuffer of
/// its type: the schema knows that. Of a log that opens: open_log() itself refuses one without its
/// last record or with positions missing. Streams are told apart by stream_hash(): 30 to 60 bytes
/// of memory each. An error only if the log cannot be read at all. `progress` is called with the
/// position reached, now and then, on this thread.
[[nodiscard]] result<verification> verify(const event_log& log, std::size_t max_findings = 100,
                                          const std::function<void(log_position)>& progress = {});

} // namespace acta::storage
