#pragma once

#include "derived_problem.hpp"
#include "lmdb_file.hpp"
#include "lmdb_tree.hpp"

#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace acta::storage {

/// Compares snapshots with their log: that each is whole, and of the event at its position, if that
/// was not archived. Memory: some 110 bytes a snapshot.
class snapshot_check {
public:
  /// `first` and `tail` are the log's; what is found goes to `found`.
  snapshot_check(log_position first, log_position tail, derived_sink found);

  /// Shows it an entry of the snapshots' database.
  void add(const lmdb_tree& of, const lmdb_entry& entry);
  /// After all entries: from now on records come.
  void begin_records();
  /// Shows it a record of the log, in order.
  void add(const record_view& record);
  /// After all records.
  void end();

private:
  struct snapshot {
    std::uint64_t position;
    std::uint64_t version;
    std::uint64_t event_checksum;
    std::uint64_t byte;
    stream_id stream;
  };

  void tell(const snapshot& of, const std::string& what) const;

  log_position first_;
  log_position tail_;
  derived_sink found_;
  std::vector<snapshot> all_; ///< By position, once records come.
  std::size_t next_ = 0;      ///< The first whose record has not come.
};

} // namespace acta::storage
