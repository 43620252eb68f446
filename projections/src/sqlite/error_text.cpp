#include "error_text.hpp"

#include <acta/base/limits.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <system_error>

namespace acta::projections::sqlite {

namespace {

struct meaning {
  errc code;
  std::string what; ///< And what to do.
};

[[nodiscard]] std::string system_text(int number) {
  return number == 0 ? "" : ": " + std::generic_category().message(number);
}

[[nodiscard]] meaning of_removed() {
  return {errc::not_found, "it was removed, or replaced, while it was open: projector::resume(), "
                           "reset(), or a new start of its projector, makes the view anew"};
}

[[nodiscard]] meaning of_open(const complaint& what) {
  switch (what.system_errno) {
    case ENOENT: return of_removed();
    case EACCES:
    case EPERM:
    case EROFS:
      return {errc::permission_denied, "it cannot be opened" + system_text(what.system_errno)
                                         + "; let this process write it, and its directory"};
    default:
      return {errc::io, "it cannot be opened" + system_text(what.system_errno)
                          + "; see that it is a file, on a device that works"};
  }
}

[[nodiscard]] meaning meaning_of(const std::filesystem::path& file, const complaint& what) {
  switch (what.code & 0xff) { // of an extended code, the primary one
    case SQLITE_FULL:
      return {errc::no_space,
              "no space is left for it: free some, and the view goes on where it was"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {errc::corrupt,
              fmt::format("it is damaged ({}): {}", what.text, how_to_make_anew(file))};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {errc::store_in_use,
              fmt::format("another holds it locked, for more than {}: end that transaction, and "
                          "the view goes on where it was",
                          limits::sqlite_lock_wait)};
    case SQLITE_CANTOPEN: return of_open(what);
    case SQLITE_READONLY:
      if (what.code == SQLITE_READONLY_DBMOVED)
        return of_removed();
      return {errc::permission_denied, "it cannot be written: let this process write it, and its "
                                       "directory"};
    case SQLITE_PERM:
      return {errc::permission_denied, "it cannot be opened: let this process read and write it"};
    case SQLITE_IOERR:
      return {errc::io, fmt::format("{}{}; see that its device works, then resume the projector",
                                    what.text, system_text(what.system_errno))};
    case SQLITE_TOOBIG: return {errc::too_large, what.text};
    case SQLITE_NOMEM: return {errc::overloaded, "there is no memory for it"};
    case SQLITE_AUTH:
      return {errc::invalid_argument, "the transaction, other files and tables that begin with "
                                      "acta_ are the view's own: leave them to it"};
    default: return {errc::invalid_argument, what.text};
  }
}

} // namespace

error error_of(const std::filesystem::path& file, std::string_view sql, const complaint& what) {
  constexpr std::size_t enough = 200; // to know a statement by
  auto [code, text] = meaning_of(file, what);
  if (sql.empty())
    return {code, fmt::format("{}: {}", file.string(), text)};
  return {code, fmt::format("{}: statement '{}{}': {}", file.string(), sql.substr(0, enough),
                            sql.size() > enough ? "..." : "", text)};
}

bool is_of_file(errc code) noexcept {
  return code != errc::invalid_argument && code != errc::too_large;
}

std::string how_to_make_anew(const std::filesystem::path& file) {
  return fmt::format("remove {}: the view is made anew from the log", file.parent_path().string());
}

} // namespace acta::projections::sqlite
