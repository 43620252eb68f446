#pragma once

#include "settlement.hpp"
#include "staging.hpp"
#include "telemetry.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace acta::runtime {

/// One round of the committer: what it took from the staging buffers, and what became of it. The
/// memory of its vectors is kept from round to round.
struct commit_round {
  std::uint64_t number = 0; ///< From 1.
  bool took_all = false;    ///< Surely nothing was left in the buffers.
  std::vector<std::span<const std::byte>> records;
  std::vector<settlement*> settlements; ///< In the staging buffers.
  staging::used_blocks used;
  log_position before;          ///< Of the first of the records.
  std::optional<error> failure; ///< Why nothing was stored.
  commit_times times;
};

} // namespace acta::runtime
