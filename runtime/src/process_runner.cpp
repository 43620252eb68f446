#include "process_runner.hpp"

#include "guarded.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace acta::runtime {

namespace {

using domain::failure_action;

/// As good as for ever, and no more than a clock can add.
constexpr std::chrono::nanoseconds longest_wait = std::chrono::hours(24 * 365);

/// What passes by itself.
[[nodiscard]] bool is_transient(errc code) noexcept {
  return code == errc::overloaded || code == errc::io;
}
/// What ends the engine, and the manager with it.
[[nodiscard]] bool is_the_engines(errc code) noexcept {
  return code == errc::commit_failed || code == errc::engine_stopped;
}

[[nodiscard]] error with_message(const error& of, std::string message) {
  return of.code() == errc::rejected ? error(of.rejection(), std::move(message))
                                     : error(of.code(), std::move(message));
}

[[nodiscard]] stream_id journal_of(const engine& in, std::string_view name) {
  const auto stream = stream_id::from_text(in.category<process_journal>(), name);
  ensure(stream.has_value(), "a process manager's name was checked");
  return *stream;
}

} // namespace

process_runner::process_runner(engine& on, std::unique_ptr<detail::process_type> type,
                               const process_options& options, process_progress progress,
                               std::unique_ptr<storage::log_snapshot> snapshot)
    : engine_(on), type_(std::move(type)), options_(options),
      journal_(journal_of(on, type_->name())), reader_(on, *type_, std::move(snapshot)),
      next_(progress.from), silent_until_(progress.settled), known_until_(reader_.tail()),
      collected_(silent_until_), noted_failures_(std::move(progress.failed)),
      noted_(silent_until_) {
  ensure(options_.max_under_way != 0 && options_.note_every != 0, "options were checked");
  ensure(progress.from != 0, "a manager that was started has noted where it begins");
}

void process_runner::start() {
  actor_.emplace(engine_.system(), [this] { return run(); });
  subscription_ = engine_.on_tail([this](log_position) { actor_->wake(); });
  is_told_of_moves_.store(engine_.clock().add_listener(*this), std::memory_order_relaxed);
  actor_->wake();
}

process_runner::~process_runner() {
  if (is_told_of_moves_.load(std::memory_order_relaxed))
    engine_.clock().remove_listener(*this);
  subscription_.reset();
  std::unique_lock lock(mutex_);
  stopping_ = true;
  while (under_way_ != 0) {
    lock.unlock();
    const bool stepped = engine_.run_one(); // of an engine without threads
    lock.lock();
    if (!stepped && under_way_ != 0)
      moved_.wait(lock);
  }
}

result<void> process_runner::status() const {
  const std::lock_guard guard(mutex_);
  return failure_ ? result<void>(std::unexpected(*failure_)) : result<void>();
}

result<void> process_runner::wait_for(log_position wanted, std::chrono::nanoseconds at_most) const {
  std::unique_lock lock(mutex_);
  const bool met = moved_.wait_for(lock, std::min(at_most, longest_wait),
                                   [&] { return position() >= wanted || failure_.has_value(); });
  if (position() >= wanted)
    return {};
  if (met)
    return std::unexpected(*failure_);
  return failure(errc::timed_out,
                 fmt::format("process manager '{}': position {} is not settled yet; it is at {}",
                             type_->name(), wanted.value(), position().value()));
}

bool process_runner::run() noexcept {
  if (failure_) // written by this thread alone
    return false;
  auto more = work();
  if (more)
    return *more;
  const std::lock_guard guard(mutex_);
  failure_.emplace(std::move(more.error()));
  moved_.notify_all();
  return false;
}

result<bool> process_runner::work() {
  if (auto taken = take_outcomes(); !taken)
    return failure(taken);
  if (auto sent = send_what_is_due(); !sent)
    return failure(sent);
  auto more = read();
  if (!more)
    return more;
  forget_the_past();
  note_progress();
  publish(); // behind the note: the destructor waits for it
  set_alarm();
  return more;
}

