#include "disk_recorder.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string_view>
#include <thread>

namespace acta::tests {

namespace {

using kind = disk_operation::kind;

std::atomic<disk_recorder*> active{nullptr};

std::mutex boot_id_mutex;
std::string boot_id;

/// The C library's own.
template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

using open_call = int(int, const char*, int, ...);
using write_call = ssize_t(int, const void*, std::size_t);
using pwrite_call = ssize_t(int, const void*, std::size_t, off_t);

int real_open(int at, const char* path, int flags, mode_t mode) {
  static auto* const next = real<open_call>("openat");
  return next(at, path, flags, mode);
}

ssize_t real_write(int file, std::string_view bytes, std::optional<off_t> at) {
  static auto* const positioned = real<pwrite_call>("pwrite");
  static auto* const next = real<write_call>("write");
  return at ? positioned(file, bytes.data(), bytes.size(), *at)
            : next(file, bytes.data(), bytes.size());
}

[[nodiscard]] std::string name_in(const char* path) {
  return std::filesystem::path(path).filename().string();
}

[[nodiscard]] int code_of(disk_fault fault) {
  return fault == disk_fault::no_space ? ENOSPC : EIO;
}

/// A file with the boot id that was set; -1 if `path` is another file, or none was set.
[[nodiscard]] int open_boot_id(const char* path) {
  if (std::string_view(path) != "/proc/sys/kernel/random/boot_id")
    return -1;
  const std::lock_guard guard(boot_id_mutex);
  if (boot_id.empty())
    return -1;
  const int file = ::memfd_create("boot_id", MFD_CLOEXEC);
  if (file < 0 || real_write(file, boot_id + '\n', 0) < 0)
    std::abort();
  return file;
}

} // namespace

disk_recorder::disk_recorder(const std::filesystem::path& directory) {
  struct stat root{};
  if (::stat(directory.c_str(), &root) != 0 || active.load() != nullptr)
    std::abort();
  numbers_[{root.st_dev, root.st_ino}] = next_number_++;
  adopt(directory, 0);
  active = this;
}

disk_recorder::~disk_recorder() {
  active = nullptr;
}

void disk_recorder::adopt(const std::filesystem::path& directory, int number) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat found{};
    if (::stat(entry.path().c_str(), &found) != 0)
      std::abort();
    const int file = next_number_++;
    numbers_[{found.st_dev, found.st_ino}] = file;
    push({.what = entry.is_directory() ? kind::make_directory : kind::create,
          .file = file,
          .directory = number,
          .name = entry.path().filename().string()});
    if (entry.is_directory()) {
      adopt(entry.path(), file);
      continue;
    }
    std::ifstream in(entry.path(), std::ios::binary);
    push({.what = kind::write, .file = file, .bytes = {std::istreambuf_iterator<char>(in), {}}});
    push({.what = kind::settle, .value = push({.what = kind::sync, .file = file})});
  }
  push({.what = kind::settle, .value = push({.what = kind::sync, .file = number})});
}

