#include "store_directory.hpp"

#include "file.hpp"
#include "lmdb_error.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 5> own_names{"log", "writer.lock", "index", "snapshots",
                                                    "views"};

[[nodiscard]] result<void> make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    return system_failure(errno, path, "making the directory");
  return {};
}

[[nodiscard]] result<void> sync_directory(const fs::path& path) {
  const file directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open())
    return system_failure(errno, path, "open");
  if (::fsync(directory.descriptor()) != 0 && errno != EINVAL) // EINVAL: nothing to sync there
    return system_failure(errno, path, "sync");
  return {};
}

/// A directory is taken for a store if it has nothing in it but a store's own names.
[[nodiscard]] result<void> refuse_foreign(const fs::path& store) {
  std::error_code code;
  for (auto entry = fs::directory_iterator(store, code); !code && entry != fs::directory_iterator();
       entry.increment(code)) {
    const auto name = entry->path().filename().string();
    bool own = false;
    for (const auto one : own_names)
      own = own || name == one;
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

result<void> sync_store_directory(const fs::path& store) {
  for (const auto& path : {store / "log", store}) {
    if (auto synced = sync_directory(path); !synced)
      return synced;
  }
  auto named = fs::absolute(store).lexically_normal();
  if (!named.has_filename()) // "store/"
    named = named.parent_path();
  const auto parent = named.parent_path();
  // Not readable by this user, perhaps; then making the store there was another's business.
  [[maybe_unused]] const auto ignored = sync_directory(parent);
  return {};
}

} // namespace acta::storage
