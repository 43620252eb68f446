#include "commands.hpp"
#include "output.hpp"
#include "views.hpp"

#include <acta/base/date.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/statistics.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace acta::tool {

namespace {

using nlohmann::ordered_json;
using storage::log_statistics;
using storage::record_count;
using storage::record_counts;

[[nodiscard]] std::string date_or_none(const std::optional<std::int64_t>& ns) {
  return ns ? date_text(*ns) : "none";
}

[[nodiscard]] std::string reader_text(const log_statistics& of) {
  if (!of.oldest_reader)
    return "none";
  return fmt::format("process {}, {} transactions behind", of.oldest_reader->process,
                     of.oldest_reader->behind);
}

[[nodiscard]] std::string in_text(const log_statistics& of) {
  const auto pages = [&](std::uint64_t count) {
    return fmt::format("{} ({})", count, size_text(count * of.page_size));
  };
  return table({{"store", of.store_id},
                {"created", date_text(of.created_at_ns)},
                {"events", std::to_string(of.events)},
                {"first position", std::to_string(of.first.value())},
                {"first recorded", date_or_none(of.first_recorded_at_ns)},
                {"last recorded", date_or_none(of.last_recorded_at_ns)},
                {"file", size_text(of.file_size)},
                {"map", size_text(of.map_size)},
                {"page size", size_text(of.page_size)},
                {"pages of events", pages(of.event_pages)},
                {"pages free", pages(of.free_pages)},
                {"pages in all", pages(of.used_pages)},
                {"transactions", std::to_string(of.transactions)},
                {"readers", fmt::format("{} of {} slots", of.readers_in_use, of.max_readers)},
                {"oldest reader", reader_text(of)},
                {"stale readers", fmt::format("{} cleared", of.stale_readers)}});
}

[[nodiscard]] std::string in_text(const record_counts& of) {
  std::string text = "\nby category\n";
  for (const auto& one : of.categories)
    text += fmt::format("  {}  {} events, {}, {} streams begun\n", one.name, one.events,
                        size_text(one.bytes), one.streams);
  text += "by event type\n";
  for (const auto& one : of.event_types)
    text += fmt::format("  {}  {} events, {}\n", one.name, one.events, size_text(one.bytes));
  return text;
}

[[nodiscard]] ordered_json date_json(const std::optional<std::int64_t>& ns) {
  return ns ? ordered_json(date_text(*ns)) : ordered_json();
}

[[nodiscard]] ordered_json in_json(const log_statistics& of) {
  ordered_json json{{"store_id", of.store_id},
                    {"created_at", date_text(of.created_at_ns)},
                    {"events", of.events},
                    {"first", of.first.value()},
                    {"tail", of.tail.value()},
                    {"first_recorded_at", date_json(of.first_recorded_at_ns)},
                    {"last_recorded_at", date_json(of.last_recorded_at_ns)},
                    {"file_size", of.file_size},
                    {"map_size", of.map_size},
                    {"page_size", of.page_size},
                    {"event_pages", of.event_pages},
                    {"free_pages", of.free_pages},
                    {"used_pages", of.used_pages},
                    {"transactions", of.transactions},
                    {"readers_in_use", of.readers_in_use},
                    {"max_readers", of.max_readers},
                    {"stale_readers", of.stale_readers},
                    {"oldest_reader", nullptr}};
  if (of.oldest_reader)
    json["oldest_reader"] = {{"process", of.oldest_reader->process},
                             {"transaction", of.oldest_reader->transaction},
                             {"behind", of.oldest_reader->behind}};
  return json;
}

[[nodiscard]] ordered_json in_json(const std::vector<record_count>& of, bool with_streams) {
  auto json = ordered_json::array();
  for (const auto& one : of) {
    ordered_json entry{{"name", one.name}, {"events", one.events}, {"bytes", one.bytes}};
    if (with_streams)
      entry["streams_begun"] = one.streams;
    json.push_back(std::move(entry));
  }
  return json;
}

} // namespace

int stats(const stats_arguments& chosen) {
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return fail(log.error());
  const auto found = storage::statistics(**log);
  if (!found)
    return fail(found.error());
  auto text = in_text(*found);
  auto json = in_json(*found);
  if (chosen.count) {
    const auto counted = storage::count_records(**log, progress_to(found->tail));
    if (!counted)
      return fail(counted.error());
    text += in_text(*counted);
    json["categories"] = in_json(counted->categories, true);
    json["event_types"] = in_json(counted->event_types, false);
  }
  if (auto added = add_views(chosen.store, json, text); !added)
    return fail(added.error());
  const auto valid = ordered_json::error_handler_t::replace; // names may be no UTF-8
  if (auto printed = print(chosen.json ? json.dump(2, ' ', false, valid) + '\n' : text); !printed)
    return fail(printed.error());
  return fine;
}

} // namespace acta::tool
