#include "aggregate.hpp"

#include "failures.hpp"
#include "guarded.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/record.hpp>

#include <span>
#include <utility>

namespace acta::runtime {

settlement aggregate::process(std::unique_ptr<truncation_request> request, staging& to) {
  const auto& order = request->order();
  const auto stored = order.removes ? remove(order, to) : truncate(order, to);
  if (!stored) {
    to.discard();
    return fail(std::move(request), stored.error());
  }
  const bool removed = order.removes && *stored;
  if (order.removes)
    shared().failures.recovered(whole_stream());
  auto end = end_of(std::move(request));
  end.events = *stored ? 1U : 0U;
  if (removed && shared().timers != nullptr)
    end.timers = std::make_unique<timer_changes>(timer_changes{
      .stream = whole_stream(), .version = stream_version(version_), .removed = true});
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
  const auto commands = saved_memory();
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
  auto log = shared().log->snapshot();
  if (!log)
    return failure(log);
  const auto version = shared().index->version(whole_stream(), **log);
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
  const auto tried = guarded([this] { return name(); }, "making its state",
                             [&] { return category_.type->make_state(spare); });
  if (!tried)
    return std::unexpected(tried.error());
  category_.type->destroy_state(*tried);
  category_.type->destroy_state(state_);
  const auto made = make_state();
  ensure(made.has_value(), "what was just made can be made again");
  recent_.clear();
  timers_.clear();
  removed_ = true;
  events_since_snapshot_ = 0;
  return {};
}

} // namespace acta::runtime
