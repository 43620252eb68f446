#pragma once

#include <filesystem>
#include <string>

namespace acta::sim {

/// Where a figure was measured.
struct machine {
  std::string cpu;
  unsigned cores = 0; ///< Those this process may use.
  std::string filesystem;
};

/// Looks at this machine; `store` names the filesystem meant (empty: none). "unknown" where the
/// system does not say.
[[nodiscard]] machine this_machine(const std::filesystem::path& store);

} // namespace acta::sim
