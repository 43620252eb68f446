#pragma once

#include "file.hpp"

#include <acta/base/error.hpp>

#include <filesystem>

namespace acta::storage {

/// Holds a store for one writer: an exclusive flock(2) on `<store>/writer.lock`. The kernel binds
/// it to this open file, so a second opener is refused in the same process too, and it is let go
/// whenever the process ends, however it ends. The file names the holder, for the error message
/// only; it stays behind, and means nothing while it is not locked.
class writer_lock {
public:
  /// errc::store_in_use names the process that holds it.
  [[nodiscard]] static result<writer_lock> acquire(const std::filesystem::path& store);

private:
  explicit writer_lock(file held) noexcept : held_(std::move(held)) {}

  file held_;
};

} // namespace acta::storage
