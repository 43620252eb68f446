#include "store_directory.hpp"

#include "file.hpp"
#include "lmdb_environment.hpp"
#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 8> own_names{
  "log", "store.id", "writer.lock", "index", "snapshots", "views", "timers", "timers.new"};
constexpr std::size_t id_digits = 32;

/// A directory is taken for a store if it has nothing in it but a store's own names.
[[nodiscard]] result<void> refuse_foreign(const fs::path& store) {
  std::error_code code;
  for (auto entry = fs::directory_iterator(store, code); !code && entry != fs::directory_iterator();
       entry.increment(code)) {
    const auto name = entry->path().filename().string();
    bool own = false;
    for (const auto one : own_names)
      own = own || name == one;
    std::error_code ignored;
    if (!own && fs::exists(store / "store.id", ignored))
      return failure(errc::foreign_store,
                     fmt::format("'{}' is an Acta store, but '{}' in it is not a part of one; move "
                                 "it elsewhere",
                                 store.string(), name));
    if (!own)
      return failure(errc::foreign_store,
                     fmt::format("'{}' is not an Acta store: it contains '{}'; choose an empty or "
                                 "new directory",
                                 store.string(), name));
  }
  if (code)
    return system_failure(code.value(), store, "reading the directory");
  return {};
}

} // namespace

result<void> sync_directory(const fs::path& path) {
  const file directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open())
    return system_failure(errno, path, "open");
  if (::fsync(directory.descriptor()) != 0 && errno != EINVAL) // EINVAL: nothing to sync there
    return system_failure(errno, path, "sync");
  return {};
}

result<void> make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    return system_failure(errno, path, "making the directory");
  return {};
}

result<void> prepare_store_directory(const fs::path& store) {
  if (store.empty())
    return failure(errc::invalid_argument, "the path of the store is empty");
  std::error_code code;
  const auto status = fs::status(store, code);
  if (status.type() == fs::file_type::none)
    return system_failure(code.value(), store, "looking at it");
  if (fs::exists(status) && !fs::is_directory(status))
    return failure(errc::foreign_store,
                   fmt::format("'{}' is not an Acta store: it is not a directory; choose another "
                               "path",
                               store.string()));
  if (auto made = make_directory(store); !made)
    return made;
  if (auto own = refuse_foreign(store); !own)
    return own;
  return make_directory(store / "log");
}

namespace {

/// A crash or a full device cut the first write of the file: there are no events in it. LMDB
/// writes both meta pages at once and syncs them with the first commit, so where a power loss took
/// one of them, the other is as it was made; anything else is damage, and not to be emptied.
[[nodiscard]] bool is_no_lmdb_file_yet(const file& data) {
  const auto page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<char> start(2 * page_size);
  const auto size = ::pread(data.descriptor(), start.data(), start.size(), 0);
  if (size < 0 || static_cast<std::size_t>(size) < start.size())
    return size >= 0;
  int missing = 0;
  std::uint64_t commits = 0;
  for (const auto page : {std::span(start).first(page_size), std::span(start).last(page_size)}) {
    missing += std::ranges::all_of(page, [](char byte) { return byte == 0; }) ? 1 : 0;
    std::uint64_t id = 0;
    std::memcpy(&id, page.data() + lmdb_txn_id_offset, sizeof id);
    commits = std::max(commits, id);
  }
  return missing > 0 && commits == 0;
}

} // namespace

result<void> prepare_lmdb_files(const fs::path& store, bool made_whole) {
  if (!made_whole)
    if (auto prepared = prepare_data_file(store / "log"); !prepared)
      return prepared;
  return prepare_lock_file(store / "log");
}

result<void> prepare_data_file(const fs::path& environment) {
  const auto path = environment / "data.mdb";
  const file data(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (data.is_open() && is_no_lmdb_file_yet(data) && ::ftruncate(data.descriptor(), 0) != 0)
    return system_failure(errno, path, "emptying what was left of making it");
  return {};
}

result<void> prepare_lock_file(const fs::path& environment) {
  const auto path = environment / "lock.mdb";
  const file lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.is_open())
    return system_failure(errno, path, "open for writing");
  constexpr off_t cache_line = 64; // a reader's; as much again as two of them for LMDB itself
  const int code = ::posix_fallocate(lock.descriptor(), 0, (limits::max_readers + 2) * cache_line);
  if (code != 0)
    return system_failure(code, path, "making room for it");
  return {};
}

result<std::string> read_store_id(const fs::path& store) {
  const auto path = store / "store.id";
  const file in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.is_open() && errno == ENOENT)
    return {};
  std::array<char, id_digits + 1> text{};
  const auto size = in.is_open() ? ::pread(in.descriptor(), text.data(), text.size(), 0) : -1;
  if (size < 0)
    return system_failure(errno, path, "reading");
  const std::string_view line(text.data(), static_cast<std::size_t>(size));
  const bool whole = line.size() == id_digits + 1 && line.back() == '\n'
                     && line.find_first_not_of("0123456789abcdef") == id_digits;
  return std::string(whole ? line.substr(0, id_digits) : std::string_view());
}

result<void> write_store_id(const fs::path& store, std::string_view id) {
  ensure(id.size() == id_digits, "a store's id has 16 bytes");
  const auto path = store / "store.id";
  const file out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out.is_open())
    return system_failure(errno, path, "open for writing");
  const auto line = std::string(id) + '\n';
  const auto written = ::pwrite(out.descriptor(), line.data(), line.size(), 0);
  if (written != static_cast<ssize_t>(line.size()))
    return system_failure(written < 0 ? errno : ENOSPC, path, "writing");
  if (::fsync(out.descriptor()) != 0)
    return system_failure(errno, path, "sync");
  return sync_directory(store);
}

result<void> sync_store_directory(const fs::path& store) {
  for (const auto& path : {store / "log", store}) {
    if (auto synced = sync_directory(path); !synced)
      return synced;
  }
  auto named = fs::absolute(store).lexically_normal();
  if (!named.has_filename()) // "store/"
    named = named.parent_path();
  const auto parent = named.parent_path();
  auto synced = sync_directory(parent);
  if (!synced && synced.error().code() == errc::permission_denied)
    return {}; // making the store there was another's business
  return synced;
}

} // namespace acta::storage
