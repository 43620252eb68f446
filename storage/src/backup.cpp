#include <acta/storage/backup.hpp>

#include "disk_log.hpp"
#include "store_copy.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace acta::storage {

namespace {

class copier {
public:
  copier(const event_log& from, event_log& to, dated_log& dated) noexcept
      : from_(from), to_(to), dated_(dated) {}

  /// That `to` is a part of `from`, which has the records up to `most`, as far as its first and its
  /// last position and its last record say. One that is empty begins where `from` does.
  [[nodiscard]] result<void> check_prefix(const log_snapshot& source, const log_start& start,
                                          log_position most) {
    const auto there = to_.snapshot();
    if (!there)
      return std::unexpected(there.error());
    const auto last = (*there)->tail();
    if (last < (*there)->first())
      return dated_.begin_at(start);
    if ((*there)->first() > start.first)
      return differs(fmt::format("it begins at position {}, and the store at {}",
                                 (*there)->first().value(), start.first.value()));
    if (last > most)
      return differs(
        fmt::format("it has {} records, and the store {}", last.value(), most.value()));
    if (last.next() < start.first)
      return differs(fmt::format("it ends at position {}, and the store begins at {}, as what was "
                                 "before was archived",
                                 last.value(), start.first.value()));
    const auto copied = (*there)->at(last);
    if (!copied)
      return std::unexpected(copied.error());
    auto is_same = copied->header().checksum == start.checksum_before;
    if (last >= start.first) {
      const auto original = source.at(last);
      if (!original)
        return std::unexpected(original.error());
      is_same = same_bytes(*copied, *original);
    }
    if (!is_same)
      return differs(fmt::format("its last record, at position {}, is another one", last.value()));
    return {};
  }

  /// Copies one batch of whole commands and reads it back.
  [[nodiscard]] result<void> copy_batch(const log_snapshot& source, log_position goal) {
    auto cursor = source.scan(to_.tail().next());
    if (!cursor)
      return failure(cursor);
    std::vector<record_view> batch;
    std::size_t size = 0;
    for (auto records = (*cursor)->next();; records = (*cursor)->next()) {
      if (!records)
        return std::unexpected(records.error());
      for (const auto& record : *records) {
        if (record.position() > goal)
          break;
        if (auto sound = record.verify(); !sound)
          return sound;
        batch.push_back(record);
        size += record.bytes().size();
        const bool enough = size >= limits::copy_batch_size || record.position() == goal;
        if (enough && record.header().remaining == 0)
          return append(batch);
      }
      if (records->empty() || records->back().position() >= goal)
        return failure(errc::corrupt, fmt::format("the store ends within a command, at position "
                                                  "{}: verify and repair it",
                                                  goal.value()));
    }
  }

private:
  [[nodiscard]] result<void> append(std::span<const record_view> batch) {
    ensure(batch.front().position() == to_.tail().next(), "a copy has no gap");
    ensure(batch.back().header().remaining == 0, "a copy grows by whole commands");
    std::vector<std::span<const std::byte>> records;
    for (const auto& record : batch)
      records.push_back(record.bytes());
    const auto appended = dated_.append_dated(records);
    if (!appended)
      return std::unexpected(appended.error());
    ensure(*appended == batch.back().position(), "a copy has the positions of its store");
    const auto written = to_.snapshot();
    if (!written)
      return std::unexpected(written.error());
    for (const auto& record : batch) {
      const auto back = (*written)->at(record.position());
      if (!back)
        return std::unexpected(back.error());
      if (!same_bytes(*back, record))
        return failure(errc::corrupt,
                       fmt::format("position {}: '{}' does not read back as it was written; check "
                                   "the device (dmesg), and back up into another directory",
                                   record.position().value(), to_.directory().string()));
    }
    return {};
  }

  [[nodiscard]] std::unexpected<error> differs(const std::string& how) const {
    return failure(errc::invalid_argument,
                   fmt::format("'{}' is no backup of store {}: {}; choose a new directory",
                               to_.directory().string(), from_.store_id(), how));
  }

  const event_log& from_;
  event_log& to_;
  dated_log& dated_;
};

/// What is durable: a power loss must not leave a backup with more than its store.
[[nodiscard]] log_position goal_of(const event_log& log, const log_snapshot& now) {
  const auto synced = log.synced_tail();
  return synced == log_position(0) ? now.tail() : std::min(now.tail(), synced);
}

} // namespace

result<backup_result> back_up(const event_log& log, const std::filesystem::path& directory,
                              const std::function<void(log_position, log_position)>& progress) {
  return copy_log(log, directory, std::nullopt, progress);
}

result<backup_result> copy_log(const event_log& log, const std::filesystem::path& directory,
                               std::optional<log_position> end,
                               const std::function<void(log_position, log_position)>& progress) {
  const auto* on_disk = dynamic_cast<const disk_log*>(&log);
  if (on_disk == nullptr)
    return failure(errc::invalid_argument, "a log in memory is no store; export it instead");
  const auto identity = on_disk->environment().identity();
  if (!identity)
    return std::unexpected(identity.error());
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto start = on_disk->start_of(**snapshot);
  if (!start)
    return std::unexpected(start.error());
  if (end)
    start->whole_through = 0; // nobody goes on with it
  const auto most = goal_of(log, **snapshot);
  const auto goal = std::min(end.value_or(most), most);
  auto copy = open_copy(directory, *identity);
  if (!copy)
    return failure(copy);
  auto* dated = dynamic_cast<dated_log*>(copy->get());
  ensure(dated != nullptr, "open_copy() gives a log that takes dated records");
  copier batches(log, **copy, *dated);
  if (auto prefix = batches.check_prefix(**snapshot, *start, most); !prefix)
    return failure(prefix);
  const auto before = (*copy)->tail();
  if (auto named = copy_names(log, **copy); !named)
    return failure(named);
  while ((*copy)->tail() < goal) {
    if (auto copied = batches.copy_batch(**snapshot, goal); !copied)
      return failure(copied);
    if (progress)
      progress((*copy)->tail(), goal);
    // Records do not change: a newer state has the same, and keeps no page from reuse for long.
    if (auto moved = (*snapshot)->refresh(); !moved)
      return failure(moved);
  }
  ensure((*copy)->tail() >= goal, "a copy reaches where it was to");
  return backup_result{.before = before, .after = (*copy)->tail()};
}

} // namespace acta::storage
