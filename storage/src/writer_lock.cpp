#include "writer_lock.hpp"

#include "lmdb_error.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>

namespace acta::storage {

namespace {

/// "4711 (acta-sim)" for this process.
[[nodiscard]] std::string this_process() {
  std::string program;
  std::getline(std::ifstream("/proc/self/comm"), program);
  return fmt::format("{} ({})", ::getpid(), program.empty() ? "unknown" : program);
}

[[nodiscard]] std::string holder_in(const file& lock) {
  std::array<char, 128> text{};
  const auto size = ::pread(lock.descriptor(), text.data(), text.size(), 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  holder.erase(holder.find_last_not_of(" \n") + 1);
  return holder.empty() ? "unknown, which has just taken it" : holder;
}

/// One write of one size over what was there: whoever reads sees a whole name.
[[nodiscard]] bool write_holder(const file& lock) {
  auto text = this_process();
  text.resize(127, ' ');
  text += '\n';
  return ::pwrite(lock.descriptor(), text.data(), text.size(), 0)
         == static_cast<ssize_t>(text.size());
}

} // namespace

result<writer_lock> writer_lock::acquire(const std::filesystem::path& store) {
  const auto path = store / "writer.lock";
  file lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.is_open())
    return system_failure(errno, path, "open for writing");
  if (::flock(lock.descriptor(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return system_failure(errno, path, "lock");
    return failure(
      errc::store_in_use,
      fmt::format("store '{}' is in use by process {}; stop it or choose another store",
                  store.string(), holder_in(lock)));
  }
  // On a full disk the name cannot be written. The lock holds all the same, and the store must
  // open.
  (void)write_holder(lock);
  return writer_lock(std::move(lock));
}

} // namespace acta::storage
