#include "environment_lock.hpp"

#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

namespace acta::storage {

namespace {

[[nodiscard]] int lock_directory(const file& directory, int how) noexcept {
  int code = ::flock(directory.descriptor(), how);
  while (code != 0 && errno == EINTR)
    code = ::flock(directory.descriptor(), how);
  return code;
}

/// LMDB's lock: the first byte.
[[nodiscard]] struct flock whole_table() noexcept {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return lock;
}

/// "4711 (orders)", of who holds LMDB's lock.
[[nodiscard]] std::string holder_of(const file& table) {
  auto lock = whole_table();
  if (::fcntl(table.descriptor(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || lock.l_pid <= 0)
    return "that cannot be named";
  std::string program;
  std::getline(std::ifstream(fmt::format("/proc/{}/comm", lock.l_pid)), program);
  return fmt::format("{} ({})", lock.l_pid, program.empty() ? "unknown" : program);
}

[[nodiscard]] std::unexpected<error> in_use(const std::filesystem::path& directory,
                                            const std::string& by) {
  return failure(errc::store_in_use,
                 fmt::format("'{}' is being read by process {}; end it, or let it close the store, "
                             "then try again",
                             directory.string(), by));
}

} // namespace

result<environment_lock> environment_lock::for_opening(const std::filesystem::path& directory) {
  file opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open())
    return system_failure(errno, directory, "open");
  // Where there are no such locks, nothing is replaced either.
  if (lock_directory(opened, LOCK_SH) != 0 && errno != ENOLCK && errno != EOPNOTSUPP)
    return system_failure(errno, directory, "lock");
  return environment_lock(std::move(opened), {});
}

result<environment_lock> environment_lock::for_replacing(const std::filesystem::path& directory) {
  file opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open())
    return system_failure(errno, directory, "open");
  const auto path = directory / "lock.mdb";
  file table(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!table.is_open())
    return system_failure(errno, path, "open for writing");
  if (lock_directory(opened, LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK ? in_use(directory, "that opens it just now")
                                : system_failure(errno, directory, "lock");
  auto lock = whole_table();
  if (::fcntl(table.descriptor(), F_SETLK, &lock) != 0)
    return errno == EACCES || errno == EAGAIN ? in_use(directory, holder_of(table))
                                              : system_failure(errno, path, "lock");
  ensure(lock.l_type == F_WRLCK, "what is replaced is nobody else's");
  return environment_lock(std::move(opened), std::move(table));
}

} // namespace acta::storage
