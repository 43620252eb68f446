#pragma once

#include "disk_recorder.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

/// What a disk may hold after the power went.
namespace acta::tests {

/// Which syncs of the recorded program the device kept to.
enum class device : std::uint8_t {
  honest,
  forgets_file_syncs, ///< fsync and fdatasync did nothing; writes to files opened O_DSYNC did.
  forgets_everything, ///< No sync did anything.
};

struct power_cut {
  std::size_t at = 0;     ///< Operations that had begun, of those recorded.
  std::uint64_t seed = 0; ///< Chooses what was kept of that which was not synced.
  device kind = device::honest;
  bool keeps_all = false; ///< All of it was: the directory as the program saw it.
};

/// Makes in the empty directory `to` what a disk may hold if the power went at `cut`. What that can
/// be, and what is taken for granted: docs/power-loss.md.
void make_image(std::span<const disk_operation> operations, const power_cut& cut,
                const std::filesystem::path& to);

} // namespace acta::tests
