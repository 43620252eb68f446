#include <acta/storage/event_log.hpp>

namespace acta::storage {

std::string_view name(durability level) noexcept {
  switch (level) {
    case durability::power: return "power";
    case durability::process: return "process";
    case durability::memory: return "memory";
  }
  return "unknown";
}

result<log_position> log_snapshot::position_before(std::int64_t time_ns) const {
  auto before = first().value() - 1; // is dated before
  auto after = tail().value() + 1;
  while (after - before > 1) {
    const auto middle = before + (after - before) / 2;
    const auto record = at(log_position(middle));
    if (!record)
      return std::unexpected(record.error());
    (record->header().recorded_at_ns < time_ns ? before : after) = middle;
  }
  return log_position(before);
}

} // namespace acta::storage
