#pragma once

#include "writer_lock.hpp"

#include <acta/base/error.hpp>

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <utility>

namespace acta::storage {

/// Says that this process has a store open. LMDB wants an environment opened once a process: of
/// two, the first to be closed would drop the locks of the other, and its readers would read pages
/// that are written over. Threads: any.
class process_claim {
public:
  /// errc::store_in_use if this process has it open already.
  [[nodiscard]] static result<process_claim> acquire(const std::filesystem::path& store);

  process_claim(process_claim&& other) noexcept : of_(std::exchange(other.of_, std::nullopt)) {}
  process_claim& operator=(process_claim&&) = delete;
  ~process_claim();

  /// What it is of. By process, as a child of fork() has this memory and not what is open.
  struct key {
    pid_t process;
    dev_t device;
    ino_t directory;
    bool operator==(const key&) const = default;
  };

private:
  explicit process_claim(const key& of) noexcept : of_(of) {}

  std::optional<key> of_;
};

/// What whoever has a store open holds of it: a writer its lock as well.
class store_hold {
public:
  [[nodiscard]] static result<store_hold> for_writing(const std::filesystem::path& store);
  [[nodiscard]] static result<store_hold> for_reading(const std::filesystem::path& store);

private:
  store_hold(std::optional<writer_lock> writer, process_claim claim)
      : writer_(std::move(writer)), claim_(std::move(claim)) {}

  std::optional<writer_lock> writer_;
  process_claim claim_;
};

} // namespace acta::storage
