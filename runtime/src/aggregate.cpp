#include "aggregate.hpp"

#include "committer.hpp"
#include "snapshot_writer.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace acta::runtime {

namespace {

struct emitted_event {
  std::size_t index; ///< In Aggregate::events.
  std::span<const std::byte> payload;
};

/// One a thread: it keeps the memory it has grown to.
struct scratch {
  flatbuffers::FlatBufferBuilder builder{1024};
  std::vector<emitted_event> events; ///< Of the command in hand, in the staging buffer.
};

[[nodiscard]] scratch& thread_scratch() {
  thread_local scratch of_this_thread;
  return of_this_thread;
}

/// True if the events that are left do not tell the state.
[[nodiscard]] bool lacks_events(const storage::truncation& truncated) noexcept {
  return truncated.before != stream_version(1) && !truncated.removed;
}

} // namespace

/// Turns what decide() emits into records in the staging buffer.
class aggregate::sink final : public domain::event_sink {
public:
  sink(const aggregate& of, const detail::envelope& command, staging& to,
       std::vector<emitted_event>& events)
      : of_(of), command_(command), to_(to), events_(events) {
    events_.clear();
  }

  void accept(std::size_t event_index, std::uint16_t schema_version,
              std::span<const std::byte> payload) noexcept override {
    if (too_large_ || malformed_)
      return;
    if (!of_.category_.type->verify(event_index, payload)) {
      malformed_ = of_.category_.type->events()[event_index].name;
      return;
    }
    if (payload.size() > limits::max_payload_size
        || bytes_ + payload.size() > limits::max_command_size
        || to_.reserved().size() == limits::max_events_per_command) {
      too_large_ = payload.size();
      return;
    }
    const storage::record_fields fields{
      .stream = of_.stream(),
      .version = stream_version(of_.version_ + to_.reserved().size() + 1),
      .command = command_.id(),
      .event_type = of_.category_.event_ids[event_index],
      .schema_version = schema_version,
      .metadata = {},
      .payload = payload,
    };
    const auto size = storage::record_size(fields);
    bytes_ += size;
    auto* record = to_.reserve(size);
    storage::encode_record(fields, record);
    const auto* staged = record + size - storage::padded(payload.size()); // a record ends with it
    ensure(reinterpret_cast<std::uintptr_t>(staged) % 8 == 0, "a FlatBuffer is read in place");
    events_.push_back({event_index, {staged, payload.size()}});
  }

  /// The size of the event that was over a limit.
  [[nodiscard]] std::optional<std::size_t> too_large() const noexcept { return too_large_; }
  /// The name of an event that does not pass the FlatBuffers verifier, which a reader could not
  /// load.
  [[nodiscard]] std::optional<std::string_view> malformed() const noexcept { return malformed_; }

private:
  const aggregate& of_;
  const detail::envelope& command_;
  staging& to_;
  std::vector<emitted_event>& events_;
  std::size_t bytes_ = 0; ///< Of all records so far.
  std::optional<std::size_t> too_large_;
  std::optional<std::string_view> malformed_;
};

aggregate::aggregate(core& shared, const category_entry& category, mailbox& actor)
    : core_(shared), category_(category), actor_(actor) {}

aggregate::~aggregate() {
  forget();
}

void aggregate::forget() noexcept {
  if (state_ != nullptr)
    category_.type->destroy_state(state_);
  state_ = nullptr;
  version_ = 0;
  events_since_snapshot_ = 0;
  recent_.clear();
}

void aggregate::handle(std::unique_ptr<detail::envelope> command) noexcept {
  handle_in_turn(std::move(command));
}

void aggregate::handle(std::unique_ptr<truncation_request> request) noexcept {
  handle_in_turn(std::move(request));
}

template <class Message>
void aggregate::handle_in_turn(std::unique_ptr<Message> message) noexcept {
  ensure(turn_.exchange(1, std::memory_order_acquire) == 0, "two threads in one aggregate");
  ++handled_;
  auto& to = core_.committer->staging_of(stream());
  to.seal(process(std::move(message), to));
  core_.committer->wake();
  turn_.store(0, std::memory_order_release);
}

