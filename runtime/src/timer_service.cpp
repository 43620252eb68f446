#include "timer_service.hpp"

#include "committer.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace acta::runtime {

namespace {

/// How long it waits for room in the engine before it looks at what is new.
constexpr std::chrono::milliseconds wait_for_room{10};
/// Timers whose aggregates have no room, after which it waits for some before it tries others.
constexpr int refused_at_a_time = 64;

/// Doubled with each attempt, up to the limit.
[[nodiscard]] std::chrono::nanoseconds backoff(std::uint32_t attempts) noexcept {
  constexpr std::uint32_t most_doublings = 20;
  const std::chrono::nanoseconds doubled =
    limits::first_timer_backoff * (1U << std::min(attempts - 1, most_doublings));
  return std::min<std::chrono::nanoseconds>(doubled, limits::max_timer_backoff);
}

/// The end of time, if it were past that.
[[nodiscard]] std::int64_t later(std::int64_t now_ns, std::chrono::nanoseconds by) noexcept {
  constexpr auto last = std::numeric_limits<std::int64_t>::max();
  return now_ns > last - by.count() ? last : now_ns + by.count();
}

} // namespace

timer_service::timer_service(core& shared, sender send) : core_(shared), send_(std::move(send)) {}

timer_service::~timer_service() {
  ignore_clock();
}

result<void> timer_service::open() {
  auto found = load_timers(core_);
  if (!found)
    return std::unexpected(found.error());
  through_ = given_through_ = found->through;
  saved_through_ = found->saved_through;
  std::size_t orphans = 0;
  for (const auto& one : found->pending) {
    set(one.stream, {.id = one.id, .due_ns = one.due_ns}, one.version);
    orphans += type_of(one.stream) == nullptr ? 1U : 0U;
  }
  if (orphans != 0)
    core_.warn(errc::invalid_argument,
               fmt::format("{} pending timers are of aggregates that this engine was not opened "
                           "with, or that have no on_timer(); they do not fire, and stay pending",
                           orphans));
  return {};
}

void timer_service::listen_to_clock() {
  // The thread runs already, and may take one bounded sleep more before it sees this.
  is_told_of_moves_.store(core_.options.clock->add_listener(*this), std::memory_order_relaxed);
}

void timer_service::ignore_clock() noexcept {
  if (is_told_of_moves_.exchange(false, std::memory_order_relaxed))
    core_.options.clock->remove_listener(*this);
}

/// Null if nothing of this engine handles its timers.
const category_entry* timer_service::type_of(const stream_id& stream) const noexcept {
  const auto* category = core_.find(stream.category());
  return category != nullptr && category->type->has_timers() ? category : nullptr;
}

