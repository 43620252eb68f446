#include "lmdb_error.hpp"

#include <fmt/format.h>
#include <lmdb.h>

#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace acta::storage {

namespace {

struct meaning {
  errc code;
  std::string_view way_out;
};

[[nodiscard]] meaning meaning_of_errno(int code) noexcept {
  switch (code) {
    case ENOSPC:
    case EDQUOT: return {errc::no_space, "free space on the device, then open the store again"};
    case EACCES:
    case EPERM:
    case EROFS:
      return {errc::permission_denied, "choose a place this user may write, or change its mode"};
    case ENOENT:
    case ENOTDIR: return {errc::not_found, "check the path; its parent directory must exist"};
    case ENOMEM:
      return {errc::io, "the address space or memory is limited (ulimit -v); lower "
                        "log_options::map_size"};
    default: return {errc::io, "check the device (dmesg), then open the store again"};
  }
}

[[nodiscard]] meaning meaning_of_lmdb(int code) noexcept {
  switch (code) {
    case MDB_MAP_FULL: return {errc::map_full, "open it again with a larger map_size"};
    case MDB_MAP_RESIZED:
      return {errc::map_full, "the process that writes it has a larger map; open it again"};
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
      return {errc::corrupt, "the file is damaged or not one of LMDB; restore a backup"};
    case MDB_PANIC:
      return {errc::io, "a write to it failed before; check the device and its free space, then "
                        "open the store again"};
    case MDB_VERSION_MISMATCH:
      return {errc::newer_format, "it was written by another version of LMDB; use that one"};
    case MDB_READERS_FULL:
      return {errc::overloaded, "as many snapshots are open as the store allows "
                                "(limits::max_readers); let some go"};
    default: return meaning_of_errno(code);
  }
}

[[nodiscard]] std::unexpected<error> describe(meaning what, std::string_view text,
                                              const std::filesystem::path& path,
                                              std::string_view doing) {
  return failure(what.code,
                 fmt::format("'{}': {} failed: {}; {}", path.string(), doing, text, what.way_out));
}

/// LMDB calls a write that was cut short an EIO. On a device that is full, that was why.
[[nodiscard]] bool is_device_full(const std::filesystem::path& path) noexcept {
  struct statvfs device{};
  constexpr std::uint64_t a_few_pages = 65'536;
  return ::statvfs(path.c_str(), &device) == 0
         && std::uint64_t{device.f_bavail} * device.f_frsize < a_few_pages;
}

} // namespace

std::unexpected<error> lmdb_failure(int code, const std::filesystem::path& path,
                                    std::string_view doing) {
  if (code == EIO && is_device_full(path))
    code = ENOSPC;
  return describe(meaning_of_lmdb(code), mdb_strerror(code), path, doing);
}

std::unexpected<error> system_failure(int code, const std::filesystem::path& path,
                                      std::string_view doing) {
  return describe(meaning_of_errno(code), std::generic_category().message(code), path, doing);
}

} // namespace acta::storage
