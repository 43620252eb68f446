#pragma once

#include "connection.hpp"

#include <acta/base/error.hpp>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace acta::projections::sqlite {

/// Connections to read a file with, one to a reader at a time; some that are free are kept.
/// Any thread.
class reader_pool {
public:
  explicit reader_pool(std::string name) : name_(std::move(name)) {}

  /// From now on of this file; those of the one before are let go as they come back.
  void open(const std::filesystem::path& file);
  [[nodiscard]] std::filesystem::path file() const;

  /// errc::invalid_argument before open(); those of connection::open(); not_found if the file is
  /// gone.
  [[nodiscard]] result<std::unique_ptr<connection>> take();
  void give_back(std::unique_ptr<connection> one);

private:
  [[nodiscard]] std::unique_ptr<connection> take_kept();

  const std::string name_;
  mutable std::mutex mutex_;
  std::filesystem::path file_;
  std::vector<std::unique_ptr<connection>> kept_;
};

} // namespace acta::projections::sqlite
