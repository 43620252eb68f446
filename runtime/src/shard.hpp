#pragma once

#include <acta/base/ids.hpp>

#include <cstddef>

namespace acta::runtime {

/// Which of so many workers a stream's aggregate is at home on, and into whose buffer it stages.
[[nodiscard]] inline std::size_t shard_of(const stream_id& stream, std::size_t shards) noexcept {
  return shards == 1 ? 0 : (stream_hash(stream) >> 32U) % shards;
}

} // namespace acta::runtime
