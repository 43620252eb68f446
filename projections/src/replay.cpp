#include <acta/projections/projector.hpp>

#include "view_hold.hpp"

#include <acta/base/limits.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace acta::projections {

result<log_position> replay(const storage::event_log& log, projection& view, log_position from,
                            const runtime::upcasters& upcasters) {
  const auto held = view_hold::of(view);
  if (!held)
    return std::unexpected(held.error());
  auto wanted = view.attach(log);
  if (!wanted)
    return failure(wanted);
  upcasters.add_sources(wanted->event_types);
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  const auto begin =
    view.position() == log_position(0) ? from : std::max(from, view.position().next());
  auto cursor = (*snapshot)->scan(begin, *wanted);
  if (!cursor)
    return failure(cursor);
  const auto tail = (*snapshot)->tail();
  std::vector<storage::record_view> gathered;
  runtime::upcast_memory memory;
  for (bool is_end = false; !is_end;) {
    gathered.clear();
    while (!is_end && gathered.size() < limits::view_batch) {
      auto records = (*cursor)->next();
      if (!records)
        return failure(records);
      gathered.insert(gathered.end(), records->begin(), records->end());
      is_end = records->empty();
    }
    memory.clear();
    const auto now = upcasters.apply(gathered, memory);
    if (!now)
      return std::unexpected(now.error());
    const auto reached = is_end ? std::max(tail, view.position()) : gathered.back().position();
    const auto left = reached < tail ? tail.value() - reached.value() : 0;
    if (auto done = view.apply({.records = *now, .reached = reached, .left = left}); !done)
      return std::unexpected(std::move(done.error().why));
    if (view.is_shown())
      view.progress().move_to(reached);
  }
  return tail;
}

} // namespace acta::projections
