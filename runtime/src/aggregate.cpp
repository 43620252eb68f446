#include "aggregate.hpp"

#include "aggregate_sink.hpp"
#include "answer.hpp"
#include "committer.hpp"
#include "failures.hpp"
#include "guarded.hpp"
#include "snapshot_writer.hpp"
#include "telemetry.hpp"
#include "timer_command.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/runtime/interceptor.hpp>
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

/// One a thread: it keeps the memory it has grown to.
struct scratch {
  flatbuffers::FlatBufferBuilder builder{1024};
  // Of the command in hand.
  std::vector<detail::verified_event> events; ///< In the staging buffer.
  std::vector<timer_setting> timers;          ///< As asked for; once staged, those that change.
};

[[nodiscard]] scratch& thread_scratch() {
  thread_local scratch of_this_thread;
  return of_this_thread;
}

} // namespace

aggregate::aggregate(const category_entry& category, const stream_id& stream)
    : mailbox(stream), category_(category) {}

aggregate::~aggregate() {
  forget();
}

void aggregate::forget() noexcept {
  if (state_ != nullptr)
    category_.type->destroy_state(state_);
  state_ = nullptr;
  version_ = 0;
  removed_ = false;
  events_since_snapshot_ = 0;
  recent_.clear();
  timers_.clear();
}

void aggregate::handle(std::unique_ptr<detail::envelope> command) noexcept {
  recent_.prefetch();
  auto& times = command->times();
  if (times.sent != 0)
    times.begun = monotonic_ns();
  handle_in_turn(std::move(command));
}

void aggregate::handle(std::unique_ptr<truncation_request> request) noexcept {
  handle_in_turn(std::move(request));
}

template <class Message>
void aggregate::handle_in_turn(std::unique_ptr<Message> message) noexcept {
  ensure(!busy.exchange(true, std::memory_order_acquire), "two threads in one aggregate");
  const auto number = handled.load(std::memory_order_relaxed) + 1;
  handled.store(number, std::memory_order_release);
  auto& to = shared().committer->staging_of(stream());
  auto end = process(std::move(message), to);
  end_turn(end, number);
  to.seal(std::move(end));
  shared().committer->wake();
  busy.store(false, std::memory_order_release);
}

/// Also where nothing ever was, or where it could not be loaded, and after a removal.
void aggregate::end_turn(settlement& end, std::uint64_t number) noexcept {
  if (version_ == 0 || removed_ || category_.type->closed(state_)) {
    end.finished_after = number;
    announced.fetch_add(1, std::memory_order_relaxed);
  }
  note_use();
}

/// For passivation. The other fields are in hand, so this costs little.
void aggregate::note_use() noexcept {
  used_at.store(shared().tick.load(std::memory_order_relaxed), std::memory_order_relaxed);
  const auto now = memory();
  const auto before = memory_bytes.load(std::memory_order_relaxed);
  if (now == before)
    return;
  memory_bytes.store(now, std::memory_order_relaxed);
  shared().aggregate_memory.fetch_add(std::int64_t{now} - before, std::memory_order_relaxed);
}

std::uint32_t aggregate::memory() const noexcept {
  const auto size = shared().bytes_of_actor + recent_.memory() + timers_.memory()
                    + (state_ == nullptr ? 0 : category_.type->heap_size(state_));
  return static_cast<std::uint32_t>(
    std::min<std::size_t>(size, std::numeric_limits<std::uint32_t>::max()));
}

settlement aggregate::end_of(std::unique_ptr<detail::request> command) {
  return {.command = std::move(command),
          .from = this,
          .category = static_cast<std::uint16_t>(category_.index),
          .version = stream_version(version_)};
}

settlement aggregate::fail(std::unique_ptr<detail::request> command, error why) {
  auto end = end_of(std::move(command));
  end.how = settlement::kind::failed;
  end.failure = std::make_unique<error>(std::move(why));
  return end;
}

