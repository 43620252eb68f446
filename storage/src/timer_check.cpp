#include "timer_check.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace acta::storage {

namespace {

[[nodiscard]] constexpr auto place_of(const auto& one) noexcept {
  return std::pair(one.stream, one.of.version);
}

} // namespace

timer_check::timer_check(std::string_view store_id, log_position first, log_position tail,
                         timer_file file, derived_sink found)
    : file_(std::move(file)), found_(std::move(found)),
      is_compared_(file_.what.through >= first && file_.what.through <= tail),
      begins_at_1_(first == log_position(1)) {
  ensure(file_.what.through != log_position(0), "a checkpoint goes up to a record");
  if (!store_id.empty() && file_.store_id != store_id) {
    is_compared_ = false;
    found_({.what = fmt::format("it is of store {}, not of {}", file_.store_id, store_id)});
  }
  for (auto& one : file_.what.pending)
    all_.push_back({.of = one, .stream = stream_hash(one.stream)});
  std::ranges::sort(all_, {}, [](const timer& one) { return place_of(one); });
}

void timer_check::add(const record_view& record) {
  if (!is_compared_ || record.position() > file_.what.through)
    return;
  if (record.position() == file_.what.through
      && record.header().checksum != file_.record_checksum) {
    is_compared_ = false;
    found_({.what = "the event that it goes up to has another checksum: it is of another log",
            .position = record.position()});
  }
  const auto same =
    std::ranges::equal_range(all_, std::pair(record.stream_hash(), record.version()), {},
                             [](const timer& one) { return place_of(one); });
  for (auto& one : same)
    one.seen = one.seen || record.is_of(one.of.stream);
}

void timer_check::end() const {
  if (!is_compared_ || !begins_at_1_) // the event may have been archived
    return;
  for (const auto& one : all_)
    if (!one.seen)
      found_(
        {.what = fmt::format("timer {} is said to be set by the event of version {}, which "
                             "its stream does not have through position {}",
                             one.of.id.value(), one.of.version.value(), file_.what.through.value()),
         .stream = one.of.stream});
}

} // namespace acta::storage
