#include "aggregate.hpp"

#include "failures.hpp"
#include "guarded.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace acta::runtime {

namespace {

/// True if the events that are left do not tell the state.
[[nodiscard]] bool lacks_events(const storage::truncation& truncated) noexcept {
  return truncated.before != stream_version(1) && !truncated.removed;
}

} // namespace

result<void> aggregate::make_state() {
  const auto made = guarded([this] { return name(); }, "making its state",
                            [&] { return category_.type->make_state(place_); });
  if (!made)
    return std::unexpected(made.error());
  state_ = *made;
  return {};
}

loading_permit aggregate::ask_to_load() {
  auto& limit = *shared().recovery_limit;
  // A permit that it was given has to be taken, and so given back, whatever the index says now.
  if (shared().index->surely_absent(whole_stream()) && !limit.has_granted(*this))
    return {};
  return {limit, *this};
}

/// Where it cannot be loaded, not again at once.
result<void> aggregate::load_or_hold_back() {
  if (state_ != nullptr)
    return {};
  if (auto why = shared().failures.held_back(whole_stream()))
    return std::unexpected(std::move(*why));
  auto loaded = load();
  if (loaded) {
    shared().failures.recovered(whole_stream());
  } else {
    shared().recovery_failures.fetch_add(1, std::memory_order_relaxed);
    shared().failures.recovery_failed(whole_stream(), loaded.error());
  }
  return loaded;
}

result<void> aggregate::load() {
  if (state_ != nullptr)
    return {};
  ensure(version_ == 0 && recent_.empty() && timers_.empty(),
         "what is loaded was forgotten before");
  if (shared().index->surely_absent(whole_stream()))
    return make_state();
  // All events of a stream without an actor are indexed: see housekeeper.
  shared().recoveries.fetch_add(1, std::memory_order_relaxed);
  auto log = shared().log->snapshot();
  if (!log)
    return failure(log);
  const auto truncated = shared().index->truncated(whole_stream(), **log);
  if (!truncated)
    return std::unexpected(truncated.error());
  load_snapshot(**log, *truncated);
  if (state_ == nullptr && lacks_events(*truncated))
    if (auto kept = load_kept_state(*truncated); !kept)
      return kept;
  if (state_ == nullptr) {
    if (auto made = make_state(); !made)
      return made;
    version_ = truncated->before.value() - 1; // of a removed stream the numbering goes on
  }
  const auto version_before = version_;
  auto loaded = load_events(**log);
  removed_ = truncated->removed && version_ == version_before;
  if (!loaded)
    forget();
  return loaded;
}

/// Loads the newest snapshot that can be used, if there is one. It must not have a gap between it
/// and the events that are left, nor be of a stream that was removed since.
void aggregate::load_snapshot(const storage::log_snapshot& log,
                              const storage::truncation& truncated) {
  if (category_.snapshot_schema_hash == 0)
    return;
  const stream_version oldest(truncated.before.value() - (truncated.removed ? 0 : 1));
  const auto read =
    shared().options.snapshots->read(whole_stream(), {.min_version = oldest}, [&](auto& one) {
      const auto used = one ? use(*one, log, truncated) : std::unexpected(one.error());
      if (!used)
        shared().warn(used.error().code(), used.error().message());
      return !used || !*used;
    });
  if (!read)
    shared().warn(read.error().code(), read.error().message());
}

/// False if it is sound, but not of use to this program.
result<bool> aggregate::use(const storage::stream_snapshot& one, const storage::log_snapshot& log,
                            const storage::truncation& truncated) {
  if (one.schema_hash != category_.snapshot_schema_hash)
    return false;
  auto sound = storage::verify(one, whole_stream(), log);
  if (!sound && sound.error().code() == errc::not_found)
    return false; // its event was archived, and so the log has the state
  if (!sound)
    return failure(sound);
  return restore(one, truncated);
}

