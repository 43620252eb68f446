#pragma once

#include <acta/base/error.hpp>

#include <lmdb.h>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace acta::storage {

/// The part of a meta page that LMDB 0.9 writes: its page header and MDB_meta. Within one sector.
inline constexpr std::size_t lmdb_meta_size = 152;
inline constexpr std::size_t lmdb_txn_id_offset = 144; ///< mm_txnid, its last field.

/// The folder in an environment's directory where a copy of its data file is made, to be renamed
/// over it: see compact().
inline constexpr const char* compacting_name = "compacting";

struct lmdb_options {
  /// Bytes of address space, in whole pages. 0: that of whoever writes it, or the default of
  /// log_options, whichever is more.
  std::size_t map_size;
  unsigned flags = 0; ///< Of mdb_env_open(), besides MDB_NOTLS.
};

/// An LMDB environment in a directory of its own. MDB_NOTLS, so that a read transaction may move
/// between threads; no MDB_WRITEMAP.
class lmdb_environment {
public:
  /// The directory must exist. Opened for writing, what a compaction left unfinished is removed.
  /// errc::corrupt if the file is shorter than its last commit.
  [[nodiscard]] static result<lmdb_environment> open(const std::filesystem::path& directory,
                                                     const lmdb_options& options);

  /// Makes what is seen of it durable. To be called before the first commit, and before anybody is
  /// told of what is in it.
  [[nodiscard]] result<void> make_durable() const;

  [[nodiscard]] MDB_env* get() const noexcept { return environment_.get(); }
  /// Of its data file.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  struct closer {
    void operator()(MDB_env* environment) const noexcept { mdb_env_close(environment); }
  };

  lmdb_environment(std::filesystem::path path, MDB_env* environment)
      : path_(std::move(path)), environment_(environment) {}

  [[nodiscard]] result<void> widen(std::size_t map_size) const;
  [[nodiscard]] result<void> check_size() const;

  std::filesystem::path path_;
  std::unique_ptr<MDB_env, closer> environment_;
};

/// A write transaction that is aborted unless it was committed.
class lmdb_write {
public:
  [[nodiscard]] static result<lmdb_write> begin(const lmdb_environment& in);
  lmdb_write(lmdb_write&& other) noexcept
      : in_(other.in_), transaction_(std::exchange(other.transaction_, nullptr)) {}
  lmdb_write& operator=(lmdb_write&&) = delete;
  ~lmdb_write() {
    if (transaction_ != nullptr)
      mdb_txn_abort(transaction_);
  }

  [[nodiscard]] MDB_txn* get() const noexcept { return transaction_; }
  [[nodiscard]] result<void> commit();

private:
  lmdb_write(const lmdb_environment& in, MDB_txn* transaction) noexcept
      : in_(&in), transaction_(transaction) {}

  const lmdb_environment* in_;
  MDB_txn* transaction_;
};

/// Read transactions of an environment, used again: beginning one anew takes a lock and a slot. The
/// environment must outlive this. Threads: any.
class lmdb_readers {
public:
  explicit lmdb_readers(const lmdb_environment& of) noexcept : of_(&of) {}
  /// All must have been given back.
  ~lmdb_readers();
  lmdb_readers(const lmdb_readers&) = delete;
  lmdb_readers& operator=(const lmdb_readers&) = delete;

  /// A read transaction at the newest state. errc::overloaded if there are limits::max_readers.
  [[nodiscard]] result<MDB_txn*> begin() const;
  void end(MDB_txn* reader) const noexcept;

private:
  const lmdb_environment* of_;
  mutable std::mutex mutex_;
  mutable std::vector<MDB_txn*> idle_; ///< Reset: they keep a reader slot, and no pages.
  mutable std::atomic<int> open_{0};
};

} // namespace acta::storage