settlement aggregate::fail(std::unique_ptr<detail::envelope> command, error why) const {
  return {.command = std::move(command),
          .from = &actor_,
          .how = settlement::kind::failed,
          .version = stream_version(version_),
          .failure = std::make_unique<error>(std::move(why))};
}

settlement aggregate::process(std::unique_ptr<detail::envelope> command, staging& to) {
  auto end = [&] {
    if (auto loaded = load(); !loaded)
      return fail(std::move(command), std::move(loaded.error()));
    const auto* before = command->id().empty() ? nullptr : recent_.find(command->id());
    if (before == nullptr)
      return decide(std::move(command), to);
    return settlement{.command = std::move(command),
                      .from = &actor_,
                      .how = settlement::kind::repeat,
                      .events = static_cast<std::uint32_t>(before->events),
                      .version = stream_version(before->version)};
  }();
  // Also where nothing ever was, or where it could not be loaded.
  if (version_ == 0 || category_.type->closed(state_))
    end.finished_after = handled_;
  return end;
}

settlement aggregate::decide(std::unique_ptr<detail::envelope> command, staging& to) {
  auto& scratch = thread_scratch();
  sink emitted(*this, *command, to, scratch.events);
  std::optional<error> failure;
  try {
    auto decided = category_.type->decide(state_, *command, scratch.builder, emitted);
    if (!decided)
      failure.emplace(decided.error().code, std::move(decided.error().reason));
  } catch (const std::exception& thrown) {
    failure.emplace(errc::handler_failed,
                    fmt::format("{}: decide() threw: {}", name(), thrown.what()));
  } catch (...) {
    failure.emplace(errc::handler_failed,
                    fmt::format("{}: decide() threw something that is no std::exception", name()));
  }
  if (!failure && emitted.malformed())
    failure.emplace(errc::handler_failed,
                    fmt::format("{}: its event {} does not pass the FlatBuffers verifier (tables "
                                "nested too deep?); nothing was stored",
                                name(), *emitted.malformed()));
  if (!failure && emitted.too_large())
    failure.emplace(
      errc::too_large,
      fmt::format("{}: its event number {}, of {} bytes, is over a limit ({} bytes an "
                  "event, {} bytes and {} events a command); nothing was stored",
                  name(), to.reserved().size() + 1, *emitted.too_large(), limits::max_payload_size,
                  limits::max_command_size, limits::max_events_per_command));
  if (!failure)
    return accept(std::move(command), to);
  to.discard();
  return fail(std::move(command), std::move(*failure));
}

settlement aggregate::accept(std::unique_ptr<detail::envelope> command, staging& to) {
  const auto records = to.reserved();
  const auto& events = thread_scratch().events;
  ensure(events.size() == records.size(), "each event emitted is staged as a record");
  auto remaining = records.size();
  for (std::size_t i = 0; i < records.size(); ++i) {
    storage::set_remaining(records[i].data(), static_cast<std::uint16_t>(--remaining));
    category_.type->evolve(state_, events[i].index, events[i].payload);
  }
  version_ += records.size();
  ensure(remaining == 0, "the last event of a command is followed by none");
  settlement end{.command = std::move(command),
                 .from = &actor_,
                 .how = settlement::kind::accepted,
                 .events = static_cast<std::uint32_t>(records.size()),
                 .version = stream_version(version_)};
  if (records.empty())
    return end;
  remember(end.command->id(), records.size());
  if (category_.snapshot_schema_hash != 0) {
    count_events_since_snapshot(records.size());
    end.snapshot = take_snapshot();
  }
  return end;
}

void aggregate::remember(const command_id& id, std::uint64_t events) {
  constexpr auto version_mask = (std::uint64_t{1} << 48U) - 1;
  if (!id.empty())
    recent_.add({id, version_ & version_mask, events & 0xffffU}, core_.options.repeat_window);
}

