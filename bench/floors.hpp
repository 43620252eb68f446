#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

/// What a command cannot be faster than: the log's library and the actors' library alone, doing
/// the same amount of their part of the work.
struct MDB_env;

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

/// Seconds to append the records to a new LMDB environment in `directory`, `per_transaction` at a
/// time, with LMDB's default sync: keys and flags as in an Acta store.
[[nodiscard]] double append_to_lmdb(const std::filesystem::path& directory,
                                    const record_bytes& records, std::size_t per_transaction);

/// Transactions of one record of 128 bytes each, into a new LMDB environment.
class single_commits {
public:
  /// `synced`: with LMDB's default sync, or else with MDB_NOSYNC.
  single_commits(const std::filesystem::path& directory, bool synced);
  ~single_commits();
  single_commits(const single_commits&) = delete;
  single_commits& operator=(const single_commits&) = delete;

  /// Does one, and returns how long it took from begin to commit, in microseconds.
  [[nodiscard]] double commit_us();

private:
  unsigned events_ = 0; // before env_, whose making sets it
  MDB_env* env_ = nullptr;
  std::uint64_t position_ = 0;
};

/// Seconds to send a message to one of `actors` event-based CAF actors for each of `keys`, from one
/// thread, with at most `window` not handled yet, until the last is handled by CAF's one worker
/// (work sharing). The actors are spawned before.
[[nodiscard]] double send_through_caf(std::size_t actors, const std::vector<std::uint32_t>& keys,
                                      std::size_t window);

} // namespace acta::bench
