#pragma once

#include "disk_recorder.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>
#include <vector>

/// What the tests that cut the power share.
namespace acta::tests {

using journal = std::vector<disk_operation>;

inline const bool long_tests = std::getenv("ACTA_LONG_TESTS") != nullptr;

/// For what need not be durable: in memory where there is room.
[[nodiscard]] inline std::filesystem::path fast_directory() {
  const std::filesystem::path memory = "/dev/shm";
  std::error_code code;
  constexpr std::uintmax_t enough = std::uintmax_t{256} << 20U;
  const bool room = std::filesystem::space(memory, code).available > enough && !code;
  return room && ::access(memory.c_str(), W_OK) == 0 ? memory
                                                     : std::filesystem::temp_directory_path();
}

/// Of a test, printed: ACTA_POWER_LOSS_SEED repeats it.
[[nodiscard]] inline std::uint64_t choose_seed() {
  const char* const given = std::getenv("ACTA_POWER_LOSS_SEED");
  const std::uint64_t seed =
    given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("seed: ACTA_POWER_LOSS_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

/// Another start of the machine than the one before, as after a power loss.
inline void boot() {
  static std::uint64_t boots = 0;
  disk_recorder::set_boot_id(fmt::format("{:08x}-0000-4000-8000-000000000000", ++boots));
}

/// Before and after the end of each sync, and anywhere; `count` or more.
[[nodiscard]] inline std::vector<std::size_t> cuts_of(const journal& operations, std::size_t count,
                                                      std::mt19937_64& random) {
  std::vector<std::size_t> cuts{0};
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (operations[i].what == disk_operation::kind::settle)
      cuts.insert(cuts.end(), {i, i + 1});
  while (cuts.size() < count)
    cuts.push_back(random() % (operations.size() + 1));
  return cuts;
}

} // namespace acta::tests
