#pragma once

#include <acta/base/error.hpp>

#include <filesystem>
#include <string_view>

namespace acta::storage {

/// What LMDB's return code (its own, or an errno) means for `path`, and the way out. `doing` says
/// what was tried: "commit", "open".
[[nodiscard]] std::unexpected<error> lmdb_failure(int code, const std::filesystem::path& path,
                                                  std::string_view doing);

/// The same for an errno of a system call.
[[nodiscard]] std::unexpected<error> system_failure(int code, const std::filesystem::path& path,
                                                    std::string_view doing);

} // namespace acta::storage
