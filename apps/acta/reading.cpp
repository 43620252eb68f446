#include "commands.hpp"
#include "output.hpp"

#include <acta/base/date.hpp>
#include <acta/storage/event_json.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/stream_name.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <limits>
#include <memory>
#include <optional>

namespace acta::tool {

namespace {

using nlohmann::ordered_json;
using storage::event_log;
using storage::record_view;

/// The number of a name in the log's dictionary.
template <class Id, class Name>
[[nodiscard]] result<Id> find_name(std::string_view wanted, std::string_view what,
                                   const Name& name_of) {
  for (std::uint16_t id = 1; id != 0 && !name_of(Id(id)).empty(); ++id)
    if (name_of(Id(id)) == wanted)
      return Id(id);
  return failure(errc::not_found, fmt::format("the store has no {} '{}'", what, wanted));
}

[[nodiscard]] result<category_id> find_category(const event_log& log, std::string_view name) {
  return find_name<category_id>(name, "category",
                                [&](category_id id) { return log.category_name(id); });
}

[[nodiscard]] result<event_type_id> find_event_type(const event_log& log, std::string_view name) {
  return find_name<event_type_id>(name, "event type",
                                  [&](event_type_id id) { return log.event_type_name(id); });
}

[[nodiscard]] std::string in_one_line(const ordered_json& of) {
  return of.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

/// Prints the records that are wanted, in order.
class printer {
public:
  printer(const event_log& log, const read_arguments& chosen)
      : log_(log), chosen_(chosen), events_(log),
        limit_(chosen.limit != 0 ? chosen.limit : std::numeric_limits<std::uint64_t>::max()) {}

  [[nodiscard]] result<void> run() {
    auto options = make_options();
    if (!options)
      return failure(options);
    const auto snapshot = log_.snapshot();
    if (!snapshot)
      return std::unexpected(snapshot.error());
    const auto cursor = (*snapshot)->scan(first_position(), *options);
    if (!cursor)
      return std::unexpected(cursor.error());
    while (limit_ != 0) {
      const auto records = (*cursor)->next();
      if (!records)
        return std::unexpected(records.error());
      if (records->empty())
        return {};
      std::string text;
      for (const auto& record : *records)
        add(record, text);
      if (auto printed = print(text); !printed)
        return printed;
    }
    return {};
  }

private:
  [[nodiscard]] result<storage::scan_options> make_options() {
    storage::scan_options options;
    if (chosen_.backward)
      options.way = storage::direction::backward;
    if (!chosen_.category.empty()) {
      auto found = find_category(log_, chosen_.category);
      if (!found)
        return failure(found);
      options.category = *found;
    }
    if (!chosen_.event_type.empty()) {
      auto found = find_event_type(log_, chosen_.event_type);
      if (!found)
        return failure(found);
      options.event_types = {*found};
    }
    if (!chosen_.stream.empty()) {
      auto found = storage::parse_stream(log_, chosen_.stream);
      if (!found)
        return failure(found);
      stream_ = *found;
      options.category = stream_->category();
    }
    return options;
  }

  [[nodiscard]] log_position first_position() const {
    if (chosen_.has_from && chosen_.stream.empty())
      return log_position(chosen_.from);
    return log_position(chosen_.backward ? std::numeric_limits<std::uint64_t>::max() : 0);
  }

  [[nodiscard]] bool is_wanted(const record_view& record) const {
    if (!stream_)
      return true;
    if (!record.is_of(*stream_))
      return false;
    const auto version = record.version().value();
    return !chosen_.has_from
           || (chosen_.backward ? version <= chosen_.from : version >= chosen_.from);
  }

  void add(const record_view& record, std::string& to) {
    if (limit_ == 0 || !is_wanted(record))
      return;
    --limit_;
    const auto& header = record.header();
    const auto stream = record.stream();
    const auto name = stream.to_string(log_.category_name(stream.category()));
    auto type = std::string(log_.event_type_name(record.event_type()));
    if (type.empty())
      type = fmt::format("#{}", header.event_type);
    const auto event = events_.text(record);
    const auto bytes = fmt::format("({} bytes)", header.payload_size);
    if (!chosen_.json) {
      to += fmt::format("{}  {}  {} {}  {}  {}\n", record.position().value(),
                        date_text(header.recorded_at_ns), printable(name), header.version,
                        printable(type), event ? *event : bytes);
      return;
    }
    ordered_json json{{"position", record.position().value()},
                      {"recorded_at", date_text(header.recorded_at_ns)},
                      {"stream", name},
                      {"version", header.version},
                      {"event_type", type},
                      {"schema_version", header.schema_version},
                      {"payload_size", header.payload_size}};
    if (event)
      json["event"] = ordered_json::parse(*event, nullptr, false);
    to += in_one_line(json);
  }

  const event_log& log_;
  const read_arguments& chosen_;
  storage::event_json events_;
  std::uint64_t limit_; ///< How many more.
  std::optional<stream_id> stream_;
};

} // namespace

int read(const read_arguments& chosen) {
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return fail(log.error());
  if (auto printed = printer(**log, chosen).run(); !printed)
    return fail(printed.error());
  return fine;
}

int streams(const streams_arguments& chosen) {
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return fail(log.error());
  category_id category;
  if (!chosen.category.empty()) {
    const auto found = find_category(**log, chosen.category);
    if (!found)
      return fail(found.error());
    category = *found;
  }
  std::optional<stream_id> after;
  if (!chosen.after.empty()) {
    const auto named = storage::parse_stream(**log, chosen.after);
    if (!named)
      return fail(named.error());
    after = *named;
  }
  const auto progress = progress_to((*log)->tail());
  const auto index = storage::stream_index::open(
    **log, {.progress = [&](log_position at, log_position /*tail*/) { progress(at); }});
  if (!index)
    return fail(index.error());
  const auto snapshot = (*log)->snapshot();
  if (!snapshot)
    return fail(snapshot.error());
  const auto limit = chosen.limit != 0 ? chosen.limit : std::numeric_limits<std::size_t>::max();
  const auto found = (*index)->streams(**snapshot, limit, after, category);
  if (!found)
    return fail(found.error());
  std::string text;
  for (const auto& [stream, version] : *found) {
    const auto name = stream.to_string((*log)->category_name(stream.category()));
    text += chosen.json ? in_one_line({{"stream", name}, {"version", version.value()}})
                        : fmt::format("{}  {}\n", printable(name), version.value());
  }
  if (auto printed = print(text); !printed)
    return fail(printed.error());
  return fine;
}

} // namespace acta::tool
