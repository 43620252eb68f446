#pragma once

#include <acta/storage/event_log.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <thread>
#include <vector>

/// What a command cannot be faster than: the log's library and the actors' library alone, doing
/// the same amount of their part of the work.
struct MDB_env;
struct MDB_txn;

namespace acta::bench {

/// The records of a log, copied, each 8-byte aligned.
class record_bytes {
public:
  void add(std::span<const std::byte> record);
  [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
  [[nodiscard]] std::span<const std::byte> operator[](std::size_t index) const noexcept {
    const auto begin = index == 0 ? 0 : ends_[index - 1];
    return std::span(bytes_).subspan(begin, ends_[index] - begin);
  }

private:
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> ends_;
};

/// Those of a whole log.
[[nodiscard]] record_bytes records_of(const storage::event_log& log);

/// Seconds to append the records to a new LMDB environment in `directory`, `per_transaction` at a
/// time, with LMDB's default sync: keys and flags as in an Acta store.
[[nodiscard]] double append_to_lmdb(const std::filesystem::path& directory,
                                    const record_bytes& records, std::size_t per_transaction);

/// Events a second that a bare cursor reads of the log in `directory`, in the page cache: each
/// record's first eight bytes. Nothing else may have it open. Sets how many there are.
[[nodiscard]] double scan_lmdb(const std::filesystem::path& directory, std::uint64_t& events);

/// What a bare commit does for durability.
enum class commit_kind {
  synced, ///< LMDB's default.
  plain,  ///< MDB_NOSYNC.
  /// MDB_NOSYNC, and a reader holds a state for some 10 ms, then the newest: as durability
  /// `process` holds the last one that was synced, whose pages LMDB would write over otherwise.
  holding,
  /// The same, and a thread of its own syncs every limits::default_sync_every: what `process` does.
  synced_behind,
};

/// Transactions of one record of 128 bytes each, into a new LMDB environment.
class single_commits {
public:
  single_commits(const std::filesystem::path& directory, commit_kind kind);
  ~single_commits();
  single_commits(const single_commits&) = delete;
  single_commits& operator=(const single_commits&) = delete;

  /// Does one, and returns how long it took from begin to commit, in microseconds.
  [[nodiscard]] double commit_us();

private:
  unsigned events_ = 0; // before env_, whose making sets it
  MDB_env* env_ = nullptr;
  MDB_txn* held_ = nullptr;
  std::uint64_t position_ = 0;
  std::atomic<bool> is_dirty_{false};
  std::jthread syncs_; // ends first
};

/// Seconds to send a message to one of `actors` event-based CAF actors for each of `keys`, from one
/// thread, with at most `window` not handled yet, until the last is handled by CAF's one worker
/// (work sharing). The actors are spawned before.
[[nodiscard]] double send_through_caf(std::size_t actors, const std::vector<std::uint32_t>& keys,
                                      std::size_t window);

} // namespace acta::bench
