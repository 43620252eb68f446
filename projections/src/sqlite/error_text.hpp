#pragma once

#include <acta/base/error.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace acta::projections::sqlite {

/// What SQLite says of a call that failed.
struct complaint {
  int code = 0;         ///< Extended.
  int system_errno = 0; ///< Of the system call behind it; 0 if there is none.
  const char* text = "";
};

/// As our errors are: it names the file and the statement (may be empty), and what to do.
[[nodiscard]] error error_of(const std::filesystem::path& file, std::string_view sql,
                             const complaint& what);

/// True if an error is of the file or its device, and not of a statement.
[[nodiscard]] bool is_of_file(errc code) noexcept;

/// "remove DIRECTORY: the view is made anew from the log".
[[nodiscard]] std::string how_to_make_anew(const std::filesystem::path& file);

} // namespace acta::projections::sqlite