/// False if it may lack command ids that the events have.
result<bool> aggregate::restore(const storage::stream_snapshot& one,
                                const storage::truncation& truncated) {
  const auto version = one.version.value();
  const auto memory = take_apart(one.metadata);
  const auto commands = memory
                          ? recent_.load(memory->commands, version, shared().options.repeat_window)
                          : recent_commands::loading::malformed;
  if (commands == recent_commands::loading::too_short && !lacks_events(truncated)) {
    recent_.clear(); // the events have the ids that it may lack
    return false;
  }
  const auto loaded = guarded([this] { return name(); }, "loading its snapshot",
                              [&] {
                                return commands == recent_commands::loading::malformed
                                         ? nullptr
                                         : category_.type->load(place_, one.state);
                              });
  if (loaded && *loaded != nullptr) {
    state_ = *loaded;
    version_ = version;
    for (const auto& timer : memory->timers)
      timers_.apply(timer);
    return true;
  }
  recent_.clear();
  if (!loaded)
    return std::unexpected(loaded.error());
  return failure(errc::corrupt,
                 fmt::format("the snapshot of {} at version {} is none of this aggregate's, or its "
                             "FlatBuffer is damaged; it is not used",
                             name(), version));
}

/// Loads the state that was kept when the stream was truncated. There is no other.
result<void> aggregate::load_kept_state(const storage::truncation& truncated) {
  const auto& kept = truncated.state;
  if (!kept)
    return failure(errc::not_found,
                   fmt::format("stream {}: its events before version {} were truncated, and its "
                               "state was not kept; a snapshot of version {} or later would do "
                               "(none can be used), or remove the stream",
                               name(), truncated.before.value(), truncated.before.value() - 1));
  if (kept->schema_hash != category_.type->snapshot_schema_hash())
    return failure(errc::incompatible_schema,
                   fmt::format("stream {}: its events before version {} were truncated, and the "
                               "state that was kept, at version {}, is of another snapshot table, "
                               "or of another schema_version of it: give the aggregate that one, "
                               "and let load() read what is in it; or remove the stream",
                               name(), truncated.before.value(), kept->version.value()));
  const auto restored = restore(*kept, truncated);
  if (!restored)
    return failure(restored.error().code(),
                   fmt::format("{}; its events before version {} were truncated, so there is "
                               "nothing else: restore a backup, or remove the stream",
                               restored.error().message(), truncated.before.value()));
  ensure(*restored && state_ != nullptr, "what is left is used, or an error");
  return {};
}

result<void> aggregate::load_events(const storage::log_snapshot& log) {
  const auto records = shared().index->read(whole_stream(), log, stream_version(version_ + 1));
  if (!records)
    return std::unexpected(records.error());
  count_events_since_snapshot(records->size());
  upcast_memory memory;
  std::uint64_t events_of_command = 0;
  for (const auto& record : *records) {
    if (auto sound = record.verify(); !sound)
      return sound;
    if (auto evolved = evolve(record, memory); !evolved)
      return evolved;
    ensure(record.version().value() == version_ + 1, "the index checked the versions");
    ++version_;
    ++events_of_command;
    if (record.header().remaining == 0) {
      remember(record.header().command, events_of_command);
      events_of_command = 0;
    }
  }
  return {};
}

/// Applies a stored event as it is now, unless it is dropped.
result<void> aggregate::evolve(const storage::record_view& stored, upcast_memory& memory) {
  if (stored.event_type() == shared().timer_event)
    return evolve_timer(stored);
  memory.clear();
  const auto now = shared().upcasters.apply({&stored, 1}, memory);
  if (!now)
    return std::unexpected(now.error());
  if (now->empty())
    return {};
  const auto& event = now->front();
  const auto index = category_.index_of(event.event_type());
  const auto version = event.header().schema_version;
  if (!index || version > category_.type->events()[*index].schema_version)
    return failure(errc::incompatible_schema,
                   fmt::format("position {}, stream {}: event type '{}' version {} is not one this "
                               "aggregate knows, nor upcast to one; add it to its events, or an "
                               "upcaster to engine_options::upcasters",
                               stored.position().value(), name(),
                               shared().log->event_type_name(event.event_type()), version));
  if (!category_.type->verify(*index, event.payload()))
    return failure(errc::corrupt,
                   fmt::format("position {}, stream {}: the event is not a well-formed '{}'; "
                               "restore a backup",
                               stored.position().value(), name(),
                               category_.type->events()[*index].name));
  const detail::verified_event one{*index, event.payload()};
  const auto evolved = guarded([this] { return name(); }, "evolve() of a stored event",
                               [&] { category_.type->evolve(state_, {&one, 1}); });
  if (!evolved)
    return failure(errc::handler_failed, fmt::format("position {}, {}", stored.position().value(),
                                                     evolved.error().message()));
  return {};
}

} // namespace acta::runtime
