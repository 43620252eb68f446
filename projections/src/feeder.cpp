#include "feeder.hpp"

#include <acta/base/limits.hpp>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

namespace acta::projections {

feeder::feeder(runtime::engine& engine, projection& view, projector_options options,
               storage::scan_options wanted, std::unique_ptr<storage::log_snapshot> snapshot)
    : engine_(engine), view_(view), options_(std::move(options)), snapshot_(std::move(snapshot)) {
  want(std::move(wanted));
  if (auto loaded = forget_letters(); !loaded)
    stop(loaded.error());
}

/// Reads them from the view.
result<void> feeder::forget_letters() {
  letters_.clear();
  held_.clear();
  auto kept = view_.dead_letters();
  if (!kept)
    return failure(kept);
  for (const auto& one : *kept)
    remember(one);
  return {};
}

void feeder::remember(const dead_letter& letter) {
  const bool is_new = letters_.insert_or_assign(letter.position, letter).second;
  if (is_new && options_.on_failure == failure_policy::hold_stream)
    ++held_[letter.stream];
}

bool feeder::feed() noexcept {
  if (stopped_ || rests_for().value_or(std::chrono::nanoseconds(0)) > std::chrono::nanoseconds(0))
    return false;
  try {
    auto more = advance();
    return more ? *more : go_on_after(log_position(0), more.error());
  } catch (const std::exception& thrown) {
    next_ = shown_;
    stop(error(errc::handler_failed, std::string("it threw: ") + thrown.what()));
  } catch (...) {
    next_ = shown_;
    stop(error(errc::handler_failed, "it threw something that is no std::exception"));
  }
  return false;
}

result<bool> feeder::advance() {
  if (auto refreshed = snapshot_->refresh(); !refreshed)
    return failure(refreshed);
  const auto end = to_ ? std::min(snapshot_->tail(), *to_) : snapshot_->tail();
  if (next_ > end) {
    trouble_.reset(); // it was the log's, and is over
    return false;
  }
  // No further at a time, so that whoever wants to pause it does not wait, and so that a long
  // catch-up does not keep old pages of the log.
  if (next_ == log_position(0))
    shown_ = next_ = snapshot_->first();
  const log_position last(std::min(end.value(), next_.value() + limits::view_window - 1));
  const auto reached = gather(last);
  if (!reached)
    return std::unexpected(reached.error());
  memory_.clear();
  const auto now = engine_.upcasters().apply(gathered_, memory_);
  if (!now)
    return handle_without_one();
  auto rest = *now;
  for (;;) {
    const auto part = rest.first(std::min(rest.size(), options_.batch));
    rest = rest.subspan(part.size());
    if (!handle(part, rest.empty() ? *reached : part.back().position(), end))
      return !stopped_ && !trouble_; // it went back
    if (rest.empty())
      return next_ <= end;
  }
}

/// An event that was gathered cannot be upcast: those before it are handled, or it is the first and
/// fails.
bool feeder::handle_without_one() {
  for (std::size_t i = 0; i < gathered_.size(); ++i) {
    memory_.clear();
    const auto one = engine_.upcasters().apply(std::span(&gathered_[i], 1), memory_);
    if (one)
      continue;
    const auto failed = gathered_[i];
    if (i == 0)
      return go_on_after(failed.position(), one.error()) && bury(failed, one.error());
    memory_.clear();
    const auto before = engine_.upcasters().apply(std::span(gathered_).first(i), memory_);
    const log_position behind(failed.position().value() - 1);
    return before && (handle(*before, behind, behind) || (!stopped_ && !trouble_));
  }
  return true;
}

/// Takes what the view wants of the log up to `last`, or a part of it. Returns how far.
result<log_position> feeder::gather(log_position last) {
  gathered_.clear();
  auto options = wanted_;
  options.up_to = last;
  auto cursor = snapshot_->scan(next_, options);
  if (!cursor)
    return failure(cursor);
  do {
    auto found = (*cursor)->next();
    if (!found && gathered_.empty())
      return failure(found);
    if (!found) // it is told when all before it is handled
      return gathered_.back().position();
    if (found->empty())
      return last;
    gathered_.insert(gathered_.end(), found->begin(), found->end());
  } while (gathered_.size() < options_.batch);
  return gathered_.back().position();
}

/// Has records handled; everything up to `reached` was looked at then, and the log goes on to
/// `end`. False if it cannot go on, or went back.
bool feeder::handle(records all, log_position reached, log_position end) {
  const auto left = shows_each_ ? 0 : end.value() - reached.value();
  for (;;) {
    const auto live = split(all);
    auto done = apply({.records = live, .reached = reached, .dead = dead_, .left = left});
    if (done) {
      move_to(reached);
      return true;
    }
    if (is_ahead()) {
      go_back();
      return false;
    }
    const auto& [why, at] = done.error();
    if (at >= live.size())
      return go_on_after(log_position(0), why);
    const auto failed = live[at];
    const auto before = [&](const auto& one) { return one.position() < failed.position(); };
    const auto begin = std::ranges::find_if_not(all, before) - all.begin();
    if (next_ < failed.position()) { // what is before it is done
      const log_position behind(failed.position().value() - 1);
      const auto dead_before = static_cast<std::size_t>(
        std::ranges::count_if(dead_, [&](const auto& one) { return one.position <= behind; }));
      if (auto first = apply({.records = live.first(at),
                              .reached = behind,
                              .dead = std::span(dead_).first(dead_before)});
          !first)
        return go_on_after(log_position(0), first.error().why);
      move_to(behind);
      all = all.subspan(static_cast<std::size_t>(begin));
    }
    if (!go_on_after(failed.position(), why))
      return false;
    if (!bury(failed, why))
      return false;
    all = all.subspan(1);
  }
}

/// Those that are not held; the others become dead letters, in dead_.
feeder::records feeder::split(records all) {
  dead_.clear();
  if (held_.empty())
    return all;
  live_.clear();
  for (const auto& record : all) {
    if (const auto stream = stream_of(record); held_.contains(stream))
      dead_.push_back(letter_of(
        record, error(errc::handler_failed, "waits: an earlier event of its stream is dead"), 0));
    else
      live_.push_back(record);
  }
  return live_;
}

step_result feeder::apply(const view_step& step) {
  const auto is_new = [&](const auto& one) { return !letters_.contains(one.position); };
  const auto more = static_cast<std::size_t>(std::ranges::count_if(step.dead, is_new));
  if (more != 0 && letters_.size() + more > limits::max_dead_letters) {
    show(); // what is done is sound: nothing is taken back for this
    return std::unexpected(failed_step{
      .why = error(errc::overloaded,
                   "it has " + std::to_string(letters_.size())
                     + " dead letters, and may have no more: retry() or discard() some"),
      .at = step.records.size()});
  }
  try {
    auto done = view_.apply(step);
    if (done)
      for (const auto& one : step.dead)
        remember(one);
    return done;
  } catch (const std::exception& thrown) {
    return std::unexpected(
      failed_step{.why = error(errc::handler_failed, std::string("it threw: ") + thrown.what()),
                  .at = step.records.size()});
  }
}

void feeder::move_to(log_position reached) {
  next_ = reached.next();
  trouble_.reset();
  if (!view_.is_shown())
    return;
  shown_ = next_;
  view_.progress().move_to(reached);
  if (reached >= snapshot_->tail())
    shows_each_ = false;
}

void feeder::show() {
  if (!is_ahead())
    return;
  const log_position reached(next_.value() - 1);
  if (apply({.reached = reached}))
    move_to(reached);
  else
    go_back();
}

/// A step failed while others were not shown, and these went with it: they are done again, and
/// shown, one by one, so that the one that fails is alone.
void feeder::go_back() {
  next_ = shown_;
  shows_each_ = true;
  if (auto loaded = forget_letters(); !loaded)
    stop(loaded.error());
}

/// What is to be done about a failure at an event, or (0) of a store, each of which has its own
/// attempts: an event may fail each time before the store, which cannot bury it, does. True: the
/// event is to be buried; false: it rests, or has stopped.
bool feeder::go_on_after(log_position at, const error& why) {
  show();
  if (!trouble_)
    trouble_ = trouble{.at = log_position(0)};
  if (at != log_position(0) && std::exchange(trouble_->at, at) != at)
    trouble_->attempts = 0;
  const auto attempts = at == log_position(0) ? ++trouble_->of_store : ++trouble_->attempts;
  if (attempts <= options_.retries) {
    constexpr unsigned most_doublings = 20;
    trouble_->since_ns = engine_.clock().now_ns();
    trouble_->rest = std::min<std::chrono::nanoseconds>(
      std::min<std::chrono::nanoseconds>(options_.pause, limits::max_view_pause)
        * (1U << std::min(attempts - 1, most_doublings)),
      limits::max_view_pause);
    return false;
  }
  if (at != log_position(0) && options_.on_failure != failure_policy::stop)
    return true;
  stop(why);
  return false;
}

bool feeder::bury(const storage::record_view& record, const error& why) {
  const std::array letters{letter_of(record, why, trouble_ ? trouble_->attempts : 1)};
  if (auto done = apply({.reached = record.position(), .dead = letters}); !done)
    return go_on_after(log_position(0), done.error().why);
  move_to(record.position());
  return true;
}

dead_letter feeder::letter_of(const storage::record_view& record, const error& why,
                              std::uint32_t attempts) const {
  return {.position = record.position(),
          .stream = stream_of(record),
          .code = why.code(),
          .why = why.message(),
          .attempts = attempts,
          .since_ns = engine_.clock().now_ns()};
}

void feeder::stop(const error& why) {
  stopped_ = true;
  view_.progress().stop(
    error(why.code(), "view '" + std::string(view_.name()) + "' stopped before position "
                        + std::to_string(next_.value()) + ": " + why.message()
                        + "; it goes on with projector::resume() when that is mended"));
}

std::string feeder::stream_of(const storage::record_view& record) const {
  return record.stream().to_string(
    engine_.log().category_name(category_id(record.header().category)));
}

result<void> feeder::go_on(std::optional<log_position> to) {
  show();
  if (to && *to < view_.position())
    return failure(errc::invalid_argument,
                   "view '" + std::string(view_.name()) + "' is at position "
                     + std::to_string(view_.position().value()) + ", behind "
                     + std::to_string(to->value()) + ": reset() takes it back to its beginning");
  to_ = to;
  trouble_.reset();
  if (!std::exchange(stopped_, false))
    return {};
  view_.progress().go_on();
  // What failed may have left its store unusable, or as it was before its last steps.
  auto again = view_.attach(engine_.log());
  if (!again) {
    stop(again.error());
    return failure(again);
  }
  want(std::move(*again));
  return forget_letters();
}

/// Of the view that was just attached.
void feeder::want(storage::scan_options wanted) {
  wanted_ = std::move(wanted);
  engine_.upcasters().add_sources(wanted_.event_types);
  shown_ = next_ = next_of_view();
}

log_position feeder::next_of_view() const noexcept {
  const auto reached = view_.position();
  return reached == log_position(0) ? options_.from : reached.next();
}

result<void> feeder::reset() {
  try {
    if (auto cleared = view_.clear(); !cleared)
      return cleared;
  } catch (const std::exception& thrown) {
    return failure(errc::handler_failed,
                   "view '" + std::string(view_.name()) + "' threw: " + thrown.what());
  }
  letters_.clear();
  held_.clear();
  to_.reset();
  trouble_.reset();
  stopped_ = false;
  next_ = options_.from;
  shown_ = next_;
  view_.progress().go_on();
  view_.progress().move_to(log_position(0));
  return {};
}

result<void> feeder::revive(log_position position, how what) {
  show();
  const auto found = letters_.find(position);
  if (found == letters_.end())
    return failure(errc::not_found, "view '" + std::string(view_.name())
                                      + "' has no dead letter at position "
                                      + std::to_string(position.value()));
  const auto letter = found->second;
  if (letter.attempts == 0)
    for (const auto& [earlier, one] : letters_)
      if (earlier < position && one.stream == letter.stream)
        return failure(errc::invalid_argument,
                       "position " + std::to_string(position.value()) + " waits for position "
                         + std::to_string(earlier.value()) + " of stream " + letter.stream
                         + ", which is dead too: retry or discard that first");
  if (what == how::retried) {
    if (auto done = handle_again(letter); !done)
      return done;
  } else if (auto done = apply({.reached = view_.position(), .revived = position}); !done) {
    return std::unexpected(std::move(done.error().why));
  }
  letters_.erase(position);
  return follow(letter.stream);
}

/// Handles its event; where that fails, it says so from now on.
result<void> feeder::handle_again(const dead_letter& letter) {
  if (auto refreshed = snapshot_->refresh(); !refreshed)
    return refreshed;
  const auto stored = snapshot_->at(letter.position);
  if (!stored)
    return std::unexpected(stored.error());
  memory_.clear();
  const auto now = engine_.upcasters().apply(std::span(&*stored, 1), memory_);
  if (!now)
    return std::unexpected(now.error());
  const auto at = view_.position();
  auto done = apply({.records = *now, .reached = at, .revived = letter.position});
  if (done)
    return {};
  auto changed = letter;
  changed.code = done.error().why.code();
  changed.why = done.error().why.message();
  ++changed.attempts;
  if (done.error().at < now->size()) // else it is the store's fault, which would not take this
    if (auto noted = apply({.reached = at, .dead = std::span(&changed, 1)}); !noted)
      return std::unexpected(std::move(noted.error().why));
  return std::unexpected(std::move(done.error().why));
}

/// What waits for a letter that is gone is handled, up to the next that fails, which is told by
/// dead_letters() alone: the one that was asked for is done.
result<void> feeder::follow(const std::string& stream) {
  const auto held = held_.find(stream);
  if (held == held_.end())
    return {};
  --held->second;
  for (auto next = letters_.begin(); next != letters_.end();) {
    if (next->second.stream != stream) {
      ++next;
      continue;
    }
    if (next->second.attempts != 0)
      return {}; // dead by itself
    if (!handle_again(next->second))
      return {};
    next = letters_.erase(next);
    --held->second;
  }
  held_.erase(held);
  return {};
}

result<view_lag> feeder::lag() const {
  const auto now = engine_.log().snapshot();
  if (!now)
    return std::unexpected(now.error());
  const auto tail = (*now)->tail();
  const auto first = std::max(next_of_view(), (*now)->first());
  if (first > tail)
    return view_lag{};
  const auto oldest = (*now)->at(first);
  if (!oldest)
    return std::unexpected(oldest.error());
  const auto since = engine_.clock().now_ns() - oldest->header().recorded_at_ns;
  return view_lag{.events = tail.value() - first.value() + 1,
                  .time = std::chrono::nanoseconds(std::max<std::int64_t>(since, 0))};
}

void feeder::watch_lag() noexcept {
  const auto& over = options_.alarm_over;
  if (!options_.alarm || (over.events == 0 && over.time.count() == 0))
    return;
  const auto now = lag();
  if (!now)
    return;
  const bool is_over = (over.events != 0 && now->events > over.events)
                       || (over.time.count() != 0 && now->time > over.time);
  if (std::exchange(is_over_, is_over) != is_over)
    options_.alarm(*now, is_over);
}

std::optional<std::chrono::nanoseconds> feeder::watches_again_after() const noexcept {
  const auto& time = options_.alarm_over.time;
  if (!options_.alarm || is_over_ || time.count() == 0 || engine_.log().tail() < next_of_view())
    return std::nullopt;
  return time;
}

/// Of a clock that was set back it is over: nobody knows when it began.
std::optional<std::chrono::nanoseconds> feeder::rests_for() const noexcept {
  if (!trouble_ || stopped_)
    return std::nullopt;
  const std::chrono::nanoseconds passed(engine_.clock().now_ns() - trouble_->since_ns);
  if (passed.count() < 0 || passed >= trouble_->rest)
    return std::chrono::nanoseconds(0);
  return trouble_->rest - passed;
}

} // namespace acta::projections
