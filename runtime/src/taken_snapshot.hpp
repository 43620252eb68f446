#pragma once

#include <acta/base/ids.hpp>

#include <flatbuffers/flatbuffers.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace acta::runtime {

/// A state on its way from its aggregate to the store of snapshots: first with the settlement of
/// the command it was taken after, then, once that is committed, in the snapshot_writer.
struct taken_snapshot {
  /// `waiting` counts the bytes under way.
  taken_snapshot(const stream_id& of, stream_version after, std::uint64_t schema,
                 std::vector<std::byte> ids, flatbuffers::DetachedBuffer saved,
                 std::atomic<std::size_t>& waiting)
      : stream(of), version(after), schema_hash(schema), commands(std::move(ids)),
        state(std::move(saved)), waiting_(waiting) {
    waiting_.fetch_add(size(), std::memory_order_relaxed);
  }
  ~taken_snapshot() { waiting_.fetch_sub(size(), std::memory_order_relaxed); }
  taken_snapshot(const taken_snapshot&) = delete;
  taken_snapshot& operator=(const taken_snapshot&) = delete;

  const stream_id stream;
  const stream_version version;
  const std::uint64_t schema_hash;
  const std::vector<std::byte> commands; ///< And timers: see pending_timers::save().
  const flatbuffers::DetachedBuffer state;

private:
  [[nodiscard]] std::size_t size() const noexcept { return commands.size() + state.size(); }
  std::atomic<std::size_t>& waiting_; // a lone count: nothing is published through it
};

} // namespace acta::runtime
