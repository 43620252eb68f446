#include <acta/projections/projector.hpp>

#include <algorithm>
#include <utility>

namespace acta::projections {

result<log_position> replay(const storage::event_log& log, projection& view, log_position from,
                            const runtime::upcasters& upcasters) {
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
  runtime::upcast_memory memory;
  for (;;) {
    auto records = (*cursor)->next();
    if (!records)
      return failure(records);
    memory.clear();
    const auto now = upcasters.apply(*records, memory);
    if (!now)
      return std::unexpected(now.error());
    const bool is_end = records->empty();
    const auto reached = is_end ? std::max(tail, view.position()) : records->back().position();
    if (auto done = view.apply({.records = *now, .reached = reached}); !done)
      return std::unexpected(std::move(done.error().why));
    view.progress().move_to(reached);
    if (is_end)
      return tail;
  }
}

} // namespace acta::projections
