#include "synced_point.hpp"

#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace acta::storage {

namespace {

using meta_page = std::array<std::byte, lmdb_meta_size>;

struct slot {
  std::array<char, 8> magic{'A', 'C', 'T', 'A', 'S', 'Y', 'N', 'C'};
  std::uint64_t written = 0; ///< The newer slot has the greater.
  std::array<char, 40> boot_id{};
  meta_page meta{};
  std::uint64_t page_size = 0;
  std::uint64_t checksum = 0; ///< XXH3-64 of what is before it.
};
static_assert(sizeof(slot) == 224, "a slot lies within one sector of 512 bytes");
constexpr off_t slot_distance = 4096;

/// Between the slots, where a sync failed. With the kernel only: after a power loss the slots
/// count.
using failure_mark = std::array<char, 8>;
constexpr failure_mark failed{'N', 'O', 'T', 'S', 'Y', 'N', 'C', 'D'};
constexpr off_t failed_at = slot_distance / 2;

[[nodiscard]] std::uint64_t checksum_of(const slot& of) noexcept {
  return XXH3_64bits(&of, offsetof(slot, checksum));
}

[[nodiscard]] std::uint64_t txn_id_in(const meta_page& meta) noexcept {
  std::uint64_t id = 0;
  std::memcpy(&id, meta.data() + lmdb_txn_id_offset, sizeof id);
  return id;
}

/// Changes with every start of the machine.
[[nodiscard]] result<std::array<char, 40>> boot_id() {
  const char* path = "/proc/sys/kernel/random/boot_id";
  std::array<char, 40> id{};
  const file in(::open(path, O_RDONLY | O_CLOEXEC));
  if (!in.is_open() || ::read(in.descriptor(), id.data(), id.size() - 1) < 36)
    return system_failure(in.is_open() ? EIO : errno, path,
                          "reading it, which durability `process` needs,");
  return id;
}

[[nodiscard]] std::filesystem::path path_in(const std::filesystem::path& directory) {
  return directory / "synced";
}

[[nodiscard]] std::optional<slot> read_slot(const file& in, off_t at) noexcept {
  slot read;
  if (::pread(in.descriptor(), &read, sizeof read, at) != static_cast<ssize_t>(sizeof read)
      || read.magic != slot{}.magic || read.checksum != checksum_of(read))
    return std::nullopt;
  return read;
}

/// The newest whole slot. None: the file was being made, when everything was synced.
[[nodiscard]] std::optional<slot> newest_slot(const file& in) noexcept {
  auto first = read_slot(in, 0);
  auto second = read_slot(in, slot_distance);
  if (first && second)
    return first->written > second->written ? first : second;
  return first ? first : second;
}

[[nodiscard]] result<void> sync_file(const file& out, const std::filesystem::path& path) {
  if (::fdatasync(out.descriptor()) != 0)
    return system_failure(errno, path, "sync");
  return {};
}

/// As the sync of `data` failed, the kernel may take for written what it could not write, and
/// another sync would do nothing: whoever opens the store next must write it again.
void mark_failed(const file& out) noexcept {
  // Where this fails too there is nothing more to be done; the failed sync is reported anyway.
  (void)::pwrite(out.descriptor(), failed.data(), failed.size(), failed_at);
}

[[nodiscard]] bool has_failed(const file& in) noexcept {
  failure_mark read{};
  return ::pread(in.descriptor(), read.data(), read.size(), failed_at)
           == static_cast<ssize_t>(read.size())
         && read == failed;
}

/// Writes all of a file again as it is, so that a sync covers it.
[[nodiscard]] result<void> write_again(const file& data, const std::filesystem::path& path) {
  ensure(data.is_open(), "what is written again is open for writing");
  std::vector<std::byte> bytes(std::size_t{1} << 20U);
  for (off_t at = 0;;) {
    const auto size = ::pread(data.descriptor(), bytes.data(), bytes.size(), at);
    if (size == 0)
      return {};
    const auto written =
      size < 0 ? -1 : ::pwrite(data.descriptor(), bytes.data(), static_cast<std::size_t>(size), at);
    if (written < 0 || written != size)
      return system_failure(written < 0 ? errno : ENOSPC, path, "writing it again");
    at += written;
  }
}

/// In both places, so that no newer one is left.
[[nodiscard]] result<void> put_back(const slot& saved, const file& data,
                                    const std::filesystem::path& path) {
  for (std::uint64_t number = 0; number < 2; ++number) {
    auto meta = saved.meta;
    ensure(saved.page_size >= meta.size(), "a slot with a whole checksum has what was written");
    std::memcpy(meta.data(), &number, sizeof number); // its page number comes first
    const auto at = static_cast<off_t>(number * saved.page_size);
    const auto written = ::pwrite(data.descriptor(), meta.data(), meta.size(), at);
    if (written != static_cast<ssize_t>(meta.size()))
      return system_failure(written < 0 ? errno : ENOSPC, path, "taking it back to its last sync");
  }
  return {};
}

[[nodiscard]] result<void> remove_synced(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return system_failure(errno, path, "removing it");
  const auto parent = path.parent_path();
  const file directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || (::fsync(directory.descriptor()) != 0 && errno != EINVAL))
    return system_failure(errno, parent, "sync"); // found again, it would take back what comes now
  return {};
}

} // namespace

