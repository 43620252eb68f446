#include "event_reader.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace acta::projections {

namespace {

[[nodiscard]] std::unexpected<error> refused(std::string why) {
  return failure(errc::invalid_argument, "subscription: " + std::move(why));
}

[[nodiscard]] result<void> check(const event_filter& filter, const storage::event_log& log) {
  const auto category = filter.stream ? filter.stream->category() : filter.category;
  const bool names_one = filter.stream || filter.category != category_id(0);
  if (names_one && log.category_name(category).empty())
    return refused("the store has no category " + std::to_string(category.value())
                   + "; was its aggregate given to engine::open()?");
  if (filter.stream && filter.category != category_id(0) && filter.category != category)
    return refused("its stream is not of its category");
  return {};
}

/// Where it begins.
[[nodiscard]] result<log_position> check(std::optional<log_position> after,
                                         const storage::log_snapshot& snapshot) {
  const auto tail = snapshot.tail();
  if (!after)
    return tail;
  if (*after > tail)
    return refused("position " + std::to_string(after->value())
                   + " is beyond the log, which ends at " + std::to_string(tail.value())
                   + ": it is another log's, or a power loss took what was there");
  if (auto cursor = snapshot.scan(after->next()); !cursor) // what was archived is missed by nobody
    return failure(cursor);
  return *after;
}

} // namespace

result<event_reader> event_reader::open(runtime::engine& engine,
                                        const subscription_options& options) {
  if (options.buffer == 0)
    return refused("buffer is 0: it has one event at least");
  if (auto sound = check(options.filter, engine.log()); !sound)
    return failure(sound);
  const auto snapshot = engine.log().snapshot();
  if (!snapshot)
    return std::unexpected(snapshot.error());
  const auto after = check(options.after, **snapshot);
  if (!after)
    return std::unexpected(after.error());
  event_reader made(engine, options, *after);
  made.has_caught_up_ = *after == (*snapshot)->tail();
  if (auto known = made.find_types(); !known)
    return failure(known);
  made.find_history(**snapshot);
  return made;
}

result<void> event_reader::find_types() {
  const auto& log = engine_->log();
  const auto& filter = options_.filter;
  for (const auto& name : filter.event_types) {
    event_type_id id(1);
    while (log.event_type_name(id) != name && !log.event_type_name(id).empty())
      id = id.next();
    if (log.event_type_name(id).empty())
      return refused("the store knows no event type '" + name
                     + "'; was its aggregate given to engine::open()?");
    types_.push_back(id);
  }
  std::ranges::sort(types_);
  wanted_ = {.category = filter.stream ? filter.stream->category() : filter.category,
             .event_types = types_};
  engine_->upcasters().add_sources(wanted_.event_types);
  return {};
}

/// The index knows where the events of one stream are: those of a short one in a long log are read
/// at once, without a look at the millions between them. But it is not asked for more than a few
/// thousand: what of a stream is not in its file yet it walks through, newest first, for each
/// question, so that paging through a long stream there takes time by the square, while the headers
/// of a scan are read once. Neither does it say what was truncated, which subscribers
/// see as long as it is in the log. So its answer is used where it reaches back to the first
/// version, or to where the subscription begins; elsewhere, and behind it, the log is scanned.
void event_reader::find_history(const storage::log_snapshot& snapshot) {
  const auto unseen = snapshot.tail().value() - position_.value();
  if (!options_.filter.stream || unseen <= limits::subscription_history)
    return;
  const auto newest = engine_->read(*options_.filter.stream, snapshot, stream_version(UINT64_MAX),
                                    limits::subscription_history, storage::direction::backward);
  if (!newest || newest->records.empty())
    return;
  const auto& oldest = newest->records.back();
  if (oldest.version() != stream_version(1) && oldest.position() > position_)
    return;
  for (const auto& record : newest->records)
    if (record.position() > position_)
      history_.push_back(record.position());
  std::ranges::reverse(history_);
  history_ends_ = snapshot.tail();
}

result<event_batch> event_reader::read() {
  if (!has_more())
    return event_batch({}, position_);
  const auto snapshot = engine_->log().snapshot();
  if (!snapshot)
    return std::unexpected(snapshot.error());
  taken_.clear();
  taken_size_ = 0;
  const auto reached = position_ < history_ends_ ? read_history(**snapshot) : scan(**snapshot);
  if (!reached)
    return std::unexpected(reached.error());
  memory_.clear();
  const auto now = engine_->upcasters().apply(taken_, memory_);
  if (!now)
    return std::unexpected(now.error());
  ensure(*reached > position_ && *reached <= (*snapshot)->tail(),
         "there was more, and it was read");
  position_ = *reached;
  has_caught_up_ = has_caught_up_ || position_ == (*snapshot)->tail();
  return copy(*now, position_);
}

/// As far as it was read.
result<log_position> event_reader::read_history(const storage::log_snapshot& snapshot) {
  for (auto next = std::ranges::upper_bound(history_, position_); next != history_.end(); ++next) {
    const auto record = snapshot.at(*next);
    if (!record)
      return std::unexpected(record.error());
    if (!take(*record))
      return *next;
  }
  const auto reached = history_ends_;
  history_ = {};
  history_ends_ = {};
  return reached;
}

result<log_position> event_reader::scan(const storage::log_snapshot& snapshot) {
  auto wanted = wanted_;
  wanted.up_to =
    log_position(std::min(snapshot.tail().value(), position_.value() + limits::view_window));
  const auto cursor = snapshot.scan(position_.next(), wanted);
  if (!cursor)
    return std::unexpected(cursor.error());
  const auto& stream = options_.filter.stream;
  for (;;) {
    const auto found = (*cursor)->next();
    if (!found && taken_.empty())
      return std::unexpected(found.error());
    if (!found) // it is told when what is before it was handed out
      return taken_.back().position();
    if (found->empty())
      return wanted.up_to;
    for (const auto& record : *found)
      if ((!stream || record.is_of(*stream)) && !take(record))
        return record.position();
  }
}

/// False if it was the last there is room for.
bool event_reader::take(const storage::record_view& record) {
  taken_.push_back(record);
  taken_size_ += record.bytes().size();
  return taken_.size() < options_.buffer && taken_size_ < limits::max_buffer_size;
}

event_batch event_reader::copy(std::span<const storage::record_view> now, log_position reached) {
  if (types_.empty())
    return {now, reached};
  std::vector<storage::record_view> wanted;
  std::ranges::copy_if(now, std::back_inserter(wanted), [this](const auto& record) {
    return std::ranges::binary_search(types_, record.event_type());
  });
  return {wanted, reached};
}

result<void> event_reader::watch_lag() {
  if (!has_caught_up_)
    return {};
  const auto tail = engine_->log().tail();
  const auto lag = tail.value() - position_.value();
  const auto is_more_than = [&](std::uint64_t limit) { return limit != 0 && lag > limit; };
  if (options_.alarm && is_more_than(options_.alarm_over) != is_over_) {
    is_over_ = !is_over_;
    options_.alarm(lag, is_over_);
  }
  if (is_more_than(options_.drop_over))
    return failure(errc::overloaded, "subscription: its subscriber is " + std::to_string(lag)
                                       + " events behind, and drop_over is "
                                       + std::to_string(options_.drop_over)
                                       + "; to go on where it is, open one with after = "
                                       + std::to_string(position_.value()));
  return {};
}

} // namespace acta::projections
