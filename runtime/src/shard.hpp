#pragma once

#include "compact_stream.hpp"

#include <cstddef>

namespace acta::runtime {

/// Which of so many workers a stream's aggregate is at home on, and into whose buffer it stages.
[[nodiscard]] inline std::size_t shard_of(const compact_stream& stream,
                                          std::size_t shards) noexcept {
  return shards == 1 ? 0 : (stream.hash() >> 32U) % shards;
}

} // namespace acta::runtime
