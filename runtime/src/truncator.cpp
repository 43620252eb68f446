#include "truncator.hpp"

#include "callers.hpp"
#include "committer.hpp"
#include "housekeeper.hpp"
#include "log_errand.hpp"
#include "registry.hpp"

#include <acta/base/ensure.hpp>

#include <memory>
#include <utility>

namespace acta::runtime {

truncator::truncator(core& shared, housekeeper& helper, registry& actors,
                     std::function<result<void>()> admit)
    : core_(shared), housekeeper_(helper), registry_(actors), admit_(std::move(admit)) {}

outcome truncator::run(const category_entry& category, const stream_id& stream, bool removes) {
  const std::lock_guard one_at_a_time(locks_[stream_hash(stream) >> 58U]);
  auto order = look_up(category, stream);
  if (!order)
    return failure(order);
  order->removes = removes;
  return wait_for_outcome(core_.callers, [&](outcome_handler handler) {
    auto admitted = admit_();
    if (admitted)
      registry_.send(category, stream,
                     std::make_unique<truncation_request>(*order, std::move(handler)));
    return admitted;
  });
}

result<truncation_order> truncator::look_up(const category_entry& category,
                                            const stream_id& stream) {
  const auto ids = ids_of(category);
  if (!ids)
    return std::unexpected(ids.error());
  auto snapshot = core_.log->snapshot();
  if (!snapshot)
    return failure(snapshot);
  // The truncations before this one are committed, so the log's tail as of now has them.
  if (auto indexed = housekeeper_.index_up_to((*snapshot)->tail()); !indexed)
    return failure(indexed);
  auto earlier = core_.index->truncated(stream, **snapshot);
  if (!earlier)
    return failure(earlier);
  earlier->state.reset(); // it lies in the snapshot
  const auto truncations = storage::in_category(stream, ids->category);
  const auto version = core_.index->version(truncations, **snapshot);
  if (!version)
    return std::unexpected(version.error());
  return truncation_order{.earlier = *earlier,
                          .truncations = truncations,
                          .version = version->next(),
                          .event = ids->event};
}

result<storage::truncation_ids> truncator::ids_of(const category_entry& category) {
  const std::lock_guard guard(ids_mutex_);
  if (const auto known = ids_.find(category.id); known != ids_.end())
    return known->second;
  result<storage::truncation_ids> found;
  const auto done = wait_for_outcome(core_.callers, [&](outcome_handler handler) {
    auto admitted = admit_();
    if (!admitted)
      return admitted;
    auto errand = std::make_unique<log_errand>(
      [&](storage::event_log& log) {
        found = storage::register_truncations(log, category.id);
        return found ? result<void>{} : std::unexpected(found.error());
      },
      std::move(handler));
    core_.committer->stage({.command = std::move(errand), .how = settlement::kind::errand});
    core_.committer->wake();
    return admitted;
  });
  if (!done)
    return std::unexpected(done.error());
  ensure(found.has_value(), "an errand that was done has its result");
  ids_.emplace(category.id, *found);
  return found;
}

} // namespace acta::runtime