namespace {

/// Whether what the kernel has of commits after the last sync is kept.
enum class after_last_sync : std::uint8_t { kept_within_a_boot, dropped };

[[nodiscard]] result<void> restore_file(const std::filesystem::path& directory,
                                        after_last_sync commits) {
  const auto path = path_in(directory);
  const auto data_path = directory / "data.mdb";
  const file in(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!in.is_open())
    return errno == ENOENT ? result<void>{} : system_failure(errno, path, "open");
  const file data(::open(data_path.c_str(), O_RDWR | O_CLOEXEC));
  if (!data.is_open() && errno == ENOENT)
    return remove_synced(path); // without the data it means nothing
  if (!data.is_open())
    return system_failure(errno, data_path, "open for writing");
  const auto now = boot_id();
  if (!now)
    return std::unexpected(now.error());
  const auto saved = newest_slot(in);
  const bool kept =
    commits == after_last_sync::kept_within_a_boot && saved && saved->boot_id == *now;
  result<void> done;
  if (saved && !kept)
    done = put_back(*saved, data, data_path);
  else if (has_failed(in))
    done = write_again(data, data_path);
  if (done)
    done = sync_file(data, data_path);
  if (!done) {
    mark_failed(in);
    return done;
  }
  return remove_synced(path);
}

} // namespace

result<void> synced_point::restore(const std::filesystem::path& directory) {
  return restore_file(directory, after_last_sync::kept_within_a_boot);
}

result<void> synced_point::take_back(const std::filesystem::path& directory) {
  return restore_file(directory, after_last_sync::dropped);
}

result<void> synced_point::check_not_needed(const std::filesystem::path& directory) {
  const auto path = path_in(directory);
  const file in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.is_open())
    return errno == ENOENT ? result<void>{} : system_failure(errno, path, "open");
  const auto now = boot_id();
  if (!now)
    return std::unexpected(now.error());
  const auto saved = newest_slot(in);
  if (!saved || saved->boot_id == *now)
    return {};
  return failure(errc::io,
                 fmt::format("'{}': the machine was started anew while the store was open at "
                             "durability process; open it for writing once, which takes it back "
                             "to its last sync",
                             directory.parent_path().string()));
}

result<synced_point> synced_point::start(const lmdb_environment& of) {
  const auto path = path_in(of.path().parent_path());
  file out(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out.is_open())
    return system_failure(errno, path, "open for writing");
  file data(::open(of.path().c_str(), O_RDWR | O_CLOEXEC));
  if (!data.is_open())
    return system_failure(errno, of.path(), "open for writing");
  // Room for both slots at once: a full disk is met here, and not at a sync.
  if (const int code = ::posix_fallocate(out.descriptor(), 0, 2 * slot_distance); code != 0)
    return system_failure(code, path, "making room for it");
  synced_point made(of, path, std::move(out), std::move(data));
  if (auto synced = made.sync(); !synced)
    return failure(synced);
  const auto parent = path.parent_path();
  const file directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || (::fsync(directory.descriptor()) != 0 && errno != EINVAL))
    return system_failure(errno, parent, "sync");
  if (const int code = mdb_env_set_flags(of.get(), MDB_NOSYNC, 1); code != MDB_SUCCESS)
    return lmdb_failure(code, of.path(), "switching its syncing off");
  return made;
}

synced_point::synced_point(synced_point&& other) noexcept
    : of_(other.of_), path_(std::move(other.path_)), out_(std::move(other.out_)),
      data_(std::move(other.data_)), reader_(std::exchange(other.reader_, nullptr)),
      marked_(std::exchange(other.marked_, nullptr)), marked_meta_(other.marked_meta_),
      written_(other.written_), has_failed_(other.has_failed_) {}

synced_point::~synced_point() {
  for (auto* held : {reader_, marked_})
    if (held != nullptr)
      mdb_txn_abort(held);
}

