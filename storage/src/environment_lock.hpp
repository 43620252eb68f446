#pragma once

#include "file.hpp"

#include <acta/base/error.hpp>

#include <filesystem>
#include <utility>

namespace acta::storage {

/// Keeps the data file of an LMDB environment from being replaced under somebody who reads it.
///
/// Whoever has an environment open holds LMDB's own lock: a shared one (fcntl(2)) on the first byte
/// of `lock.mdb`. It is taken after the data file was opened, though, and the first to take it says
/// for all others which transaction is the last. So a reader that has opened the old file and not
/// taken the lock yet could make others read the new file by the transactions of the old one.
/// Against that, readers hold a shared flock(2) on the directory while they open, and whoever
/// replaces the file an exclusive one. Writers are kept out by writer_lock.
class environment_lock {
public:
  /// To be held while the environment is opened for reading; waits for one that replaces the file.
  [[nodiscard]] static result<environment_lock> for_opening(const std::filesystem::path& directory);

  /// To be held while the data file is replaced. errc::store_in_use names the process that has it
  /// open. It must not be open in this process: fcntl(2) does not tell its own locks apart.
  [[nodiscard]] static result<environment_lock>
  for_replacing(const std::filesystem::path& directory);

private:
  environment_lock(file directory, file table) noexcept
      : directory_(std::move(directory)), table_(std::move(table)) {}

  file directory_;
  file table_; ///< `lock.mdb`, when replacing. Closed first.
};

} // namespace acta::storage
