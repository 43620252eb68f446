#pragma once

#include <acta/base/error.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace acta::apps {

/// A file that appears under its name only when it is complete: written beside it and renamed.
/// An unfinished one is removed. A pipe or device is written as it is. Not thread-safe.
class output_file {
public:
  [[nodiscard]] static result<output_file> create(const std::filesystem::path& path);
  output_file(output_file&&) = default;
  output_file& operator=(output_file&&) = default;
  ~output_file();

  /// Errors show in finish().
  void write(std::string_view text) noexcept;
  [[nodiscard]] result<void> finish();

private:
  struct closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  output_file(std::filesystem::path path, std::filesystem::path beside, std::FILE* file)
      : path_(std::move(path)), beside_(std::move(beside)), file_(file) {}

  std::filesystem::path path_;
  std::filesystem::path beside_;
  std::unique_ptr<std::FILE, closer> file_;
};

} // namespace acta::apps