settlement aggregate::process(std::unique_ptr<detail::envelope> command, staging& to) {
  auto* const of = command.get();
  auto end = settle(std::move(command), to);
  if (of->times().sent != 0)
    of->times().staged = monotonic_ns();
  if (of->answered() == acknowledgement::accepted)
    answer_at_once(end);
  return end;
}

/// In the order of docs/runtime.md.
settlement aggregate::settle(std::unique_ptr<detail::envelope> command, staging& to) {
  if (auto prepared = prepare(*command); !prepared)
    return fail(std::move(command), std::move(prepared.error()));
  if (command->is_timer())
    return is_still_due(*command) ? decide(std::move(command), to) : end_of(std::move(command));
  if (const auto* before = find_repeated(*command))
    return repeat(std::move(command), *before);
  if (auto wanted = check_conditions(*command); !wanted)
    return fail(std::move(command), std::move(wanted.error()));
  return decide(std::move(command), to);
}

const recent_commands::entry*
aggregate::find_repeated(const detail::envelope& command) const noexcept {
  return command.id().empty() ? nullptr : recent_.find(command.id());
}

settlement aggregate::repeat(std::unique_ptr<detail::request> command,
                             const recent_commands::entry& before) {
  auto end = end_of(std::move(command));
  end.how = settlement::kind::repeat;
  end.repeat = true;
  end.events = static_cast<std::uint32_t>(before.events);
  end.version = stream_version(before.version);
  return end;
}

result<void> aggregate::check_deadline(const detail::envelope& command) const {
  if (command.deadline_ns() == 0 || shared().options.clock->now_ns() < command.deadline_ns())
    return {};
  return failure(errc::expired, fmt::format("stream {}: the command's deadline passed before its "
                                            "turn came; nothing happened",
                                            name()));
}

/// Of a command that is no repeat.
result<void> aggregate::check_conditions(const detail::envelope& command) const {
  if (auto in_time = check_deadline(command); !in_time)
    return in_time;
  if (command.expected().matches(stream_version(version_), version_ != 0 && !removed_))
    return {};
  return failure(errc::wrong_version,
                 fmt::format("stream {}: expected {}, and it is at version {}{}", name(),
                             command.expected().to_string(), version_,
                             removed_ ? ", without events since it was removed" : ""));
}

result<void> aggregate::prepare(detail::envelope& command) {
  if (auto refused = check_before_loading(command); !refused)
    return refused;
  return load_or_hold_back();
}

result<void> aggregate::check_before_loading(detail::envelope& command) {
  if (command.id().empty()) // or else it may be a repeat, whose events are stored
    if (auto in_time = check_deadline(command); !in_time)
      return in_time;
  const auto& interceptors = shared().options.interceptors;
  if (interceptors.empty() || command.is_timer())
    return {};
  const auto of = whole_stream();
  command.remember(of);
  const command_view view(command, of, category_.type->category());
  for (auto* one : interceptors) {
    command.count_interceptor();
    const auto passed = guarded([this] { return name(); }, "an interceptor's before()",
                                [&] { return one->before(view); });
    if (!passed)
      return std::unexpected(passed.error());
    if (!*passed)
      return *passed;
  }
  return {};
}

/// Of a caller who does not wait for the commit.
void aggregate::answer_at_once(settlement& end) const {
  const bool failed = end.how == settlement::kind::failed;
  auto how =
    failed ? outcome(std::unexpected(*end.failure))
           : outcome(receipt{
               .version = end.version, .position = {}, .events = end.events, .repeat = end.repeat});
  answer(shared(), end, std::move(how));
  end.answered = true;
  if (end.how == settlement::kind::repeat)
    end.how = settlement::kind::known;
}

