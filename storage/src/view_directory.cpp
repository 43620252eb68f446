#include <acta/storage/view_directory.hpp>

#include "file.hpp"
#include "lmdb_error.hpp"
#include "store_directory.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

/// A file in the directory of a version that was replaced, or is about to be: the link says which.
constexpr const char* replaced_name = "replaced";

/// What the link of a view is called, and the directories of its versions but for "@<version>".
[[nodiscard]] std::string link_name(const view_identity& of) {
  return of.parts == 1 ? of.name : fmt::format("{}.{}of{}", of.name, of.part, of.parts);
}

[[nodiscard]] fs::path link_of(const fs::path& store, const view_identity& of) {
  ensure(!of.name.empty() && of.part < of.parts, "a view has a name, and parts count from 0");
  return store / "views" / link_name(of);
}

/// Whose directory it is; empty if it is no view's.
[[nodiscard]] std::optional<view_identity> parse_label(const std::string& label) {
  const auto at = label.find('@');
  if (at == std::string::npos)
    return std::nullopt;
  view_identity found{.name = label.substr(0, at), .version = 0};
  const auto* const end = label.data() + label.size();
  auto rest = std::from_chars(label.data() + at + 1, end, found.version).ptr;
  if (rest != end) {
    rest = std::from_chars(std::min(rest + 1, end), end, found.part).ptr;
    std::from_chars(std::min(rest + 2, end), end, found.parts);
  }
  return !found.name.empty() && found.part < found.parts && found.label() == label
           ? std::optional(std::move(found))
           : std::nullopt;
}

/// The version of a directory of that view; empty if it is of another.
[[nodiscard]] std::optional<std::uint32_t> version_in(const std::string& directory,
                                                      const view_identity& of) {
  const auto found = parse_label(directory);
  const bool is_its =
    found && found->name == of.name && found->part == of.part && found->parts == of.parts;
  return is_its ? std::optional(found->version) : std::nullopt;
}

/// The names in a directory; none if there is no such directory.
[[nodiscard]] result<std::vector<std::string>> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code code;
  for (auto each = fs::directory_iterator(directory, code);
       !code && each != fs::directory_iterator(); each.increment(code))
    names.push_back(each->path().filename().string());
  if (code && code != std::errc::no_such_file_or_directory)
    return system_failure(code.value(), directory, "reading the directory");
  std::ranges::sort(names);
  return names;
}

[[nodiscard]] result<void> unlink_if_there(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return system_failure(errno, path, "removing");
  return {};
}

/// Durable: else, after a power loss, nobody would know that it may be removed.
[[nodiscard]] result<void> mark_replaced(const fs::path& directory) {
  const auto path = directory / replaced_name;
  const file marker(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!marker.is_open())
    return system_failure(errno, path, "open for writing");
  return sync_directory(directory);
}

} // namespace

fs::path view_directory(const fs::path& store, const view_identity& which) {
  return store / "views" / which.label();
}

result<std::optional<std::uint32_t>> serving_version(const fs::path& store,
                                                     const view_identity& of) {
  const auto link = link_of(store, of);
  std::error_code code;
  const auto target = fs::read_symlink(link, code);
  if (code == std::errc::no_such_file_or_directory)
    return std::nullopt;
  const auto version = version_in(target.native(), of);
  if (code == std::errc::invalid_argument || (!code && !version))
    return failure(errc::foreign_store,
                   fmt::format("'{}' is no link to a version of view '{}'; move it elsewhere",
                               link.string(), of.name));
  if (code)
    return system_failure(code.value(), link, "reading the link");
  return fs::is_directory(link, code) ? version : std::nullopt;
}

result<void> serve_view(const fs::path& store, const view_identity& which) {
  auto last = serving_version(store, which);
  if (!last)
    return failure(last);
  if (*last == which.version)
    return sync_directory(store / "views"); // which may be what failed before
  if (*last) {
    auto old = which;
    old.version = **last;
    if (auto marked = mark_replaced(view_directory(store, old)); !marked)
      return marked;
  }
  // Else after a power loss the link might name what is not there.
  for (const auto& each : {view_directory(store, which), store / "views", store})
    if (auto synced = sync_directory(each); !synced)
      return synced;
  const auto link = link_of(store, which);
  auto next = link;
  next += ".new"; // no view is called that: names have no dots
  if (auto removed = unlink_if_there(next); !removed)
    return removed;
  if (::symlink(which.label().c_str(), next.c_str()) != 0)
    return system_failure(errno, next, "making the link");
  if (::rename(next.c_str(), link.c_str()) != 0)
    return system_failure(errno, link, "replacing the link");
  return sync_directory(link.parent_path());
}

result<std::vector<stored_view>> stored_views(const fs::path& store) {
  const auto views = store / "views";
  auto names = names_in(views);
  if (!names)
    return failure(names);
  std::vector<stored_view> all;
  for (const auto& name : *names) {
    const auto path = views / name;
    auto which = parse_label(name);
    std::error_code code;
    if (!which || !fs::is_directory(path, code))
      continue;
    stored_view one{.which = std::move(*which)};
    one.serves = fs::read_symlink(link_of(store, one.which), code) == name && !code;
    one.is_replaced = is_replaced(store, one.which);
    code.clear();
    for (auto each = fs::directory_iterator(path, code); !code && each != fs::directory_iterator();
         each.increment(code))
      if (std::error_code gone; each->is_regular_file(gone))
        if (const auto size = each->file_size(gone); !gone)
          one.size += size;
    all.push_back(std::move(one));
  }
  return all;
}

bool is_replaced(const fs::path& store, const view_identity& which) {
  std::error_code none;
  if (!fs::exists(view_directory(store, which) / replaced_name, none))
    return false;
  auto serving = serving_version(store, which);
  return serving && *serving != which.version;
}

result<void> remove_view(const fs::path& directory) {
  auto names = names_in(directory);
  if (!names)
    return failure(names);
  for (const auto& name : *names) {
    std::error_code code;
    if (name != replaced_name && (fs::remove_all(directory / name, code), code))
      return system_failure(code.value(), directory / name, "removing");
  }
  // Last, so that what is left of it when this is killed is removed, and not taken for a view.
  if (auto removed = unlink_if_there(directory / replaced_name); !removed)
    return removed;
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT)
    return system_failure(errno, directory, "removing");
  return {};
}

result<void> remove_replaced_views(const fs::path& store, const view_identity& of) {
  auto serving = serving_version(store, of);
  if (!serving)
    return failure(serving);
  auto names = names_in(store / "views");
  if (!names)
    return failure(names);
  for (const auto& name : *names) {
    auto each = of;
    const auto version = version_in(name, of);
    if (!version)
      continue;
    each.version = *version;
    const auto directory = view_directory(store, each);
    result<void> done;
    if (is_replaced(store, each))
      done = remove_view(directory);
    else if (*serving == version) // it was about to be, and is not
      done = unlink_if_there(directory / replaced_name);
    else if (::rmdir(directory.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST)
      done = system_failure(errno, directory, "removing"); // empty, it is the end of a removal
    if (!done)
      return done;
  }
  return {};
}

} // namespace acta::storage