result<void> process_runner::take_outcomes() {
  std::vector<arrived_outcome> taken;
  {
    const std::lock_guard guard(mutex_);
    taken.swap(arrived_);
  }
  bool is_room = false;
  for (auto& one : taken) {
    is_room = is_room || one.how.has_value();
    auto settled = one.of ? settle(*one.of, std::move(one.how)) : settle_note(std::move(one.how));
    if (!settled)
      return settled;
  }
  if (is_room) // for those who found none, sooner than they would look
    for (const auto& of : waiting_)
      if (auto& waits = *of->second.busy; std::exchange(waits.backoffs, 0) != 0)
        waits.rest = std::min(waits.rest, backoff(0), [](const pause& a, const pause& b) {
          return a.until_ns < b.until_ns;
        });
  return {};
}

result<void> process_runner::send_what_is_due() {
  if (waiting_.empty())
    return {};
  const auto now = now_ns();
  std::vector<instances::iterator> now_due;
  std::erase_if(waiting_, [&](const auto& of) {
    const bool is_due = of->second.busy->rest.is_over(now);
    if (is_due)
      now_due.push_back(of);
    return is_due;
  });
  for (const auto& of : now_due)
    if (auto sent = send(of); !sent)
      return sent;
  return {};
}

/// True if there is more to read at once.
result<bool> process_runner::read() {
  if (auto refreshed = reader_.refresh(); !refreshed)
    return failure(refreshed);
  if (collected_ < known_until_) {
    auto reached =
      reader_.collect(collected_.next(), process_command_id(type_->name(), {}, 0).high(), stored_);
    if (!reached)
      return failure(reached);
    collected_ = log_position(reached->value() - 1);
    return true;
  }
  if (next_ > reader_.tail())
    return false;
  bool blocked = false;
  auto reached = reader_.read(next_, [&](const found_event& found) {
    auto taken = take(found);
    blocked = taken && !*taken;
    return taken;
  });
  if (!reached)
    return failure(reached);
  next_ = *reached;
  return !blocked && next_ <= reader_.tail();
}

/// False if it has to wait for commands that are under way.
result<bool> process_runner::take(const found_event& found) {
  auto routes = routes_of(found);
  if (!routes)
    return failure(routes);
  for (const auto& one : *routes)
    if (const auto of = instances_.find(one.instance);
        of != instances_.end() && of->second.busy != nullptr)
      return false;
  if (open_.size() >= options_.max_under_way)
    return false;
  if (auto admitted = leave_handled(*routes, found.seen.origin); !admitted)
    return failure(admitted);
  saw_event_ = true;
  std::uint32_t index = 0;
  std::vector<instances::iterator> busy;
  for (const auto& one : *routes) {
    const auto [of, is_new] = instances_.try_emplace(one.instance);
    if (is_new)
      begun_.insert(of->second.began = found.seen.origin.position);
    auto commands = handle(of, found);
    if (!commands)
      return failure(commands);
    const auto count = commands->size();
    if (count > limits::max_commands_per_seen_event - index)
      return failure(errc::too_large,
                     fmt::format("{}: it is answered with more than {} commands",
                                 name_of(found.seen.origin), limits::max_commands_per_seen_event));
    if (count != 0)
      busy.push_back(of);
    begin(of, found, one.what == domain::route::kind::stop, std::move(*commands), index);
    index += static_cast<std::uint32_t>(count);
  }
  for (const auto& of : busy)
    if (auto sent = go_on(of); !sent)
      return failure(sent);
  return true;
}

result<std::vector<domain::route>> process_runner::routes_of(const found_event& found) const {
  auto routes = guarded([&] { return name_of(found.seen.origin); }, "route()",
                        [&] { return type_->route(found.seen); });
  if (!routes)
    return routes;
  std::set<domain::stream_key> seen;
  for (const auto& one : *routes)
    if (!seen.insert(one.instance).second)
      return failure(errc::invalid_argument,
                     name_of(found.seen.origin)
                       + ": route() has an instance twice; return each once");
  return routes;
}

