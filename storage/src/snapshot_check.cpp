#include "snapshot_check.hpp"

#include "snapshot_format.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace acta::storage {

snapshot_check::snapshot_check(log_position first, log_position tail, derived_sink found)
    : first_(first), tail_(tail), found_(std::move(found)) {
  ensure(found_ != nullptr, "what is found is told to somebody");
}

void snapshot_check::add(const lmdb_tree& of, const lmdb_entry& entry) {
  if (of.name != snapshots_name)
    return;
  const auto name = parse_snapshot_key(entry.key);
  if (!name)
    return found_({.what = "a key in it is of no snapshot", .byte = entry.byte});
  const auto parsed = parse_snapshot(name->stream, name->version, entry.value);
  if (!parsed)
    return found_(
      {.what = std::string(parsed.error().message()), .byte = entry.byte, .stream = name->stream});
  if (parsed->position != log_position(0) && parsed->position < first_)
    return; // its event was archived
  all_.push_back({parsed->position.value(), parsed->version.value(), parsed->event_checksum,
                  entry.byte, name->stream});
}

void snapshot_check::begin_records() {
  ensure(next_ == 0, "records come once");
  std::ranges::sort(all_, {}, &snapshot::position);
}

void snapshot_check::add(const record_view& record) {
  for (; next_ < all_.size() && all_[next_].position <= record.position().value(); ++next_) {
    const auto& one = all_[next_];
    if (one.position != record.position().value())
      tell(one, "there is no such position");
    else if (!record.is_of(one.stream) || record.version() != stream_version(one.version))
      tell(one, "the event there is not its last one");
    else if (record.header().checksum != one.event_checksum)
      tell(one, "the event there has another checksum: it is of another log");
  }
}

void snapshot_check::end() {
  ensure(next_ <= all_.size(), "each snapshot is told of once");
  for (; next_ < all_.size(); ++next_)
    tell(all_[next_], fmt::format("the log ends at {}", tail_.value()));
}

void snapshot_check::tell(const snapshot& of, const std::string& what) const {
  found_({.what = fmt::format("the snapshot at version {} says that its last event is at position "
                              "{}: {}",
                              of.version, of.position, what),
          .byte = of.byte,
          .position = log_position(of.position),
          .stream = of.stream});
}

} // namespace acta::storage
