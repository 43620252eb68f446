#include "timer_service.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/truncation.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

namespace acta::runtime {

namespace {

struct hash_of_stream {
  std::size_t operator()(const stream_id& of) const noexcept { return stream_hash(of); }
};
struct timer_name {
  stream_id stream;
  timer_id id;
  bool operator==(const timer_name&) const = default;
};
struct hash_of_timer {
  std::size_t operator()(const timer_name& of) const noexcept {
    return stream_hash(of.stream) ^ (of.id.value() * 0x9e3779b97f4a7c15ULL);
  }
};

/// Reads what a log says of timers. In two passes, as a truncation may be stored again behind the
/// events that came after it: archiving does.
class timer_reader {
public:
  timer_reader(const core& shared, const storage::log_snapshot& log) : core_(shared), log_(log) {}

  [[nodiscard]] result<loaded_timers> run(const std::optional<storage::timer_checkpoint>& begin) {
    const auto from = begin ? begin->through.next() : log_.first();
    for (event_type_id id(1); !core_.log->event_type_name(id).empty(); id = id.next())
      if (core_.log->event_type_name(id) == storage::truncated_event)
        if (auto read = read_truncations(from, id, !begin); !read)
          return std::unexpected(read.error());
    if (begin)
      for (const auto& one : begin->pending)
        add(one);
    else
      add_kept();
    if (auto read = read_timers(from); !read)
      return std::unexpected(read.error());
    loaded_timers found{.pending = {},
                        .through = log_.tail(),
                        .saved_through = begin ? begin->through : log_position(0)};
    for (const auto& [name, one] : pending_)
      found.pending.push_back(one);
    // In an order that the same log always has.
    std::ranges::sort(found.pending, {}, [](const auto& one) {
      return std::tuple(one.due_ns, stream_hash(one.stream), one.version, one.id);
    });
    return found;
  }

private:
  /// What the newest truncation of a stream says.
  struct cut {
    stream_version through; ///< The events up to this one are not to be looked at: all is in here.
    std::vector<timer_setting> kept{};
  };

  template <class Use>
  [[nodiscard]] result<void> for_each(log_position from, event_type_id type, Use use) {
    auto cursor = log_.scan(from, {.event_types = {type}});
    if (!cursor)
      return failure(cursor);
    for (;;) {
      const auto records = (*cursor)->next();
      if (!records)
        return std::unexpected(records.error());
      if (records->empty())
        return {};
      for (const auto& record : *records) {
        if (auto sound = record.verify(); !sound)
          return sound;
        if (auto used = use(record); !used)
          return used;
      }
    }
  }

  [[nodiscard]] result<void> read_truncations(log_position from, event_type_id type, bool whole) {
    const auto categories = truncated_categories();
    return for_each(from, type, [&](const storage::record_view& record) -> result<void> {
      const auto category = categories.find(category_id(record.header().category));
      if (category == categories.end())
        return {};
      const auto what = storage::read_truncation(record);
      if (!what)
        return std::unexpected(what.error());
      const auto of = storage::in_category(record.stream(), category->second);
      if (what->removed) {
        cuts_[of] = {.through = stream_version(what->before.value() - 1)};
      } else if (what->state && whole) { // a checkpoint has what led to it
        auto parts = take_apart(what->state->metadata);
        if (parts && (!parts->timers.empty() || cuts_.contains(of)))
          cuts_[of] = {.through = what->state->version, .kept = std::move(parts->timers)};
      }
      return {};
    });
  }

  /// By that of their truncations.
  [[nodiscard]] std::map<category_id, category_id> truncated_categories() const {
    std::map<std::string_view, category_id> by_name;
    std::map<category_id, category_id> found;
    for (category_id id(1); !core_.log->category_name(id).empty(); id = id.next()) {
      const auto name = core_.log->category_name(id);
      by_name[name] = id;
      if (!name.starts_with(storage::retention_prefix))
        continue;
      const auto of = by_name.find(name.substr(storage::retention_prefix.size()));
      if (of != by_name.end()) // a category comes before that of its truncations
        found[id] = of->second;
    }
    return found;
  }

  void add_kept() {
    for (const auto& [stream, newest] : cuts_)
      for (const auto& one : newest.kept)
        pending_.insert_or_assign(
          {stream, one.id},
          storage::pending_timer{
            .stream = stream, .id = one.id, .due_ns = one.due_ns, .version = newest.through});
  }

  /// Of the checkpoint, which has all before it: only a removal matters.
  void add(const storage::pending_timer& one) {
    const auto found = cuts_.find(one.stream);
    if (found == cuts_.end() || one.version > found->second.through)
      pending_.insert_or_assign({one.stream, one.id}, one);
  }

  [[nodiscard]] result<void> read_timers(log_position from) {
    return for_each(
      from, core_.timer_event, [&](const storage::record_view& record) -> result<void> {
        const auto setting = read_timer(record);
        if (!setting)
          return std::unexpected(setting.error());
        const auto stream = record.stream();
        if (const auto found = cuts_.find(stream);
            found != cuts_.end() && record.version() <= found->second.through)
          return {};
        if (setting->due_ns == 0)
          pending_.erase({stream, setting->id});
        else
          pending_.insert_or_assign({stream, setting->id},
                                    storage::pending_timer{.stream = stream,
                                                           .id = setting->id,
                                                           .due_ns = setting->due_ns,
                                                           .version = record.version()});
        return {};
      });
  }

  const core& core_;
  const storage::log_snapshot& log_;
  std::unordered_map<stream_id, cut, hash_of_stream> cuts_;
  std::unordered_map<timer_name, storage::pending_timer, hash_of_timer> pending_;
};

} // namespace

bool handles_timers(const core& shared) noexcept {
  return std::ranges::any_of(shared.categories,
                             [](const category_entry& one) { return one.type->has_timers(); });
}

result<event_type_id> timer_event_of(const core& shared) {
  auto& log = *shared.log;
  if (handles_timers(shared))
    return log.register_event_type(timer_event_name());
  for (event_type_id id(1); !log.event_type_name(id).empty(); id = id.next())
    if (log.event_type_name(id) == timer_event_name())
      return id;
  return event_type_id(0);
}

result<loaded_timers> load_timers(const core& shared) {
  ensure(shared.timer_event != event_type_id(0), "the log knows the event type of timers");
  const auto log = shared.log->snapshot();
  if (!log)
    return std::unexpected(log.error());
  auto begin = storage::load_timer_checkpoint(*shared.log, **log);
  if (!begin) {
    shared.warn(begin.error().code(), begin.error().message());
    begin = std::nullopt;
  }
  return timer_reader(shared, **log).run(*begin);
}

} // namespace acta::runtime
