#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace acta::bench {

struct rebuild_settings {
  std::uint64_t events = 10'000'000; ///< In the log when the rebuild begins, at least.
  bool json = false;
  std::filesystem::path directory; ///< Where the store is made and removed again.
};

/// Makes a store with so many generated orders, of some three events each.
using filler = std::function<void(const std::filesystem::path& store, std::uint64_t orders)>;

/// A view on disk is built anew while commands go on and readers ask all the time: how fast, and
/// whether an answer was wrong. The status to end with: 1 if one was.
[[nodiscard]] int run_rebuild(const rebuild_settings& with, const filler& fill);

} // namespace acta::bench
