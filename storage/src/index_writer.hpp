#pragma once

#include "index_batch.hpp"
#include "index_key.hpp"
#include "lmdb_environment.hpp"

#include <acta/base/error.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace acta::storage {

/// Puts events into the index, in transactions that are committed when they are large: LMDB keeps
/// what a transaction has changed in memory.
class index_writer {
public:
  index_writer(const lmdb_environment& in, MDB_dbi streams, const log_snapshot& log,
               bool has_large_versions) noexcept
      : in_(in), streams_(streams), log_(log), has_large_versions_(has_large_versions) {}
  ~index_writer();
  index_writer(const index_writer&) = delete;
  index_writer& operator=(const index_writer&) = delete;

  /// Adds events to a stream, leaving out those that are there.
  [[nodiscard]] result<void> put(index_key& key, std::span<const index_batch::event> events);

  /// Puts an entry into `database` and commits.
  [[nodiscard]] result<void> finish(MDB_dbi database, MDB_val name, MDB_val value);

private:
  /// The last entry of a stream.
  struct last_entry {
    std::uint64_t first_version = 0;
    std::span<const std::byte> positions;
    bool at_end = false; ///< No key of another stream follows.
  };

  [[nodiscard]] result<void> begin();
  [[nodiscard]] result<void> commit();
  [[nodiscard]] result<std::optional<last_entry>> find_last(index_key& wanted, bool& at_end) const;
  [[nodiscard]] result<std::uint64_t> first_version(const index_batch::event& event) const;
  [[nodiscard]] std::unexpected<error> gap(const index_key& key, const index_batch::event& event,
                                           std::uint64_t expected) const;

  const lmdb_environment& in_;
  MDB_dbi streams_;
  const log_snapshot& log_;
  bool has_large_versions_;
  std::optional<lmdb_write> transaction_;
  MDB_cursor* cursor_ = nullptr;
  std::size_t streams_put_ = 0; ///< In this transaction.
};

} // namespace acta::storage