/// Runs what the user wrote and may throw; what it throws becomes an error.
template <class Function>
auto aggregate::guarded(std::string_view what, Function run) const -> result<decltype(run())> {
  try {
    return run();
  } catch (const std::exception& thrown) {
    return failure(errc::handler_failed,
                   fmt::format("{}: {} threw: {}", name(), what, thrown.what()));
  } catch (...) {
    return failure(errc::handler_failed,
                   fmt::format("{}: {} threw something that is no std::exception", name(), what));
  }
}

result<void> aggregate::make_state() {
  const auto made = guarded("making its state", [&] { return category_.type->make_state(place_); });
  if (!made)
    return std::unexpected(made.error());
  state_ = *made;
  return {};
}

result<void> aggregate::load() {
  if (state_ != nullptr)
    return {};
  ensure(version_ == 0 && recent_.empty(), "what is loaded was forgotten before");
  if (core_.index->surely_absent(stream()))
    return make_state();
  // All events of a stream without an actor are indexed: see housekeeper.
  auto log = core_.log->snapshot();
  if (!log)
    return failure(log);
  const auto truncated = core_.index->truncated(stream(), **log);
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
  auto loaded = load_events(**log);
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
    core_.options.snapshots->read(stream(), {.min_version = oldest}, [&](auto& one) {
      const auto used = one ? use(*one, log, truncated) : std::unexpected(one.error());
      if (!used)
        core_.warn(used.error().code(), used.error().message());
      return !used || !*used;
    });
  if (!read)
    core_.warn(read.error().code(), read.error().message());
}

/// False if it is sound, but not of use to this program.
result<bool> aggregate::use(const storage::stream_snapshot& one, const storage::log_snapshot& log,
                            const storage::truncation& truncated) {
  if (one.schema_hash != category_.snapshot_schema_hash)
    return false;
  auto sound = storage::verify(one, stream(), log);
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
  const auto commands = recent_.load(one.metadata, version, core_.options.repeat_window);
  if (commands == recent_commands::loading::too_short && !lacks_events(truncated)) {
    recent_.clear(); // the events have the ids that it may lack
    return false;
  }
  const auto loaded = guarded("loading its snapshot", [&] {
    return commands == recent_commands::loading::malformed
             ? nullptr
             : category_.type->load(place_, one.state);
  });
  if (loaded && *loaded != nullptr) {
    state_ = *loaded;
    version_ = version;
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
  const auto records = core_.index->read(stream(), log, stream_version(version_ + 1));
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
  memory.clear();
  const auto now = core_.upcasters.apply({&stored, 1}, memory);
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
                               core_.log->event_type_name(event.event_type()), version));
  if (!category_.type->verify(*index, event.payload()))
    return failure(errc::corrupt,
                   fmt::format("position {}, stream {}: the event is not a well-formed '{}'; "
                               "restore a backup",
                               stored.position().value(), name(),
                               category_.type->events()[*index].name));
  category_.type->evolve(state_, *index, event.payload());
  return {};
}

void aggregate::count_events_since_snapshot(std::size_t events) noexcept {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  events_since_snapshot_ +=
    static_cast<std::uint32_t>(std::min<std::size_t>(events, most - events_since_snapshot_));
}

result<flatbuffers::DetachedBuffer> aggregate::saved_state() const {
  return guarded("saving a snapshot", [&] {
    flatbuffers::FlatBufferBuilder builder; // not the thread's: it would keep the size it grew to
    category_.type->save(state_, builder);
    return builder.Release();
  });
}

/// A snapshot of the state as it is now, if it is time for one; or else null. The states that
/// follow are made by this thread, too, so this one must be saved before it returns.
std::unique_ptr<taken_snapshot> aggregate::take_snapshot() {
  if (events_since_snapshot_ < core_.options.snapshot_every || !core_.snapshots->has_room())
    return nullptr;
  events_since_snapshot_ = 0;
  auto saved = saved_state();
  if (saved && saved->size() > limits::max_snapshot_size)
    saved = failure(errc::too_large,
                    fmt::format("{}: its snapshot has {} bytes, and at most {} are saved", name(),
                                saved->size(), limits::max_snapshot_size));
  if (!saved) {
    core_.warn(saved.error().code(), saved.error().message());
    return nullptr;
  }
  return core_.snapshots->take(stream(), stream_version(version_), category_.snapshot_schema_hash,
                               recent_.saved(core_.options.repeat_window), std::move(*saved));
}

