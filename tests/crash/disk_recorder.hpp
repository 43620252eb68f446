#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What a program does to the files below a directory: recorded, and made to fail.
///
/// disk_recorder.cpp defines the C library's calls that change files (open, pwrite, fsync, ...), so
/// that a program it is linked into goes through it, LMDB and libstdc++ too. What is written
/// through a shared map is not seen: in a store that is lock.mdb alone, which means nothing after a
/// power loss.
namespace acta::tests {

/// One thing that was done. Files and directories have numbers, in the order they were made; the
/// directory that is watched is 0.
struct disk_operation {
  enum class kind : std::uint8_t {
    create,         ///< `name` in `directory` is the new `file`; with `bytes`, a link to these.
    make_directory, ///< The same for a directory.
    remove,         ///< `name` in `directory` is no more.
    rename,         ///< `name` in `directory` is `to_name` in `to_directory`, and `file`.
    write,          ///< `bytes` went to offset `value` of `file`.
    resize,         ///< `file` has `value` bytes.
    sync,           ///< A sync of `file` began.
    settle,         ///< The device said that operation `value`, a sync or a write, is durable.
    abandon,        ///< A sync of `file` failed: the kernel takes what it covers for written.
    mark,           ///< The test said `value`.
  };
  kind what = kind::mark;
  int file = -1;
  int directory = -1;
  int to_directory = -1;
  std::uint64_t value = 0;
  std::string name{};
  std::string to_name{};
  std::string bytes{};
};

enum class disk_fault : std::uint8_t {
  no_space,    ///< ENOSPC, and again for whatever comes after it and needs room.
  io,          ///< EIO, once.
  io_for_good, ///< EIO, and again for whatever comes after it.
  short_write, ///< Half of a write, once; EIO for what is no write.
  lost_sync,   ///< EIO, once, from a sync or a write with O_DSYNC whose bytes the kernel took.
};

/// Records, from its making until its end, what this process does below a directory. What is there
/// already counts as durable. One at a time. Threads: any may write; the recorder belongs to one.
class disk_recorder {
public:
  explicit disk_recorder(const std::filesystem::path& directory);
  ~disk_recorder();
  disk_recorder(const disk_recorder&) = delete;
  disk_recorder& operator=(const disk_recorder&) = delete;

  /// Puts a mark among the operations. Any thread.
  void mark(std::uint64_t value);

  /// Fails the n-th write, sync, resize, or making of a name from now on; 1 is the next.
  void fail(disk_fault how, std::uint64_t n);
  /// No more faults. Returns whether there was one.
  bool heal();

  /// What was done until now.
  [[nodiscard]] std::vector<disk_operation> operations() const;

  /// What programs read as the boot id of this machine, until it is set again; empty: the true one.
  static void set_boot_id(std::string id);

  // In place of the C library's calls. Those that name no file below the directory are passed on.
  int open(int at, const char* path, int flags, mode_t mode);
  ssize_t write(int file, std::string bytes, std::optional<off_t> at);
  int sync(int file, int (*next)(int));
  int resize(int file, off_t size, const std::function<int()>& next);
  int make_directory(const char* path, mode_t mode);
  int symlink(const char* to, const char* path);
  int rename(const char* from, const char* to);
  int remove(int at, const char* path, const std::function<int()>& next);

private:
  using identity = std::pair<dev_t, ino_t>;
  enum class call : std::uint8_t { change, overwrite, synchronous_overwrite, sync };

  void adopt(const std::filesystem::path& directory, int number);
  std::uint64_t push(disk_operation operation);
  [[nodiscard]] int number_of(int file) const;
  [[nodiscard]] int directory_of(int at, const char* path) const;
  [[nodiscard]] std::optional<disk_fault> next_fault(call what);
  [[nodiscard]] bool fails(call what = call::change);

  mutable std::mutex mutex_;
  std::map<identity, int> numbers_;
  int next_number_ = 0;
  std::vector<disk_operation> operations_;
  std::optional<disk_fault> fault_;
  std::uint64_t calls_until_fault_ = 0;
  bool failed_ = false;
};

} // namespace acta::tests
