#include <acta/projections/projector.hpp>

#include "apply.hpp"

#include <algorithm>

namespace acta::projections {

result<log_position> replay(const storage::event_log& log, projection& view, log_position from,
                            const runtime::upcasters& upcasters) {
  view.attach(log);
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto cursor = (*snapshot)->scan(from);
  if (!cursor)
    return failure(cursor);
  runtime::upcast_memory memory;
  for (;;) {
    auto records = (*cursor)->next();
    if (!records)
      return failure(records);
    if (records->empty())
      return (*snapshot)->tail();
    if (auto applied = apply(view, upcasters, *records, memory); !applied)
      return failure(applied);
  }
}

} // namespace acta::projections
