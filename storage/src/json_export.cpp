#include <acta/storage/json_lines.hpp>

#include "base64.hpp"
#include "disk_log.hpp"
#include "json_text.hpp"

#include <acta/base/date.hpp>
#include <acta/base/ensure.hpp>
#include <acta/storage/stream_name.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <vector>

namespace acta::storage {

namespace {

/// Names as JSON strings, in order of their ids.
template <class Id, class Name>
[[nodiscard]] std::vector<std::string> json_names(const Name& name_of) {
  std::vector<std::string> all;
  for (std::uint16_t id = 1; id != 0 && !name_of(Id(id)).empty(); ++id)
    all.push_back(json_string(name_of(Id(id))));
  return all;
}

class exporter {
public:
  explicit exporter(const event_log& log)
      : log_(log),
        categories_(json_names<category_id>([&](category_id id) { return log.category_name(id); })),
        event_types_(
          json_names<event_type_id>([&](event_type_id id) { return log.event_type_name(id); })) {}

  [[nodiscard]] result<std::string> header(const log_snapshot& of) const {
    store_identity identity{.id = {}, .created_at_ns = 0}; // of a log in memory
    std::string start;
    if (const auto* on_disk = dynamic_cast<const disk_log*>(&log_)) {
      auto known = on_disk->environment().identity();
      if (!known)
        return failure(known);
      identity = *known;
      const auto begins = on_disk->start_of(of);
      if (!begins)
        return std::unexpected(begins.error());
      if (begins->first > log_position(1))
        start = fmt::format(R"("first_position":{},"checksum_before":{},"whole_through":{},)",
                            begins->first.value(), begins->checksum_before, begins->whole_through);
    }
    std::vector<std::string> schemas;
    while (schemas.size() < event_types_.size()) {
      const event_type_id id(static_cast<std::uint16_t>(schemas.size() + 1));
      auto schema = log_.schema(id);
      if (!schema)
        return failure(schema);
      auto& text = schemas.emplace_back("\"");
      append_base64(text, *schema);
      text += '"';
    }
    return fmt::format(
      R"({{"acta_export":{},"store_id":"{}","created_at":"{}",{}"last_position":{},)"
      R"("categories":[{}],"event_types":[{}],"schemas":[{}]}})"
      "\n",
      export_format, identity.text(), date_text(identity.created_at_ns), start, of.tail().value(),
      fmt::join(categories_, ","), fmt::join(event_types_, ","), fmt::join(schemas, ","));
  }

  /// Appends the line of a record.
  [[nodiscard]] result<void> add(const record_view& record, const export_options& options,
                                 std::string& to) const {
    if (auto sound = record.verify(); !sound)
      return sound;
    const auto& header = record.header();
    const auto position = record.position().value();
    if (header.category == 0 || header.category > categories_.size())
      return without_name(position, "category", header.category);
    if (header.event_type == 0 || header.event_type > event_types_.size())
      return without_name(position, "event type", header.event_type);
    ensure(header.key_kind >= 1 && header.key_kind <= key_kind_names.size(),
           "parse() checked the key");
    fmt::format_to(std::back_inserter(to),
                   R"({{"position":{},"category":{},"key_kind":"{}","key":{},"version":{},)"
                   R"("event_type":{},"schema_version":{},"recorded_at":"{}","command":"{}",)"
                   R"("remaining":{},"metadata":")",
                   position, categories_[header.category - 1U],
                   key_kind_names[header.key_kind - 1U], json_string(key_text(record.stream())),
                   header.version, event_types_[header.event_type - 1U], header.schema_version,
                   date_text(header.recorded_at_ns), hex_text(header.command.bytes),
                   header.remaining);
    append_base64(to, record.metadata());
    to += R"(","payload":")";
    append_base64(to, record.payload());
    to += '"';
    if (const auto shown = options.decode ? options.decode(record) : std::string(); !shown.empty())
      fmt::format_to(std::back_inserter(to), R"(,"{}":{})", decoded_field, shown);
    to += "}\n";
    return {};
  }

private:
  [[nodiscard]] static std::unexpected<error>
  without_name(std::uint64_t position, std::string_view what, std::uint16_t id) {
    return failure(errc::corrupt,
                   fmt::format("position {}: {} {} has no name in this store; verify "
                               "it, and restore a backup",
                               position, what, id));
  }

  const event_log& log_;
  std::vector<std::string> categories_;
  std::vector<std::string> event_types_;
};

} // namespace

result<log_position> export_json(const event_log& log,
                                 const std::function<result<void>(std::string_view)>& write,
                                 const export_options& options) {
  auto snapshot = log.snapshot(); // before the names: all that it needs are there then
  if (!snapshot)
    return failure(snapshot);
  const auto last = (*snapshot)->tail();
  const exporter out(log);
  auto text = out.header(**snapshot);
  if (!text)
    return failure(text);
  for (auto next = (*snapshot)->first(); next <= last;) {
    auto cursor = (*snapshot)->scan(next);
    if (!cursor)
      return failure(cursor);
    const auto records = (*cursor)->next();
    if (!records)
      return std::unexpected(records.error());
    ensure(!records->empty(), "there are records up to the snapshot's tail");
    for (const auto& record : *records) {
      if (record.position() > last)
        break;
      if (auto added = out.add(record, options, *text); !added)
        return failure(added);
      next = record.position().next();
    }
    if (auto written = write(*text); !written)
      return failure(written);
    text->clear();
    if (options.progress)
      options.progress(log_position(next.value() - 1));
    // Records do not change: a newer state has the same, and keeps no page from reuse for long.
    cursor->reset();
    if (auto moved = (*snapshot)->refresh(); !moved)
      return failure(moved);
  }
  ensure((*snapshot)->tail() >= last, "a log never gets shorter");
  if (auto written = write(*text); !written)
    return failure(written);
  return last;
}

} // namespace acta::storage
