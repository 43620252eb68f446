#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace acta::tests {

/// A fresh directory below the system's temporary folder, or another, removed at the end.
class scratch_directory {
public:
  scratch_directory() : scratch_directory(std::filesystem::temp_directory_path()) {}
  explicit scratch_directory(const std::filesystem::path& below) {
    auto name = (below / "acta-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot make a directory like " + name);
    path_ = name;
  }
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

/// A folder in memory, for tests that write much and need none of it on a disk.
[[nodiscard]] inline std::filesystem::path memory_folder() {
  const std::filesystem::path shared = "/dev/shm";
  std::error_code none;
  return std::filesystem::is_directory(shared, none) ? shared
                                                     : std::filesystem::temp_directory_path();
}

} // namespace acta::tests