result<void> process_runner::leave_handled(std::vector<domain::route>& routes,
                                           const domain::event_origin& origin) const {
  std::vector<domain::route> handled;
  for (auto& one : routes) {
    const auto is_it = domain::is_handled(one, instances_.contains(one.instance));
    const bool was_before =
      origin.position <= silent_until_ && one.what == domain::route::kind::must_continue;
    if (!is_it && was_before) // it was there, and has come to its end since
      continue;
    if (!is_it)
      return failure(is_it.error().code(), fmt::format("{}: {}; the manager stops before the event",
                                                       name_of(origin), is_it.error().message()));
    if (*is_it)
      handled.push_back(std::move(one));
  }
  routes = std::move(handled);
  return {};
}

result<detail::outgoing_commands> process_runner::handle(instances::iterator of,
                                                         const found_event& found) {
  auto& [key, now] = *of;
  if (now.state == nullptr)
    now.state = type_->make_state();
  if (found.seen.origin.position <= silent_until_)
    return {};
  return guarded([&] { return name_of(found.seen.origin); }, "handle()",
                 [&] { return type_->handle(now.state, found.seen, key); });
}

void process_runner::begin(instances::iterator of, const found_event& found, bool is_last,
                           detail::outgoing_commands&& commands, std::uint32_t first_index) {
  ensure(of->second.busy == nullptr, "an instance does one thing after the other");
  if (commands.empty()) {
    type_->evolve(of->second.state, found.seen);
    if (is_last)
      forget(of);
    return;
  }
  auto next = type_->copy(of->second.state);
  type_->evolve(next, found.seen);
  of->second.busy = std::make_unique<response>(response{.origin = found.seen.origin,
                                                        .correlation = found.correlation,
                                                        .next = std::move(next),
                                                        .is_last = is_last,
                                                        .first_index = first_index,
                                                        .commands = std::move(commands)});
  open_.insert(found.seen.origin.position);
}

/// Sends the next command that is not settled already.
result<void> process_runner::go_on(instances::iterator of) {
  auto& step = *of->second.busy;
  for (; step.at < step.commands.size(); ++step.at) {
    step.attempts = 0;
    step.backoffs = 0;
    auto settled = is_settled_already(of->second);
    if (!settled)
      return failure(settled);
    if (!*settled)
      return send(of);
  }
  end(of);
  return {};
}

/// By what is known of the time before the start. Otherwise the command in hand becomes the one
/// that was to be sent after the failures that were noted.
result<bool> process_runner::is_settled_already(instance& of) {
  auto& step = *of.busy;
  if (stored_.contains(id_of(step).low()))
    return true;
  for (const auto& one : noted_failures_) {
    if (one.position != step.origin.position.value() || one.index != index_of(step))
      continue;
    step.attempts = one.attempt;
    auto answer = ask_policy(of, one.code == errc::rejected ? error(one.rejection, one.message)
                                                            : error(one.code, one.message));
    if (!answer)
      return failure(answer);
    if (answer->what == failure_action::skip)
      return true;
    if (answer->what != failure_action::instead)
      return false; // the policy is another one now
    step.commands[step.at] = std::move(answer->command);
  }
  return false;
}

/// The command in hand, or the note of its failure.
result<void> process_runner::send(instances::iterator of) {
  auto& step = *of->second.busy;
  ensure(step.at < step.commands.size(), "there is a command in hand");
  if (step.answer) {
    tell(of, [&](outcome_handler handler) {
      return engine_.tell<process_journal>(journal_, note_failed_command{step.note},
                                           std::move(handler));
    });
    return {};
  }
  const command_options with{
    .id = id_of(step),
    .metadata = {.correlation = step.correlation, .causation = event_id(step.origin.position)}};
  tell(of, [&](outcome_handler handler) {
    return step.commands[step.at]->send(engine_, with, std::move(handler));
  });
  return {};
}

