#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/timer_checkpoint.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace acta::storage {

inline constexpr const char* timer_file_name = "timers";

/// What the file of a timer checkpoint says; docs/format.md.
struct timer_file {
  std::string store_id;
  std::uint64_t record_checksum = 0; ///< Of the record it goes up to.
  timer_checkpoint what;
};

/// Empty if there is none. Errors: corrupt, newer_format; io, permission_denied.
[[nodiscard]] result<std::optional<timer_file>> read_timer_file(const std::filesystem::path& path);

} // namespace acta::storage
