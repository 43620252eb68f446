#include "lmdb_environment.hpp"

#include "file.hpp"
#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace acta::storage {

namespace {

constexpr mdb_mode_t file_mode = 0644;
constexpr MDB_dbi max_databases = 4;

} // namespace

result<lmdb_environment> lmdb_environment::open(const std::filesystem::path& directory,
                                                const lmdb_options& options) {
  std::error_code unremovable;
  if ((options.flags & MDB_RDONLY) == 0)
    std::filesystem::remove_all(directory / compacting_name, unremovable);
  if (unremovable)
    return system_failure(unremovable.value(), directory / compacting_name, "removing it");
  MDB_env* raw = nullptr;
  if (const int code = mdb_env_create(&raw); code != MDB_SUCCESS)
    return lmdb_failure(code, directory, "making an environment");
  lmdb_environment made(directory / "data.mdb", raw);
  int code = options.map_size != 0 ? mdb_env_set_mapsize(raw, options.map_size) : MDB_SUCCESS;
  if (code == MDB_SUCCESS)
    code = mdb_env_set_maxdbs(raw, max_databases);
  if (code == MDB_SUCCESS)
    code = mdb_env_set_maxreaders(raw, limits::max_readers);
  if (code == MDB_SUCCESS)
    code = mdb_env_open(raw, directory.c_str(), options.flags | MDB_NOTLS, file_mode);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, made.path_, "open");
  if (options.map_size == 0)
    if (auto widened = made.widen(limits::default_map_size); !widened)
      return failure(widened);
  if (auto whole = made.check_size(); !whole)
    return failure(whole);
  return made;
}

/// LMDB has taken the size that is in the file. Its writer may have another by now.
result<void> lmdb_environment::widen(std::size_t map_size) const {
  MDB_envinfo info{};
  mdb_env_info(get(), &info);
  const int code = info.me_mapsize < map_size ? mdb_env_set_mapsize(get(), map_size) : MDB_SUCCESS;
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "mapping it");
  mdb_env_info(get(), &info);
  ensure(info.me_mapsize >= map_size, "a map that was widened is as large as asked for");
  return {};
}

/// LMDB reads through a map, so that a page beyond the end of the file would be a SIGBUS and no
/// error. A commit writes every page up to its last one, as long as nothing is deleted; where
/// something is, the file is made longer first (see fill_up()). So one that is shorter has been
/// cut.
result<void> lmdb_environment::check_size() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(get(), &info);
  mdb_env_stat(get(), &stat);
  std::error_code unreadable;
  const auto size = std::filesystem::file_size(path_, unreadable);
  const auto needed = (info.me_last_pgno + 1) * stat.ms_psize;
  if (unreadable)
    return system_failure(unreadable.value(), path_, "looking at its size");
  if (size < needed)
    return failure(errc::corrupt, fmt::format("'{}' was cut short: it has {} bytes, and its last "
                                              "commit {}; restore a backup",
                                              path_.string(), size, needed));
  return {};
}

/// A process that was killed in its last sync, or whose last sync failed, leaves a meta page with
/// the kernel that the disk does not have. After a failure the kernel even takes it for written,
/// and a sync alone would do nothing: so both are written again, as they are.
result<void> lmdb_environment::make_durable() const {
  const file data(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  if (!data.is_open())
    return system_failure(errno, path_, "open for writing");
  MDB_stat stat{};
  mdb_env_stat(get(), &stat);
  ensure(stat.ms_psize >= lmdb_meta_size, "a meta page holds what LMDB writes of it");
  for (off_t number = 0; number < 2; ++number) {
    std::array<std::byte, lmdb_meta_size> meta{};
    const auto at = number * static_cast<off_t>(stat.ms_psize);
    auto done = ::pread(data.descriptor(), meta.data(), meta.size(), at);
    if (done == static_cast<ssize_t>(meta.size()))
      done = ::pwrite(data.descriptor(), meta.data(), meta.size(), at);
    if (done != static_cast<ssize_t>(meta.size()))
      return system_failure(done < 0 ? errno : EIO, path_, "writing its meta pages again");
  }
  if (::fdatasync(data.descriptor()) != 0)
    return system_failure(errno, path_, "sync");
  return {};
}

result<lmdb_write> lmdb_write::begin(const lmdb_environment& in) {
  MDB_txn* transaction = nullptr;
  if (const int code = mdb_txn_begin(in.get(), nullptr, 0, &transaction); code != MDB_SUCCESS)
    return lmdb_failure(code, in.path(), "a write transaction");
  return lmdb_write(in, transaction);
}

result<void> lmdb_write::commit() {
  ensure(transaction_ != nullptr, "a transaction is committed once");
  const int code = mdb_txn_commit(std::exchange(transaction_, nullptr)); // gone either way
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, in_->path(), "commit");
  return {};
}

lmdb_readers::~lmdb_readers() {
  ensure(open_.load(std::memory_order_acquire) == 0, "a store was closed before a reader of it");
  for (auto* idle : idle_)
    mdb_txn_abort(idle);
}

result<MDB_txn*> lmdb_readers::begin() const {
  MDB_txn* reader = nullptr;
  {
    const std::lock_guard guard(mutex_);
    if (!idle_.empty()) {
      reader = idle_.back();
      idle_.pop_back();
    }
  }
  const int code = reader != nullptr ? mdb_txn_renew(reader)
                                     : mdb_txn_begin(of_->get(), nullptr, MDB_RDONLY, &reader);
  if (code != MDB_SUCCESS) {
    if (reader != nullptr)
      mdb_txn_abort(reader);
    return lmdb_failure(code, of_->path(), "a read transaction");
  }
  open_.fetch_add(1, std::memory_order_relaxed);
  return reader;
}

void lmdb_readers::end(MDB_txn* reader) const noexcept {
  ensure(reader != nullptr, "what is given back was begun");
  mdb_txn_reset(reader);
  {
    const std::lock_guard guard(mutex_);
    idle_.push_back(reader);
  }
  open_.fetch_sub(1, std::memory_order_release);
}

} // namespace acta::storage
