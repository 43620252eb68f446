#include "snapshot_writer.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <fmt/format.h>

#include <utility>

namespace acta::runtime {

namespace {

[[nodiscard]] std::span<const std::byte> bytes_of(const flatbuffers::DetachedBuffer& state) {
  return std::as_bytes(std::span(state.data(), state.size()));
}

} // namespace

void snapshot_writer::give(std::unique_ptr<taken_snapshot> one, log_position position) {
  ensure(one != nullptr && position <= core_.log->tail(), "a snapshot is of what is committed");
  {
    const std::lock_guard guard(mutex_);
    given_.push_back({std::move(one), position});
  }
  wake();
}

bool snapshot_writer::ready() const noexcept {
  const std::lock_guard guard(mutex_);
  return !given_.empty();
}

bool snapshot_writer::step() noexcept {
  {
    const std::lock_guard guard(mutex_);
    std::swap(in_hand_, given_);
  }
  if (in_hand_.empty())
    return false;
  if (auto saved = save(in_hand_); !saved)
    core_.warn(saved.error().code(), fmt::format("{} snapshots were not saved: {}", in_hand_.size(),
                                                 saved.error().message()));
  in_hand_.clear();
  return true;
}

result<void> snapshot_writer::save(const std::vector<committed>& all) const {
  const auto log = core_.log->snapshot();
  if (!log)
    return std::unexpected(log.error());
  std::vector<storage::snapshot_to_save> wanted;
  wanted.reserve(all.size());
  for (const auto& [snapshot, position] : all) {
    const auto last = (*log)->at(position);
    if (!last)
      return std::unexpected(last.error());
    ensure(last->version() == snapshot->version && last->is_of(snapshot->stream),
           "a snapshot's position is that of its last event");
    wanted.push_back({.stream = snapshot->stream,
                      .snapshot = {.version = snapshot->version,
                                   .position = position,
                                   .event_checksum = last->header().checksum,
                                   .recorded_at_ns = last->header().recorded_at_ns,
                                   .schema_hash = snapshot->schema_hash,
                                   .metadata = snapshot->commands,
                                   .state = bytes_of(snapshot->state)}});
  }
  return core_.options.snapshots->save(wanted);
}

} // namespace acta::runtime
