#include "process_runner.hpp"

#include "guarded.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace acta::runtime {

namespace {

using domain::failure_action;

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
      silent_until_(progress.settled), known_until_(reader_.tail()), collected_(silent_until_),
      noted_failures_(std::move(progress.failed)), noted_(silent_until_) {
  ensure(options_.max_under_way != 0 && options_.note_every != 0, "options were checked");
}

void process_runner::start() {
  actor_.emplace(engine_.system(), [this] { return run(); });
  subscription_ = engine_.on_tail([this](log_position) { actor_->wake(); });
  actor_->wake();
}

process_runner::~process_runner() {
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
  const bool met =
    moved_.wait_for(lock, at_most, [&] { return position() >= wanted || failure_.has_value(); });
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
        waits.due = std::min(waits.due, after_backoff(0));
  return {};
}

result<void> process_runner::send_what_is_due() {
  if (waiting_.empty())
    return {};
  const auto now = after({});
  std::vector<instances::iterator> now_due;
  std::erase_if(waiting_, [&](const auto& of) {
    const bool is_due = of->second.busy->due <= now;
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
  if (next_ > known_until_) {
    stored_.clear();
    noted_failures_.clear();
  }
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
    auto of = instances_.try_emplace(one.instance).first;
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
      instances_.erase(of);
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

/// On the thread that answers, mostly.
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
    step.due = after_backoff(step.backoffs++);
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
      step.due = after(answer->after);
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
  auto& [state, busy] = of->second;
  const auto at = open_.find(busy->origin.position);
  ensure(at != open_.end(), "an event is open until its commands are settled");
  open_.erase(at);
  if (busy->is_last) {
    instances_.erase(of);
    return;
  }
  state = std::move(busy->next);
  busy.reset();
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

/// Now and then, and when everything is settled and something was that left no trace.
void process_runner::note_progress() {
  const auto reached = settled();
  const bool rests = open_.empty() && next_ > reader_.tail();
  if (noting_ || reached <= noted_ || after({}) < note_due_)
    return;
  // Without an event there is nothing to note; above all not that the last note was stored.
  const bool is_time = saw_event_ && reached.value() - noted_.value() >= options_.note_every;
  if (!is_time && !(rests && stored_nothing_))
    return;
  noting_ = reached;
  saw_event_ = false;
  stored_nothing_ = false;
  tell(std::nullopt, [&](outcome_handler handler) {
    return engine_.tell<process_journal>(journal_, settle_process{reached.value()},
                                         std::move(handler));
  });
}

result<void> process_runner::settle_note(outcome&& how) {
  ensure(noting_.has_value(), "a note is settled once");
  const auto reached = *std::exchange(noting_, std::nullopt);
  if (how) {
    noted_ = reached;
    note_backoffs_ = 0;
    return {};
  }
  stored_nothing_ = true;
  if (!is_transient(how.error().code()))
    return failure(how);
  note_due_ = after_backoff(note_backoffs_++);
  return {};
}

/// Wakes this when the first of what waits is due.
void process_runner::set_alarm() {
  const auto now = after({});
  std::optional<time_point> first;
  for (const auto& of : waiting_)
    first = std::min(first.value_or(time_point::max()), of->second.busy->due);
  if (note_due_ > now)
    first = std::min(first.value_or(time_point::max()), note_due_);
  if (!first || (alarm_ && *alarm_ > now && *alarm_ <= *first))
    return;
  alarm_ = first;
  actor_->wake_after(std::max(*first - now, time_point::duration::zero()));
}

process_runner::time_point process_runner::after(std::chrono::nanoseconds delay) const {
  return actor_->time_passes() ? std::chrono::steady_clock::now() + delay : time_point();
}

process_runner::time_point process_runner::after_backoff(unsigned times) const {
  constexpr unsigned doublings = 10;
  static_assert(limits::first_process_backoff * (1U << doublings) >= limits::max_process_backoff);
  return after(std::min<std::chrono::nanoseconds>(limits::first_process_backoff
                                                    * (1U << std::min(times, doublings)),
                                                  limits::max_process_backoff));
}

} // namespace acta::runtime
