#pragma once

#include <cstdint>

namespace acta::tests {

/// What crash_writer writes to its standard output for each receipt, in one write(2): a pipe takes
/// so few bytes whole or not at all.
struct receipt_line {
  std::uint64_t order = 0;
  std::uint64_t version = 0;
  std::uint64_t position = 0;
  std::uint64_t events = 0;
  std::uint64_t command = 0; ///< The low half of its command id.
};

} // namespace acta::tests
