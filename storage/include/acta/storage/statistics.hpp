#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace acta::storage {

/// A read transaction that is open on a log. What was freed since it began cannot be used again.
struct open_reader {
  std::int64_t process = 0;
  std::uint64_t transaction = 0; ///< The one whose state it sees.
  std::uint64_t behind = 0;      ///< Transactions committed since.
};

/// What a log on disk is made of, at one moment.
struct log_statistics {
  std::string store_id; ///< 32 hexadecimal digits.
  std::int64_t created_at_ns = 0;
  std::uint64_t events = 0;
  log_position first; ///< 1, until the beginning of the log is archived.
  log_position tail;
  std::optional<std::int64_t> first_recorded_at_ns; ///< Empty if there are no events.
  std::optional<std::int64_t> last_recorded_at_ns;

  std::size_t page_size = 0;      ///< Bytes.
  std::uint64_t event_pages = 0;  ///< Of the tree of events.
  std::uint64_t free_pages = 0;   ///< That LMDB may use again, once no reader needs them.
  std::uint64_t used_pages = 0;   ///< Of the file: of events, free and all others.
  std::uint64_t file_size = 0;    ///< Bytes.
  std::uint64_t map_size = 0;     ///< Bytes the log may grow to, as it is open here.
  std::uint64_t transactions = 0; ///< Number of the last one.
  std::size_t readers_in_use = 0; ///< Slots taken, of all processes; also by idle ones.
  std::size_t max_readers = 0;
  std::size_t stale_readers = 0; ///< Slots of processes that are gone: cleared by this call.
  std::optional<open_reader> oldest_reader;
};

/// Cheap, but for the free pages: a read of a page of LMDB's list for some 500 of them. The log may
/// be open for writing or for reading. errc::invalid_argument for a log in memory.
[[nodiscard]] result<log_statistics> statistics(const event_log& log);

/// How many records of a category, or an event type, there are.
struct record_count {
  std::string name; ///< "#7" if number 7 has none.
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;   ///< Of records, without what LMDB needs around them.
  std::uint64_t streams = 0; ///< Begun in this log: records of version 1. Of a category only.
};

struct record_counts {
  std::vector<record_count> categories;  ///< In order of their numbers; those with records.
  std::vector<record_count> event_types; ///< As above.
};

/// Counts by reading the whole log. `progress` is called with the position reached, now and then,
/// on this thread.
[[nodiscard]] result<record_counts>
count_records(const event_log& log, const std::function<void(log_position)>& progress = {});

} // namespace acta::storage
