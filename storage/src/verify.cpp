#include <acta/storage/verify.hpp>

#include "record_verifier.hpp"

#include <utility>

namespace acta::storage {

result<verification> verify(const event_log& log, std::size_t max_findings,
                            const std::function<void(log_position)>& progress) {
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  const auto tail = (*snapshot)->tail();
  record_verifier all({.category = [&](category_id id) { return log.category_name(id); },
                       .event_type = [&](event_type_id id) { return log.event_type_name(id); }},
                      max_findings);
  all.begin_at((*snapshot)->first());
  all.check_payloads([&](event_type_id id) { return log.schema(id); });
  while (all.next() <= tail) {
    auto cursor = (*snapshot)->scan(all.next());
    if (!cursor)
      return failure(cursor);
    for (auto records = (*cursor)->next(); records && !records->empty();
         records = (*cursor)->next()) {
      for (const auto& record : *records)
        all.check(record);
      if (progress)
        progress(records->back().position());
    }
    // The cursor stopped before a record it cannot read, within its next batch: one at a time
    // there.
    for (std::size_t i = 0; i < limits::cursor_batch && all.next() <= tail; ++i) {
      auto record = (*snapshot)->at(all.next());
      if (record)
        all.check(*record);
      else
        all.check_unreadable(all.next(), std::move(record.error()));
    }
  }
  return all.end(tail);
}

} // namespace acta::storage