void timer_service::give(std::vector<std::unique_ptr<timer_changes>>& from, log_position through) {
  bool worth_a_visit = !from.empty();
  {
    const std::lock_guard guard(mutex_);
    given_.insert(given_.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
    given_through_ = through;
    worth_a_visit = worth_a_visit || wants_checkpoint();
  }
  from.clear();
  if (worth_a_visit)
    wake();
}

void timer_service::timer_ended(const stream_id& stream, timer_id id, std::int64_t due_ns,
                                const outcome& how) noexcept {
  {
    const std::lock_guard guard(mutex_);
    ended_.push_back({stream, id, due_ns, how ? std::nullopt : std::optional<error>(how.error())});
  }
  wake();
}

bool timer_service::ready() const noexcept {
  {
    const std::lock_guard guard(mutex_);
    if (!given_.empty() || !ended_.empty() || wants_checkpoint())
      return true;
  }
  return has_due();
}

std::chrono::nanoseconds timer_service::look_again_after() const noexcept {
  if (is_told_of_moves_.load(std::memory_order_relaxed) || stopped_ || queue_.empty()
      || under_way_ == limits::max_timers_under_way) // until one of them ends
    return std::chrono::nanoseconds::max();
  const auto now = core_.options.clock->now_ns();
  const auto at = queue_.begin()->first.at_ns;
  if (at <= now)
    return std::chrono::microseconds(1);
  return std::chrono::nanoseconds(std::min(at, later(now, limits::max_timer_sleep)) - now);
}

bool timer_service::has_due() const noexcept {
  return !stopped_ && under_way_ < limits::max_timers_under_way && !queue_.empty()
         && queue_.begin()->first.at_ns <= core_.options.clock->now_ns();
}

bool timer_service::step() noexcept {
  const bool taken = take_given();
  const bool sent = send_due();
  const bool saved = wants_checkpoint_now();
  if (saved)
    save_checkpoint();
  return taken || sent || saved;
}

bool timer_service::take_given() {
  std::vector<std::unique_ptr<timer_changes>> given;
  std::vector<ended> ends;
  {
    const std::lock_guard guard(mutex_);
    given.swap(given_);
    ends.swap(ended_);
    through_ = given_through_;
  }
  for (const auto& one : ends) // a commit's answers come before what it changed
    apply(one);
  for (const auto& one : given)
    apply(*one);
  return !given.empty() || !ends.empty();
}

void timer_service::apply(const timer_changes& changes) {
  if (changes.removed)
    forget(changes.stream);
  for (const auto& one : changes.settings)
    set(changes.stream, one, changes.version);
}

void timer_service::forget(const stream_id& stream) {
  const auto of = all_.find(stream);
  if (of == all_.end())
    return;
  for (auto& one : of->second)
    put_aside(one);
  all_.erase(of);
}

void timer_service::set(const stream_id& stream, const timer_setting& to, stream_version version) {
  const auto of = all_.try_emplace(stream).first;
  auto& timers = of->second;
  auto which = std::ranges::find(timers, to.id, &entry::id);
  if (which == timers.end())
    which = timers.insert(which, entry(to.id));
  put_aside(*which);
  if (to.due_ns == 0) {
    timers.erase(which);
    if (timers.empty())
      all_.erase(of);
    return;
  }
  *which = entry(to.id, to.due_ns, version);
  if (type_of(stream) != nullptr)
    enqueue(of->first, *which, to.due_ns);
}

/// It is neither to be sent nor under way any more.
void timer_service::put_aside(entry& one) {
  if (std::exchange(one.is_queued, false))
    ensure(queue_.erase(one.place) == 1, "what is queued is in the queue");
  if (std::exchange(one.is_under_way, false)) {
    ensure(under_way_ != 0, "it was counted when it was sent");
    --under_way_;
  }
}

void timer_service::enqueue(const stream_id& stream, entry& one, std::int64_t at_ns) {
  ensure(!one.is_queued && !one.is_under_way, "a timer is sent once at a time");
  one.place = {at_ns, next_number_++};
  one.is_queued = true;
  queue_.emplace(one.place, queued{&stream, one.id});
}

/// Of a timer that was sent. It may have been moved, cancelled or set again since.
void timer_service::apply(const ended& end) {
  const auto of = all_.find(end.stream);
  if (of == all_.end())
    return;
  const auto which = std::ranges::find(of->second, end.id, &entry::id);
  if (which == of->second.end() || !which->is_under_way || which->due_ns != end.due_ns)
    return;
  if (end.why)
    try_again(of->first, *which, *end.why);
  else
    set(end.stream, {.id = end.id, .due_ns = 0}, {});
}

void timer_service::try_again(const stream_id& stream, entry& one, const error& why) {
  put_aside(one);
  if (why.code() == errc::commit_failed || why.code() == errc::engine_stopped) {
    stopped_ = true; // the next engine sends it
    return;
  }
  const auto after = backoff(++one.attempts);
  const auto* category = core_.find(stream.category());
  ensure(category != nullptr, "a timer that was sent has an aggregate");
  core_.warn(why.code(),
             fmt::format("stream {}: timer {} did not fire, tried {} times; tried again in {} ms: "
                         "{}",
                         stream.to_string(category->type->category()), one.id.value(), one.attempts,
                         after.count() / 1'000'000, why.message()));
  enqueue(stream, one, later(core_.options.clock->now_ns(), after));
}

/// False if nothing is due, or nothing had room: then it is due again at once, but whoever stops
/// this does not wait for room.
bool timer_service::send_due() {
  if (!has_due())
    return false;
  const auto before = under_way_;
  const auto sent =
    core_.options.deterministic_seed
      ? send_all_due()
      : core_.committer->try_while_full(wait_for_room, [this] { return send_all_due(); });
  ensure(sent || sent.error().code() == errc::overloaded, "what is not room ends the sending");
  return sent || under_way_ != before || core_.options.deterministic_seed;
}

/// errc::overloaded if there was no room for all.
result<void> timer_service::send_all_due() {
  const auto new_places = next_number_;
  int refused = 0;
  while (has_due() && queue_.begin()->first.number < new_places && refused < refused_at_a_time) {
    auto sent = send_first();
    if (!sent && sent.error().code() == errc::overloaded)
      return failure(sent);
    if (!sent) {
      stopped_ = true;
      return {};
    }
    refused += *sent ? 0 : 1;
  }
  if (refused != 0)
    return failure(errc::overloaded, "aggregates whose timers are due have no room");
  return {};
}

/// False if its aggregate has no room: then it goes behind all that are due, which are others'.
/// Errors: the engine's.
result<bool> timer_service::send_first() {
  const auto [stream, id] = queue_.begin()->second;
  auto& timers = all_.at(*stream);
  const auto which = std::ranges::find(timers, id, &entry::id);
  ensure(which != timers.end() && which->is_queued, "what is queued is pending");
  const auto& category = *type_of(*stream);
  std::unique_ptr<detail::envelope> command =
    std::make_unique<timer_command>(*category.type, *stream, id, which->due_ns, *this);
  const auto sent = send_(category, *stream, command);
  if (!sent)
    return sent;
  const auto at = which->place.at_ns;
  put_aside(*which);
  if (!*sent) {
    enqueue(*stream, *which, std::max(at, core_.options.clock->now_ns()));
    return false;
  }
  which->is_under_way = true;
  ++under_way_;
  return true;
}

/// With the lock.
bool timer_service::wants_checkpoint() const noexcept {
  return given_through_.value() - saved_through_.value() >= limits::timer_checkpoint_every
         && !core_.log->directory().empty();
}

bool timer_service::wants_checkpoint_now() const noexcept {
  const std::lock_guard guard(mutex_);
  return wants_checkpoint();
}

void timer_service::save_checkpoint() {
  storage::timer_checkpoint now{.through = through_, .pending = {}};
  for (const auto& [stream, timers] : all_)
    for (const auto& one : timers)
      now.pending.push_back(
        {.stream = stream, .id = one.id, .due_ns = one.due_ns, .version = one.version});
  const auto log = core_.log->snapshot();
  const auto saved =
    log ? storage::save_timer_checkpoint(*core_.log, **log, now) : std::unexpected(log.error());
  if (!saved)
    core_.warn(saved.error().code(),
               fmt::format("the checkpoint of timers was not saved, which costs time when the "
                           "store is opened: {}",
                           saved.error().message()));
  const std::lock_guard guard(mutex_);
  saved_through_ = through_; // if it failed, too: it is not tried at once again
}

void timer_service::end() noexcept {
  ignore_clock();
  (void)take_given();
  stopped_ = true;
  if (through_ != saved_through_ && !core_.log->directory().empty())
    save_checkpoint();
}

} // namespace acta::runtime