template <class Tell>
void process_runner::tell(std::optional<instances::iterator> of, Tell tell) {
  {
    const std::lock_guard guard(mutex_);
    if (stopping_)
      return;
    ++under_way_;
  }
  auto told = tell([this, of](outcome&& how) { arrive(of, std::move(how)); });
  if (!told)
    arrive(of, std::unexpected(std::move(told.error())));
}

/// On the thread that commits, mostly.
void process_runner::arrive(std::optional<instances::iterator> of, outcome&& how) noexcept {
  const std::lock_guard guard(mutex_);
  ensure(under_way_ != 0, "an outcome is of something that was sent");
  arrived_.push_back({of, std::move(how)});
  actor_->wake(); // before who destroys this can see that nothing is under way
  if (--under_way_ == 0)
    moved_.notify_all();
}

result<void> process_runner::settle(instances::iterator of, outcome&& how) {
  auto& step = *of->second.busy;
  if (how && step.answer) {
    auto answer = std::move(*step.answer);
    step.answer.reset();
    return act(of, std::move(answer));
  }
  if (how) {
    stored_nothing_ = stored_nothing_ || how->events == 0;
    ++step.at;
    return go_on(of);
  }
  const auto& why = how.error();
  if (is_transient(why.code())) {
    waiting_.push_back(of);
    step.rest = backoff(step.backoffs++);
    return {};
  }
  if (is_the_engines(why.code()) || step.answer)
    return std::unexpected(because_of(step, why));
  return decide_failure(of, why);
}

result<void> process_runner::decide_failure(instances::iterator of, const error& why) {
  auto& step = *of->second.busy;
  ++step.attempts;
  auto answer = ask_policy(of->second, why);
  if (!answer)
    return failure(answer);
  switch (answer->what) {
    case failure_action::stop: break;
    case failure_action::retry:
      waiting_.push_back(of);
      step.rest = pause_for(answer->after);
      return {};
    case failure_action::skip:
    case failure_action::instead:
      step.note = {.position = step.origin.position.value(),
                   .index = index_of(step),
                   .attempt = step.attempts,
                   .code = why.code(),
                   .rejection = why.rejection(),
                   .message = why.message()};
      step.answer = std::move(*answer);
      return send(of);
  }
  return std::unexpected(because_of(step, why));
}

result<void> process_runner::act(instances::iterator of, detail::failure_answer&& answer) {
  auto& step = *of->second.busy;
  step.backoffs = 0;
  if (answer.what == failure_action::skip) {
    ++step.at;
    return go_on(of);
  }
  ensure(answer.command != nullptr, "a command is sent instead");
  step.commands[step.at] = std::move(answer.command);
  return send(of);
}

void process_runner::end(instances::iterator of) {
  auto& [state, began, busy] = of->second;
  const auto at = open_.find(busy->origin.position);
  ensure(at != open_.end(), "an event is open until its commands are settled");
  open_.erase(at);
  if (busy->is_last) {
    forget(of);
    return;
  }
  state = std::move(busy->next);
  busy.reset();
}

void process_runner::forget(instances::iterator of) {
  const auto began = begun_.find(of->second.began);
  ensure(began != begun_.end(), "an instance began somewhere");
  begun_.erase(began);
  instances_.erase(of);
}

result<detail::failure_answer> process_runner::ask_policy(const instance& of,
                                                          const error& why) const {
  const auto& step = *of.busy;
  return guarded([&] { return name_of(step.origin); }, "failed()",
                 [&] {
                   return type_->failed(of.state, *step.commands[step.at], step.origin, why,
                                        step.attempts);
                 });
}

std::string process_runner::name_of(const domain::event_origin& event) const {
  return fmt::format("process manager '{}': event at position {}", type_->name(),
                     event.position.value());
}

error process_runner::because_of(const response& of, const error& why) const {
  return with_message(why, fmt::format("{}: its command to {} failed: {}", name_of(of.origin),
                                       of.commands[of.at]->target(), why.message()));
}

std::uint32_t process_runner::index_of(const response& of) noexcept {
  return of.first_index + static_cast<std::uint32_t>(of.at);
}