settlement aggregate::decide(std::unique_ptr<detail::envelope> command, staging& to) {
  auto& scratch = thread_scratch();
  sink emitted(*this, *command, to, scratch.events, scratch.timers);
  auto decided = guarded(
    [this] { return name(); }, command->is_timer() ? "on_timer()" : "decide()",
    [&] { return command->decide(state_, scratch.builder, emitted, *shared().options.clock); });
  if (command->is_timer() && decided && !*decided) { // it has fired, and that is all
    emitted.begin();
    *decided = domain::accept();
  }
  auto done = decided ? emitted.check() : failure(decided);
  if (done && !*decided)
    done = std::unexpected(error(decided->error().code, std::move(decided->error().reason)));
  if (done)
    done = emitted.stage_timers();
  if (done)
    done = evolve_emitted(scratch.events);
  if (done)
    return accept(std::move(command), scratch.timers, to);
  to.discard();
  if (done.error().code() == errc::handler_failed)
    shared().failures.handler_failed(whole_stream(), done.error());
  return fail(std::move(command), std::move(done.error()));
}

/// The events are facts from here on, unless an evolve() throws.
result<void> aggregate::evolve_emitted(std::span<const detail::verified_event> events) {
  return guarded([this] { return name(); }, "evolve() of an event that was to be stored",
                 [&] { category_.type->evolve(state_, events); });
}

settlement aggregate::accept(std::unique_ptr<detail::envelope> command,
                             std::span<const timer_setting> timers, staging& to) {
  const auto records = to.reserved();
  ensure(timers.size() <= records.size(), "each timer that changes is staged as a record");
  auto remaining = records.size();
  for (const auto record : records)
    storage::set_remaining(record.data(), static_cast<std::uint16_t>(--remaining));
  ensure(remaining == 0, "the last event of a command is followed by none");
  version_ += records.size();
  auto end = end_of(std::move(command));
  end.events = static_cast<std::uint32_t>(records.size());
  if (records.empty())
    return end;
  removed_ = false;
  end.timers = set_timers(timers);
  remember(static_cast<const detail::envelope&>(*end.command).id(), records.size());
  if (category_.snapshot_schema_hash != 0) {
    count_events_since_snapshot(records.size());
    end.snapshot = take_snapshot();
  }
  return end;
}

void aggregate::remember(const command_id& id, std::uint64_t events) {
  constexpr auto version_mask = (std::uint64_t{1} << 48U) - 1;
  if (!id.empty())
    recent_.add({id, version_ & version_mask, events & 0xffffU}, shared().options.repeat_window);
}

void aggregate::count_events_since_snapshot(std::size_t events) noexcept {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  events_since_snapshot_ +=
    static_cast<std::uint32_t>(std::min<std::size_t>(events, most - events_since_snapshot_));
}

result<flatbuffers::DetachedBuffer> aggregate::saved_state() const {
  return guarded(
    [this] { return name(); }, "saving a snapshot",
    [&] {
      flatbuffers::FlatBufferBuilder builder; // not the thread's: it would keep the size it grew to
      category_.type->save(state_, builder);
      return builder.Release();
    });
}

/// A snapshot of the state as it is now, if it is time for one; or else null. The states that
/// follow are made by this thread, too, so this one must be saved before it returns.
std::unique_ptr<taken_snapshot> aggregate::take_snapshot() {
  if (events_since_snapshot_ < shared().options.snapshot_every || !shared().snapshots->has_room())
    return nullptr;
  events_since_snapshot_ = 0;
  auto saved = saved_state();
  if (saved && saved->size() > limits::max_snapshot_size)
    saved = failure(errc::too_large,
                    fmt::format("{}: its snapshot has {} bytes, and at most {} are saved", name(),
                                saved->size(), limits::max_snapshot_size));
  if (!saved) {
    shared().warn(saved.error().code(), saved.error().message());
    return nullptr;
  }
  return shared().snapshots->take(whole_stream(), stream_version(version_),
                                  category_.snapshot_schema_hash, saved_memory(),
                                  std::move(*saved));
}

} // namespace acta::runtime