std::uint64_t disk_recorder::push(disk_operation operation) {
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

void disk_recorder::mark(std::uint64_t value) {
  const std::lock_guard guard(mutex_);
  push({.what = kind::mark, .value = value});
}

void disk_recorder::fail(disk_fault how, std::uint64_t n) {
  const std::lock_guard guard(mutex_);
  fault_ = how;
  calls_until_fault_ = n;
  failed_ = false;
}

bool disk_recorder::heal() {
  const std::lock_guard guard(mutex_);
  fault_.reset();
  return failed_;
}

std::vector<disk_operation> disk_recorder::operations() const {
  const std::lock_guard guard(mutex_);
  return operations_;
}

void disk_recorder::set_boot_id(std::string id) {
  const std::lock_guard guard(boot_id_mutex);
  boot_id = std::move(id);
}

int disk_recorder::number_of(int file) const {
  struct stat found{};
  if (::fstat(file, &found) != 0)
    return -1;
  const auto known = numbers_.find({found.st_dev, found.st_ino});
  return known == numbers_.end() ? -1 : known->second;
}

int disk_recorder::directory_of(int at, const char* path) const {
  auto parent = std::filesystem::path(path).parent_path();
  if (parent.empty())
    parent = ".";
  struct stat found{};
  if (::fstatat(at, parent.c_str(), &found, 0) != 0)
    return -1;
  const auto known = numbers_.find({found.st_dev, found.st_ino});
  return known == numbers_.end() ? -1 : known->second;
}

/// The fault of a call that changes something, if it is its turn.
std::optional<disk_fault> disk_recorder::next_fault(call what) {
  const bool syncs = what == call::synchronous_overwrite || what == call::sync;
  if (!fault_ || (fault_ == disk_fault::lost_sync && !syncs))
    return {};
  if (fault_ == disk_fault::no_space && failed_ && what != call::change)
    return {};
  if (calls_until_fault_ > 1) {
    --calls_until_fault_;
    return {};
  }
  failed_ = true;
  const auto now = fault_;
  if (now != disk_fault::no_space && now != disk_fault::io_for_good)
    fault_.reset();
  return now;
}

bool disk_recorder::fails(call what) {
  const auto fault = next_fault(what);
  if (fault)
    errno = code_of(*fault);
  return fault.has_value();
}

int disk_recorder::open(int at, const char* path, int flags, mode_t mode) {
  const std::lock_guard guard(mutex_);
  const int directory = (flags & (O_CREAT | O_TRUNC)) != 0 ? directory_of(at, path) : -1;
  if (directory < 0)
    return real_open(at, path, flags, mode);
  struct stat before{};
  const bool existed = ::fstatat(at, path, &before, 0) == 0;
  const bool empties = existed && (flags & O_TRUNC) != 0 && before.st_size != 0;
  if ((empties || (!existed && (flags & O_CREAT) != 0)) && fails())
    return -1;
  const int file = real_open(at, path, flags, mode);
  struct stat after{};
  if (file < 0 || ::fstat(file, &after) != 0)
    return file;
  if (!existed) {
    numbers_[{after.st_dev, after.st_ino}] = next_number_;
    push({.what = kind::create,
          .file = next_number_++,
          .directory = directory,
          .name = name_in(path)});
  } else if (empties) {
    push({.what = kind::resize, .file = number_of(file)});
  }
  return file;
}

ssize_t disk_recorder::write(int file, std::string bytes, std::optional<off_t> at) {
  const std::lock_guard guard(mutex_);
  const int number = number_of(file);
  if (number < 0)
    return real_write(file, bytes, at);
  const int flags = ::fcntl(file, F_GETFL);
  const bool syncs = (flags & O_DSYNC) != 0;
  const auto place = at ? *at : ::lseek(file, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
  struct stat now{};
  const bool grows =
    ::fstat(file, &now) != 0 || place + static_cast<off_t>(bytes.size()) > now.st_size;
  const auto fault = next_fault(grows   ? call::change
                                : syncs ? call::synchronous_overwrite
                                        : call::overwrite);
  if (fault == disk_fault::short_write && bytes.size() > 1) {
    bytes.resize(bytes.size() / 2);
  } else if (fault && fault != disk_fault::lost_sync) {
    errno = code_of(*fault);
    return -1;
  }
  const auto written = real_write(file, bytes, at);
  if (written < 0)
    return written;
  bytes.resize(static_cast<std::size_t>(written));
  const auto done = push({.what = kind::write,
                          .file = number,
                          .value = static_cast<std::uint64_t>(place),
                          .bytes = std::move(bytes)});
  if (fault == disk_fault::lost_sync) {
    push({.what = kind::abandon, .file = number});
    errno = EIO;
    return -1;
  }
  if (syncs)
    push({.what = kind::settle, .value = done});
  return written;
}

/// A sync covers what was done before it began; others may write while it goes on.
int disk_recorder::sync(int file, int (*next)(int)) {
  std::uint64_t begun = 0;
  {
    const std::lock_guard guard(mutex_);
    const int number = number_of(file);
    if (number < 0)
      return next(file);
    if (fails(call::sync)) {
      const int code = errno;
      struct stat found{};
      if (::fstat(file, &found) == 0 && !S_ISDIR(found.st_mode)) // names are the journal's
        push({.what = kind::abandon, .file = number});
      errno = code;
      return -1;
    }
    begun = push({.what = kind::sync, .file = number});
  }
  const int code = next(file);
  for (int i = 0; i < 50; ++i)
    std::this_thread::yield(); // a device takes its time: others go on meanwhile
  if (code == 0) {
    const std::lock_guard guard(mutex_);
    push({.what = kind::settle, .value = begun});
  }
  return code;
}

int disk_recorder::resize(int file, off_t size, const std::function<int()>& next) {
  const std::lock_guard guard(mutex_);
  const int number = number_of(file);
  if (number >= 0 && fails())
    return -1;
  const int code = next();
  if (code == 0 && number >= 0)
    push({.what = kind::resize, .file = number, .value = static_cast<std::uint64_t>(size)});
  return code;
}

int disk_recorder::make_directory(const char* path, mode_t mode) {
  static auto* const next = real<int(const char*, mode_t)>("mkdir");
  const std::lock_guard guard(mutex_);
  const int directory = directory_of(AT_FDCWD, path);
  struct stat made{};
  if (directory >= 0 && ::stat(path, &made) != 0 && fails())
    return -1;
  const int code = next(path, mode);
  if (code != 0 || directory < 0)
    return code;
  if (::stat(path, &made) != 0)
    std::abort();
  numbers_[{made.st_dev, made.st_ino}] = next_number_;
  push({.what = kind::make_directory,
        .file = next_number_++,
        .directory = directory,
        .name = name_in(path)});
  return code;
}

int disk_recorder::symlink(const char* to, const char* path) {
  static auto* const next = real<int(const char*, const char*)>("symlink");
  const std::lock_guard guard(mutex_);
  const int directory = directory_of(AT_FDCWD, path);
  if (directory >= 0 && fails())
    return -1;
  const int code = next(to, path);
  struct stat made{};
  if (code == 0 && directory >= 0 && ::lstat(path, &made) == 0) {
    const int number = next_number_++;
    numbers_[{made.st_dev, made.st_ino}] = number;
    push({.what = kind::create,
          .file = number,
          .directory = directory,
          .name = name_in(path),
          .bytes = to});
  }
  return code;
}

int disk_recorder::rename(const char* from, const char* to) {
  static auto* const next = real<int(const char*, const char*)>("rename");
  const std::lock_guard guard(mutex_);
  const int directory = directory_of(AT_FDCWD, from);
  const int to_directory = directory_of(AT_FDCWD, to);
  struct stat moved{};
  if (directory < 0 || to_directory < 0 || ::lstat(from, &moved) != 0)
    return next(from, to);
  if (fails())
    return -1;
  const int code = next(from, to);
  if (code == 0)
    push({.what = kind::rename,
          .file = numbers_.at({moved.st_dev, moved.st_ino}),
          .directory = directory,
          .to_directory = to_directory,
          .name = name_in(from),
          .to_name = name_in(to)});
  return code;
}

int disk_recorder::remove(int at, const char* path, const std::function<int()>& next) {
  const std::lock_guard guard(mutex_);
  const int directory = directory_of(at, path);
  const int code = next();
  if (code == 0 && directory >= 0)
    push({.what = kind::remove, .directory = directory, .name = name_in(path)});
  return code;
}

namespace {

int open_any(int at, const char* path, int flags, mode_t mode) {
  if (const int file = open_boot_id(path); file >= 0)
    return file;
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->open(at, path, flags, mode)
                             : real_open(at, path, flags, mode);
}

ssize_t write_any(int file, std::span<const iovec> parts, std::optional<off_t> at) {
  std::string bytes;
  for (const auto& part : parts)
    bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->write(file, std::move(bytes), at)
                             : real_write(file, bytes, at);
}

ssize_t write_one(int file, const void* from, std::size_t size, std::optional<off_t> at) {
  const iovec part{const_cast<void*>(from), size};
  return write_any(file, {&part, 1}, at);
}

ssize_t write_many(int file, const iovec* parts, int count, std::optional<off_t> at) {
  return write_any(file, {parts, static_cast<std::size_t>(count)}, at);
}

int sync_any(int file, int (*next)(int)) {
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->sync(file, next) : next(file);
}

int resize_any(int file, off_t size, const std::function<int()>& next) {
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->resize(file, size, next) : next();
}

int remove_any(int at, const char* path, const std::function<int()>& next) {
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->remove(at, path, next) : next();
}

[[nodiscard]] mode_t mode_in(int flags, std::va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

} // namespace

} // namespace acta::tests

// In place of the C library's, also for liblmdb and libstdc++.
extern "C" {

using namespace acta::tests;

int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_any(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_any(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_any(at, path, flags, mode);
}

ssize_t write(int file, const void* from, std::size_t size) {
  return write_one(file, from, size, {});
}
ssize_t writev(int file, const iovec* parts, int count) {
  return write_many(file, parts, count, {});
}
ssize_t pwrite(int file, const void* from, std::size_t size, off_t at) {
  return write_one(file, from, size, at);
}
ssize_t pwrite64(int file, const void* from, std::size_t size, off_t at) {
  return write_one(file, from, size, at);
}
ssize_t pwritev(int file, const iovec* parts, int count, off_t at) {
  return write_many(file, parts, count, at);
}
ssize_t pwritev64(int file, const iovec* parts, int count, off_t at) {
  return write_many(file, parts, count, at);
}

int fsync(int file) {
  static auto* const next = real<int(int)>("fsync");
  return sync_any(file, next);
}
int fdatasync(int file) {
  static auto* const next = real<int(int)>("fdatasync");
  return sync_any(file, next);
}

int ftruncate(int file, off_t size) noexcept {
  static auto* const next = real<int(int, off_t)>("ftruncate");
  return resize_any(file, size, [=] { return next(file, size); });
}
int ftruncate64(int file, off_t size) noexcept {
  return ::ftruncate(file, size);
}
int truncate(const char* path, off_t size) noexcept {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  const int code = file < 0 ? -1 : ::ftruncate(file, size);
  if (file >= 0)
    ::close(file);
  return code;
}
/// Its error is what it returns.
int posix_fallocate(int file, off_t from, off_t size) {
  static auto* const next = real<int(int, off_t, off_t)>("posix_fallocate");
  struct stat now{};
  if (::fstat(file, &now) != 0 || now.st_size >= from + size)
    return next(file, from, size);
  int code = 0;
  const int resized = resize_any(file, from + size, [&] { return code = next(file, from, size); });
  return resized == -1 ? errno : code;
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const next = real<int(const char*, mode_t)>("mkdir");
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->make_directory(path, mode) : next(path, mode);
}
int symlink(const char* to, const char* path) noexcept {
  static auto* const next = real<int(const char*, const char*)>("symlink");
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->symlink(to, path) : next(to, path);
}
int rename(const char* from, const char* to) noexcept {
  static auto* const next = real<int(const char*, const char*)>("rename");
  auto* const recorder = active.load();
  return recorder != nullptr ? recorder->rename(from, to) : next(from, to);
}
int unlink(const char* path) noexcept {
  static auto* const next = real<int(const char*)>("unlink");
  return remove_any(AT_FDCWD, path, [=] { return next(path); });
}
int unlinkat(int at, const char* path, int flags) noexcept {
  static auto* const next = real<int(int, const char*, int)>("unlinkat");
  return remove_any(at, path, [=] { return next(at, path, flags); });
}
int rmdir(const char* path) noexcept {
  static auto* const next = real<int(const char*)>("rmdir");
  return remove_any(AT_FDCWD, path, [=] { return next(path); });
}
int remove(const char* path) noexcept {
  static auto* const next = real<int(const char*)>("remove");
  return remove_any(AT_FDCWD, path, [=] { return next(path); });
}

} // extern "C"
