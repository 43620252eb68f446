#pragma once

#include <cstdint>
#include <filesystem>

namespace acta::bench {

struct live_settings {
  std::uint64_t rate = 300'000; ///< Commands a second.
  std::uint64_t seconds = 10;   ///< Of each run.
  int rounds = 5;
  bool json = false;
  std::filesystem::path directory; ///< Where the stores are made and removed again.
};

/// Sends commands at a rate, at durability power, in turns without a projection and with four; and
/// prints how far behind the projections were, and what the write side had.
void run_live(const live_settings& with);

} // namespace acta::bench