command_id process_runner::id_of(const response& of) const noexcept {
  return process_command_id(type_->name(), of.origin.position, index_of(of));
}

log_position process_runner::settled() const noexcept {
  return log_position((open_.empty() ? next_ : *open_.begin()).value() - 1);
}

void process_runner::publish() {
  const auto reached = settled();
  const std::lock_guard guard(mutex_);
  ensure(reached >= position(), "what is settled stays so");
  position_.store(reached.value(), std::memory_order_release);
  moved_.notify_all();
}

/// What is known of the time before the start is asked for as long as an event of that time has
/// commands that are not settled: also those that are sent when others were.
void process_runner::forget_the_past() {
  if (settled() < known_until_ || (stored_.empty() && noted_failures_.empty()))
    return;
  stored_ = {};
  noted_failures_ = {};
}

/// Now and then, and when everything is settled and something was that left no trace. Without an
/// event more seldom: there is little to note, above all not that the last note was stored.
bool process_runner::is_time_to_note() const noexcept {
  const auto read = next_.value() - 1;
  if (read <= noted_.value())
    return false;
  const bool rests = open_.empty() && next_ > reader_.tail();
  const auto notes = (read - noted_.value()) / options_.note_every;
  return notes >= (saw_event_ ? 1 : limits::process_idle_notes) || (rests && stored_nothing_);
}

/// The states behind all that was read, and nothing else, come from the instances of now: so it is
/// now that the note is made up. It waits until what they have sent is settled.
void process_runner::note_progress() {
  if (!note_ && is_time_to_note()) {
    const auto from = begun_.empty() ? next_ : *begun_.begin();
    note_ = {.position = next_.value() - 1, .from = from.value()};
    saw_event_ = false;
    stored_nothing_ = false;
  }
  if (!note_ || is_noting_ || settled().value() < note_->position || !note_rest_.is_over(now_ns()))
    return;
  is_noting_ = true;
  tell(std::nullopt, [&](outcome_handler handler) {
    return engine_.tell<process_journal>(journal_, *note_, std::move(handler));
  });
}

result<void> process_runner::settle_note(outcome&& how) {
  ensure(note_.has_value() && is_noting_, "a note is settled once");
  is_noting_ = false;
  if (how) {
    noted_ = log_position(std::exchange(note_, std::nullopt)->position);
    note_backoffs_ = 0;
    return {};
  }
  if (!is_transient(how.error().code()))
    return failure(how);
  note_rest_ = backoff(note_backoffs_++);
  return {};
}

process_runner::pause process_runner::pause_for(std::chrono::nanoseconds delay) const noexcept {
  constexpr auto never = std::numeric_limits<std::int64_t>::max();
  const auto now = now_ns();
  const bool ends = delay.count() <= never - std::max<std::int64_t>(now, 0);
  return {.since_ns = now, .until_ns = ends ? now + delay.count() : never};
}

process_runner::pause process_runner::backoff(unsigned times) const noexcept {
  constexpr unsigned doublings = 10;
  static_assert(limits::first_process_backoff * (1U << doublings) >= limits::max_process_backoff);
  return pause_for(std::min<std::chrono::nanoseconds>(limits::first_process_backoff
                                                        * (1U << std::min(times, doublings)),
                                                      limits::max_process_backoff));
}

/// Wakes this when the first of what waits is due; not by a clock that says when it moves.
void process_runner::set_alarm() {
  if (is_told_of_moves_.load(std::memory_order_relaxed))
    return;
  constexpr auto never = std::numeric_limits<std::int64_t>::max();
  const bool note_waits = note_ && !is_noting_ && settled().value() >= note_->position;
  auto first = note_waits ? note_rest_.until_ns : never;
  for (const auto& of : waiting_)
    first = std::min(first, of->second.busy->rest.until_ns);
  if (note_waits || !waiting_.empty())
    actor_->wake_after(std::clamp<std::chrono::nanoseconds>(
      std::chrono::nanoseconds(first - now_ns()), {}, limits::max_timer_sleep));
}

} // namespace acta::runtime