/// A read transaction at the newest state, and its meta page. The write transaction keeps writers
/// away meanwhile, for microseconds.
result<MDB_txn*> synced_point::begin_at_newest(void* to) const {
  MDB_txn* writer = nullptr;
  if (const int code = mdb_txn_begin(of_->get(), nullptr, 0, &writer); code != MDB_SUCCESS)
    return lmdb_failure(code, of_->path(), "a write transaction");
  MDB_txn* reader = nullptr;
  const int code = mdb_txn_begin(of_->get(), nullptr, MDB_RDONLY, &reader);
  MDB_stat stat{};
  mdb_env_stat(of_->get(), &stat);
  auto& meta = *static_cast<meta_page*>(to);
  bool found = false;
  for (off_t number = 0; code == MDB_SUCCESS && !found && number < 2; ++number) {
    const auto at = number * static_cast<off_t>(stat.ms_psize);
    found =
      ::pread(data_.descriptor(), meta.data(), meta.size(), at) == static_cast<ssize_t>(meta.size())
      && txn_id_in(meta) == mdb_txn_id(reader);
  }
  mdb_txn_abort(writer);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, of_->path(), "a read transaction");
  if (found) {
    ensure(txn_id_in(meta) == mdb_txn_id(reader), "the meta page is that of the reader's state");
    return reader;
  }
  mdb_txn_abort(reader);
  return system_failure(EIO, of_->path(), "reading its meta page");
}

result<void> synced_point::write(const void* meta) {
  const auto now = boot_id();
  if (!now)
    return std::unexpected(now.error());
  MDB_stat stat{};
  mdb_env_stat(of_->get(), &stat);
  slot saved;
  saved.written = written_ + 1;
  saved.boot_id = *now;
  std::memcpy(saved.meta.data(), meta, lmdb_meta_size);
  saved.page_size = stat.ms_psize;
  saved.checksum = checksum_of(saved);
  const auto at = static_cast<off_t>(written_ % 2) * slot_distance;
  ensure(reader_ == nullptr || txn_id_in(saved.meta) >= mdb_txn_id(reader_),
         "the slot that is written over is not the one in use");
  const auto written = ::pwrite(out_.descriptor(), &saved, sizeof saved, at);
  if (written != static_cast<ssize_t>(sizeof saved))
    return system_failure(written < 0 ? errno : ENOSPC, path_, "writing");
  if (auto synced = sync_file(out_, path_); !synced)
    return synced;
  ++written_;
  return {};
}

result<void> synced_point::mark() {
  meta_page meta{};
  auto newest = begin_at_newest(&meta);
  if (!newest)
    return failure(newest);
  ensure(reader_ == nullptr || mdb_txn_id(*newest) >= mdb_txn_id(reader_),
         "what is synced does not go back");
  if (marked_ != nullptr)
    mdb_txn_abort(marked_);
  marked_ = *newest;
  marked_meta_ = meta;
  return {};
}

result<void> synced_point::sync_marked() {
  ensure(marked_ != nullptr && txn_id_in(marked_meta_) == mdb_txn_id(marked_),
         "what is synced was marked");
  result<void> done;
  if (has_failed_)
    done = write_again(data_, of_->path());
  if (done)
    if (const int code = mdb_env_sync(of_->get(), 1); code != MDB_SUCCESS)
      done = lmdb_failure(code, of_->path(), "sync");
  if (done)
    done = write(&marked_meta_);
  has_failed_ = !done;
  if (!done) {
    mark_failed(out_);
    return done;
  }
  // Until the new slot is on the disk, the old one may be needed, and the pages it leads to.
  auto* unneeded = std::exchange(reader_, std::exchange(marked_, nullptr));
  if (unneeded != nullptr)
    mdb_txn_abort(unneeded);
  return {};
}

result<void> synced_point::sync() {
  if (auto marked = mark(); !marked)
    return marked;
  return sync_marked();
}

result<void> synced_point::finish() {
  if (auto synced = sync(); !synced)
    return synced;
  return remove_synced(path_);
}

result<void> fill_up(const lmdb_environment& environment, std::size_t ahead) {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(environment.get(), &info);
  mdb_env_stat(environment.get(), &stat);
  const auto needed = static_cast<off_t>((info.me_last_pgno + 1) * stat.ms_psize);
  struct stat now{};
  const auto& path = environment.path();
  if (::stat(path.c_str(), &now) != 0)
    return system_failure(errno, path, "looking at its size");
  const auto more = static_cast<off_t>(ahead);
  if (now.st_size < needed + more && ::truncate(path.c_str(), needed + 2 * more) != 0)
    return system_failure(errno, path, "extending it");
  return {};
}

} // namespace acta::storage
