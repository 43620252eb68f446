#pragma once

#include "file.hpp"
#include "lmdb_environment.hpp"

#include <acta/base/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace acta::storage {

/// Lets an environment commit without a sync (MDB_NOSYNC) and still open after a power loss, as it
/// was at its last sync().
///
/// Why it holds: LMDB never writes over a page that its last meta page, or an open read
/// transaction, can reach. MDB_NOSYNC breaks that for the disk: a newer meta page may be there
/// before its pages are, and the pages of the synced state are used again. So this holds a read
/// transaction at the synced state, which keeps its pages, and a copy of its meta page in the file
/// `synced` beside the data. If the machine was started since (another boot id), restore() puts
/// that meta page back. While the machine runs nothing is lost: the kernel has every write, also of
/// a process that was killed.
///
/// The file has two slots of one sector, written in turn; a slot's checksum tells a whole one. And
/// a mark where a sync failed: then restore() writes the data again.
///
/// Threads: sync() of one thread at a time, also while another thread commits.
class synced_point {
public:
  /// Before the environment is opened: takes it back if the machine was started since it was
  /// written, or syncs what a killed process left. Nothing to do where there is no such file.
  [[nodiscard]] static result<void> restore(const std::filesystem::path& directory);

  /// As restore(), for what can be made again: it is taken back to its last sync however it ended.
  /// So it need not be known whether a sync failed since, which a device that took no write at all
  /// could not be told: no page of the synced state was written after it.
  [[nodiscard]] static result<void> take_back(const std::filesystem::path& directory);

  /// For those who may not write: an error (errc::io) if restore() has something to put back.
  [[nodiscard]] static result<void> check_not_needed(const std::filesystem::path& directory);

  /// Syncs the environment, writes the file and switches syncing at commit off.
  [[nodiscard]] static result<synced_point> start(const lmdb_environment& of);

  synced_point(synced_point&& other) noexcept;
  synced_point& operator=(synced_point&&) = delete;
  /// Gives the read transactions back. The file stays: see finish().
  ~synced_point();

  /// Makes all that was committed before the call durable. After an error nothing may be committed
  /// until another call succeeds, which writes all of the data again: the kernel may have taken for
  /// written what it could not write.
  [[nodiscard]] result<void> sync();

  /// The two halves of sync(), for what may only be synced later: remembers what is committed now,
  /// in place of an earlier mark, and keeps its pages.
  [[nodiscard]] result<void> mark();
  /// Makes what was marked durable, and that alone: what was committed since is not found after a
  /// power loss. Errors as of sync(); the mark stays then, to be tried again.
  [[nodiscard]] result<void> sync_marked();

  /// The read transaction at the state that is durable.
  [[nodiscard]] MDB_txn* reader() const noexcept { return reader_; }

  /// The last sync(), after which the file is not needed: the environment ended well.
  [[nodiscard]] result<void> finish();

private:
  synced_point(const lmdb_environment& of, std::filesystem::path path, file out, file data) noexcept
      : of_(&of), path_(std::move(path)), out_(std::move(out)), data_(std::move(data)) {}

  [[nodiscard]] result<MDB_txn*> begin_at_newest(void* to) const;
  [[nodiscard]] result<void> write(const void* meta_page);

  const lmdb_environment* of_;
  std::filesystem::path path_; ///< Of the file `synced`.
  file out_;
  file data_;
  MDB_txn* reader_ = nullptr;
  MDB_txn* marked_ = nullptr;
  std::array<std::byte, lmdb_meta_size> marked_meta_{};
  std::uint64_t written_ = 0; ///< How often.
  bool has_failed_ = false;   ///< The last sync().
};

/// Extends the data file to LMDB's last page: pages that were taken and freed in one transaction
/// are not written, and a file that ends before its last page is taken for a cut one. With `ahead`
/// it has at least so many bytes behind that page then, and up to twice as many.
[[nodiscard]] result<void> fill_up(const lmdb_environment& environment, std::size_t ahead = 0);

} // namespace acta::storage