settlement aggregate::process(std::unique_ptr<truncation_request> request, staging& to) {
  const auto& order = request->order();
  const auto stored = order.removes ? remove(order, to) : truncate(order, to);
  const bool removed = order.removes && stored;
  auto end = [&] {
    if (!stored) {
      to.discard();
      return fail(std::move(request), stored.error());
    }
    return settlement{.command = std::move(request),
                      .from = &actor_,
                      .how = settlement::kind::accepted,
                      .events = *stored ? 1U : 0U,
                      .version = stream_version(version_)};
  }();
  if (version_ == 0 || removed || category_.type->closed(state_))
    end.finished_after = handled_;
  return end;
}

/// False if it has stored nothing since it was truncated before.
result<bool> aggregate::truncate(const truncation_order& order, staging& to) {
  if (auto loaded = load(); !loaded)
    return failure(loaded);
  const stream_version now(version_);
  ensure(order.earlier.before <= now.next(), "no more is truncated than there is");
  if (order.earlier.before == now.next())
    return false;
  const auto saved = saved_state();
  if (!saved)
    return std::unexpected(saved.error());
  const auto commands = recent_.saved(core_.options.repeat_window);
  // Its position is not known before it is committed, nor needed: the log is its own.
  const storage::truncation what{
    .before = now.next(),
    .state =
      storage::stream_snapshot{.version = now,
                               .position = {},
                               .schema_hash = category_.type->snapshot_schema_hash(),
                               .metadata = commands,
                               .state = std::as_bytes(std::span(saved->data(), saved->size()))}};
  if (auto staged = stage(order, what, to); !staged)
    return failure(staged);
  events_since_snapshot_ = 0;
  return true;
}

/// False if there is nothing to remove. Also of an aggregate that cannot be loaded: it is one way
/// out of that.
result<bool> aggregate::remove(const truncation_order& order, staging& to) {
  auto loaded = load();
  if (!loaded)
    if (auto found = load_version_alone(); !found)
      return failure(found);
  const stream_version now(version_);
  const bool there = storage::exists(order.earlier, now);
  auto done = there ? stage(order, {.before = now.next(), .removed = true}, to) : loaded;
  if (done && there)
    done = begin_anew();
  if (!done && !loaded)
    forget();
  if (!done)
    return failure(done);
  return there;
}

/// Of an aggregate whose state does not matter any more.
result<void> aggregate::load_version_alone() {
  auto log = core_.log->snapshot();
  if (!log)
    return failure(log);
  const auto version = core_.index->version(stream(), **log);
  if (!version)
    return std::unexpected(version.error());
  auto made = make_state();
  if (made)
    version_ = version->value();
  return made;
}

result<void> aggregate::stage(const truncation_order& order, const storage::truncation& what,
                              staging& to) const {
  const auto payload = storage::truncation_payload(what, name());
  if (!payload)
    return std::unexpected(payload.error());
  const storage::record_fields fields{.stream = order.truncations,
                                      .version = order.version,
                                      .command = {},
                                      .event_type = order.event,
                                      .metadata = {},
                                      .payload = *payload};
  storage::encode_record(fields, to.reserve(storage::record_size(fields)));
  ensure(to.reserved().size() == 1, "a truncation is one record");
  return {};
}

/// Forgets what led to the version. On an error everything is as it was.
result<void> aggregate::begin_anew() {
  detail::state_place spare;
  const auto tried = guarded("making its state", [&] { return category_.type->make_state(spare); });
  if (!tried)
    return std::unexpected(tried.error());
  category_.type->destroy_state(*tried);
  category_.type->destroy_state(state_);
  const auto made = make_state();
  ensure(made.has_value(), "what was just made can be made again");
  recent_.clear();
  events_since_snapshot_ = 0;
  return {};
}

} // namespace acta::runtime
