#pragma once

#include "derived_problem.hpp"
#include "index_tie.hpp"
#include "lmdb_file.hpp"
#include "lmdb_tree.hpp"

#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::storage {

/// Compares an index with its log: that it has each event through its watermark, once, with its
/// stream and version, and none that the log does not have. What the log has archived is left out.
///
/// How, in memory that does not grow with them: the log is in the order of positions, the index in
/// that of streams. Each event has a hash of its stream, version and position; both sides add up
/// theirs, in 1,024 to 65,536 parts, by how many events the log has, that an event is in by its
/// stream and version. Parts whose sums are the same have the same events (but for one in 2^64). Of
/// those that differ, both files are read once more, and the events of as many parts as fit the
/// memory are compared one by one.
///
/// Memory: 32 KiB to 2 MiB, and a bit for each event behind the watermark; where something differs,
/// some 30 MiB more.
class index_check {
public:
  /// `store_id`, `first` and `tail` are the log's; what is found goes to `found`.
  index_check(std::string_view store_id, log_position first, log_position tail, derived_sink found);

  /// Shows it an entry of the index's databases, in order.
  void add(const lmdb_tree& of, const lmdb_entry& entry);
  /// Shows it a record of the log, in order. After all entries.
  void add(const record_view& record);

  /// Shows all records, or all entries, once more.
  struct again {
    std::function<void(const std::function<void(const record_view&)>&)> records;
    std::function<void(const std::function<void(const lmdb_tree&, const lmdb_entry&)>&)> entries;
  };
  /// After all of both.
  void compare(const again& sources);

private:
  struct event {
    stream_id stream;
    std::uint64_t hash; ///< Of the stream.
    std::uint64_t version;
    std::uint64_t position;
    std::uint64_t byte; ///< Of its entry.
  };
  struct part {
    std::uint64_t sum = 0; ///< Of the log's events, less those of the index.
    std::uint64_t in_log = 0;
    std::uint64_t in_index = 0;
    bool chosen = false;
  };
  /// Also for a log of few events: a damaged index may have many more.
  static constexpr std::size_t min_parts = 1'024;
  static constexpr std::size_t max_parts = 65'536;
  static constexpr std::uint64_t max_compared = 131'072; ///< Events.

  void read_tie(const lmdb_entry& entry);
  void read_entry(const lmdb_entry& entry);
  [[nodiscard]] bool is_counted(std::uint64_t position) const;
  [[nodiscard]] std::size_t part_of(std::uint64_t stream, std::uint64_t version) const noexcept;
  [[nodiscard]] std::uint64_t choose_parts();
  void compare(std::vector<event>& log, std::vector<event>& index) const;
  void tell(const event& of, const std::string& what) const;

  std::string store_id_;
  std::uint64_t first_;
  std::uint64_t tail_;
  derived_sink found_;
  std::optional<index_tie> tie_; ///< Empty if there is none that can be used.
  bool has_tie_ = false;
  bool is_tied_ = false;     ///< The record at its watermark is the one it was built from.
  std::vector<bool> behind_; ///< Which positions behind the watermark the index has.
  std::vector<part> parts_;
};

} // namespace acta::storage
