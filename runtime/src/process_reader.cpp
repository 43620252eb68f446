#include "process_reader.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/event_metadata.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace acta::runtime {

namespace {

[[nodiscard]] domain::stream_key key_of(const storage::record_view& record) {
  const auto bytes = record.key();
  switch (static_cast<key_kind>(record.header().key_kind)) {
    case key_kind::integer: break;
    case key_kind::uuid: {
      std::array<std::byte, 16> uuid{};
      ensure(bytes.size() == uuid.size(), "a record's key is as long as its kind says");
      std::ranges::copy(bytes, uuid.begin());
      return uuid;
    }
    case key_kind::text:
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return record.integer_key();
}

} // namespace

process_reader::process_reader(const engine& of, const detail::process_type& type,
                               std::unique_ptr<storage::log_snapshot> snapshot)
    : log_(of.log()), upcasters_(of.upcasters()), type_(type), snapshot_(std::move(snapshot)) {
  const auto events = type_.events();
  indexes_.resize(1);
  for (event_type_id id(1); !log_.event_type_name(id).empty(); id = id.next()) {
    const auto found = std::ranges::find_if(
      events, [&](const auto& one) { return log_.event_type_name(id) == one.name; });
    const bool is_wanted = found != events.end();
    indexes_.push_back(is_wanted ? std::optional(static_cast<std::size_t>(found - events.begin()))
                                 : std::nullopt);
    if (is_wanted && upcasters_.empty()) // else any type may become one of them
      wanted_.event_types.push_back(id);
  }
}

result<void> process_reader::check() const {
  const auto events = type_.events();
  for (std::size_t i = 0; i < events.size(); ++i)
    if (std::ranges::find(indexes_, std::optional(i)) == indexes_.end())
      return failure(errc::invalid_argument,
                     fmt::format("process manager '{}': its event '{}' is of no aggregate; give "
                                 "the one that emits it to engine::open<...>",
                                 type_.name(), events[i].name));
  return {};
}

result<log_position> process_reader::read(log_position from, const taker& take) {
  auto cursor = snapshot_->scan(from, wanted_);
  if (!cursor)
    return failure(cursor);
  for (int i = 0; i < batches_per_read; ++i) {
    const auto records = (*cursor)->next();
    if (!records)
      return std::unexpected(records.error());
    if (records->empty())
      return tail().next();
    memory_.clear();
    const auto now = upcasters_.apply(*records, memory_);
    if (!now)
      return std::unexpected(now.error());
    for (const auto& record : *now) {
      const auto found = find(record);
      if (!found)
        return std::unexpected(found.error());
      if (!*found)
        continue;
      auto taken = take(**found);
      if (!taken)
        return failure(taken);
      if (!*taken)
        return record.position();
    }
    from = records->back().position().next();
  }
  return from;
}

result<log_position> process_reader::collect(log_position from, std::uint64_t high,
                                             std::unordered_set<std::uint64_t>& to) const {
  auto cursor = snapshot_->scan(from);
  if (!cursor)
    return failure(cursor);
  for (int i = 0; i < batches_per_read; ++i) {
    const auto records = (*cursor)->next();
    if (!records)
      return std::unexpected(records.error());
    if (records->empty())
      return tail().next();
    for (const auto& record : *records)
      if (record.header().command.high() == high)
        to.insert(record.header().command.low());
    from = records->back().position().next();
  }
  return from;
}

result<std::optional<found_event>> process_reader::find(const storage::record_view& record) const {
  const auto type = record.event_type().value();
  if (type >= indexes_.size() || !indexes_[type])
    return std::nullopt;
  const auto index = *indexes_[type];
  const auto& known = type_.events()[index];
  const auto named = [&] {
    return fmt::format("process manager '{}': position {}: event type '{}' version {}",
                       type_.name(), record.position().value(), known.name,
                       record.header().schema_version);
  };
  if (record.header().schema_version > known.schema_version)
    return failure(errc::incompatible_schema,
                   named() + " is newer than this program knows; use a newer program");
  const detail::verified_event event{index, record.payload()};
  if (!type_.verify(event))
    return failure(errc::corrupt,
                   named() + " is not a well-formed FlatBuffer of its type; restore a backup");
  const auto metadata = storage::decode_metadata(record.metadata());
  const auto& header = record.header();
  const bool is_told = metadata && !metadata->correlation.empty(); // else it may be others' bytes
  return found_event{
    .seen = {.event = event,
             .origin = {.key = key_of(record),
                        .category = log_.category_name(category_id(header.category)),
                        .version = record.version(),
                        .position = record.position(),
                        .recorded_at_ns = header.recorded_at_ns}},
    .correlation = is_told ? metadata->correlation : header.command};
}

} // namespace acta::runtime
