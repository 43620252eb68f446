#include "snapshot_writer.hpp"

#include "thread_name.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <fmt/format.h>

#include <chrono>

namespace acta::runtime {

namespace {

/// From one save to the next: each is a sync, and the log's syncs come first.
constexpr std::chrono::milliseconds pause{100};

[[nodiscard]] std::span<const std::byte> bytes_of(const flatbuffers::DetachedBuffer& state) {
  return std::as_bytes(std::span(state.data(), state.size()));
}

} // namespace

snapshot_writer::snapshot_writer(core& shared) : core_(shared), thread_([this] { run(); }) {}

snapshot_writer::~snapshot_writer() {
  stop();
}

void snapshot_writer::stop() noexcept {
  if (!thread_.joinable())
    return;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void snapshot_writer::give(std::unique_ptr<taken_snapshot> one, log_position position) {
  ensure(one != nullptr && position <= core_.log->tail(), "a snapshot is of what is committed");
  {
    const std::lock_guard guard(mutex_);
    given_.push_back({std::move(one), position});
  }
  changed_.notify_one();
}

void snapshot_writer::run() noexcept {
  name_this_thread("acta.snapshots");
  std::vector<committed> now;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !given_.empty() || stopping_; });
    if (given_.empty())
      return;
    std::swap(now, given_);
    lock.unlock();
    if (auto saved = save(now); !saved)
      core_.warn(saved.error().code(), fmt::format("{} snapshots were not saved: {}", now.size(),
                                                   saved.error().message()));
    now.clear();
    lock.lock();
    changed_.wait_for(lock, pause, [this] { return stopping_; });
  }
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
