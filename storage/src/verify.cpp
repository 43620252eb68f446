#include <acta/storage/verify.hpp>

#include "command_check.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>
#include <tsl/robin_map.h>

#include <utility>

namespace acta::storage {

namespace {

class verifier {
public:
  verifier(const event_log& log, std::size_t max_findings) : log_(log), max_(max_findings) {
    versions_.max_load_factor(0.8F);
  }

  void check(const record_view& record) {
    ++found_.records;
    if (auto sound = record.verify(); !sound) {
      add(record.position(), std::move(sound.error()));
      commands_.forget(); // nothing in it can be relied on
      return;
    }
    check_names(record);
    check_version(record);
    if (auto whole = commands_.next(record); !whole)
      add(record.position(), std::move(whole.error()));
    if (record.header().recorded_at_ns < date_ns_)
      add(record, "it is dated before the one before it");
    date_ns_ = record.header().recorded_at_ns;
  }

  void check_unreadable(log_position position, error&& why) {
    ++found_.records;
    add(position, std::move(why));
    commands_.forget();
  }

  [[nodiscard]] verification end(log_position tail) {
    ensure(found_.records == tail.value(), "each position was looked at once");
    if (auto whole = commands_.end(); !whole)
      add(tail, std::move(whole.error()));
    found_.streams = versions_.size();
    return std::move(found_);
  }

private:
  void check_names(const record_view& record) {
    const auto& header = record.header();
    if (log_.category_name(category_id(header.category)).empty())
      add(record, fmt::format("category {} has no name in this store", header.category));
    if (log_.event_type_name(record.event_type()).empty())
      add(record, fmt::format("event type {} has no name in this store", header.event_type));
  }

  /// After a gap, goes on from this version: one damaged record is one finding, and one for the
  /// gap.
  void check_version(const record_view& record) {
    auto& last = versions_[record.stream_hash()];
    const auto version = record.version().value();
    if (version != last + 1)
      add(record, fmt::format("version {} where {} must follow", version, last + 1));
    last = version;
  }

  void add(const record_view& record, const std::string& what) {
    const auto stream = record.stream();
    add(record.position(),
        error(errc::corrupt,
              fmt::format("position {}, stream {}: {}", record.position().value(),
                          stream.to_string(log_.category_name(stream.category())), what)));
  }
  void add(log_position position, error&& why) {
    ++found_.problems;
    if (found_.findings.size() < max_)
      found_.findings.push_back({position, why.message()});
  }

  const event_log& log_;
  std::size_t max_;
  verification found_;
  command_check commands_;
  std::int64_t date_ns_ = std::numeric_limits<std::int64_t>::min();
  /// By stream_hash(), whose 64 bits two of a thousand million streams share once in 37 logs.
  tsl::robin_map<std::uint64_t, std::uint64_t> versions_;
};

} // namespace

result<verification> verify(const event_log& log, std::size_t max_findings,
                            const std::function<void(log_position)>& progress) {
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  const auto tail = (*snapshot)->tail();
  verifier all(log, max_findings);
  log_position next(1);
  while (next <= tail) {
    auto cursor = (*snapshot)->scan(next);
    if (!cursor)
      return failure(cursor);
    for (auto records = (*cursor)->next(); records && !records->empty();
         records = (*cursor)->next()) {
      for (const auto& record : *records)
        all.check(record);
      next = records->back().position().next();
      if (progress)
        progress(records->back().position());
    }
    // The cursor stopped before a record it cannot read, within its next batch: one at a time
    // there.
    for (std::size_t i = 0; i < limits::cursor_batch && next <= tail; ++i, next = next.next()) {
      auto record = (*snapshot)->at(next);
      if (record)
        all.check(*record);
      else
        all.check_unreadable(next, std::move(record.error()));
    }
  }
  return all.end(tail);
}

} // namespace acta::storage
