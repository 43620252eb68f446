#include "record_verifier.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

namespace acta::storage {

record_verifier::record_verifier(type_names names, std::size_t max_findings)
    : names_(std::move(names)), max_(max_findings) {
  versions_.max_load_factor(0.8F);
}

void record_verifier::begin_at(log_position first) {
  ensure(next_ == first_ && first != log_position(0), "a log begins before its first record");
  first_ = next_ = first;
}

void record_verifier::set_place(std::string file, std::uint64_t byte) {
  file_ = std::move(file);
  byte_ = byte;
}

bool record_verifier::check(const record_view& record) {
  ensure(record.position() == next(), "records are checked in the order of their positions");
  const auto before = found_.problems;
  ++found_.records;
  next_ = next_.next();
  if (auto sound = record.verify(); !sound) {
    add(record.position(), std::string(sound.error().message()), record.stream());
    commands_.forget(); // nothing in it can be relied on
    return false;
  }
  check_names(record);
  check_version(record);
  if (auto whole = commands_.next(record); !whole)
    add(record.position(), std::string(whole.error().message()), record.stream());
  if (record.header().recorded_at_ns < date_ns_)
    add(record, "it is dated before the one before it");
  date_ns_ = record.header().recorded_at_ns;
  const bool sound = found_.problems == before;
  if (payloads_)
    if (const auto problem = payloads_->problem_of(record, names_.event_type(record.event_type()));
        !problem.empty())
      add(record, problem);
  return sound;
}

void record_verifier::check_unreadable(log_position position, error&& why) {
  ensure(position == next(), "records are checked in the order of their positions");
  ++found_.records;
  next_ = next_.next();
  add(position, std::string(why.message()), std::nullopt);
  commands_.forget();
}

void record_verifier::check_missing(log_position last, std::string_view in) {
  const auto first = next();
  ensure(first <= last, "what is missing lies behind what was read");
  found_.records += last.value() - first.value() + 1;
  next_ = last.next();
  const auto which =
    first == last ? fmt::format("position {}: the record is", first.value())
                  : fmt::format("positions {} to {}: the records are", first.value(), last.value());
  add(first, fmt::format("{} missing in '{}'; restore a backup", which, in), std::nullopt);
  commands_.forget();
}

verification record_verifier::end(log_position tail) {
  ensure(next_ == tail.next() && found_.records == next_.value() - first_.value(),
         "each position was looked at once");
  if (auto whole = commands_.end(); !whole)
    add(tail, std::string(whole.error().message()), std::nullopt);
  found_.streams = versions_.size();
  return std::move(found_);
}

void record_verifier::check_names(const record_view& record) {
  const auto& header = record.header();
  if (names_.category(category_id(header.category)).empty())
    add(record, fmt::format("category {} has no name in this store", header.category));
  if (names_.event_type(record.event_type()).empty())
    add(record, fmt::format("event type {} has no name in this store", header.event_type));
}

/// After a gap, goes on from this version: one damaged record is one finding, and one for the gap.
void record_verifier::check_version(const record_view& record) {
  auto& last = versions_[record.stream_hash()];
  const auto version = record.version().value();
  const bool begins_late = last == 0 && version != 0 && first_ > log_position(1);
  if (version != last + 1 && !begins_late)
    add(record, fmt::format("version {} where {} must follow", version, last + 1));
  last = version;
}

void record_verifier::add(const record_view& record, const std::string& what) {
  const auto stream = record.stream();
  add(record.position(),
      fmt::format("position {}, stream {}: {}", record.position().value(),
                  stream.to_string(names_.category(stream.category())), what),
      stream);
}

void record_verifier::add(log_position position, std::string&& what,
                          std::optional<stream_id> stream) {
  ++found_.problems;
  if (found_.findings.size() < max_)
    found_.findings.push_back({position, std::move(what), stream, file_, byte_});
}

} // namespace acta::storage
