#include <acta/storage/json_lines.hpp>

#include "command_check.hpp"
#include "json_line.hpp"
#include "json_text.hpp"
#include "lmdb_error.hpp"
#include "store_copy.hpp"
#include "store_directory.hpp"
#include "store_hold.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/schema.hpp>
#include <acta/storage/stream_name.hpp>

#include <fmt/format.h>
#include <tsl/robin_map.h>

#include <limits>
#include <span>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

constexpr auto no_limit = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t max_16_bits = 0xffff;

/// The first line.
struct export_header {
  store_identity identity;
  log_start start;
  std::uint64_t last_position = 0;
  std::vector<std::string> categories;
  std::vector<std::string> event_types;
  std::vector<std::vector<std::byte>> schemas; ///< Of each event type; empty if it has none.
};

/// Where the log begins, which is said if it is not position 1.
[[nodiscard]] log_start read_start(json_fields& fields) {
  if (!fields.has("first_position"))
    return {};
  return {.first = log_position(fields.number("first_position", 2, limits::max_position)),
          .checksum_before = fields.number("checksum_before", 0, no_limit),
          .whole_through = fields.number("whole_through", 0, limits::max_position)};
}

[[nodiscard]] result<export_header> read_header(line_reader& lines) {
  auto line = lines.next();
  if (!line)
    return failure(line);
  json_fields fields(line->value_or(""));
  const auto format = fields.number("acta_export", 1, no_limit);
  if (!fields.sound())
    return lines.wrong("this is no export of an Acta store: its first line must begin with "
                       "{\"acta_export\":1; check the file");
  if (format > export_format)
    return lines.wrong(fmt::format("it is an export of format {}, and this Acta knows up to {}; "
                                   "use a newer Acta",
                                   format, export_format),
                       errc::newer_format);
  export_header header{
    .identity = {.id = fields.hex("store_id"), .created_at_ns = fields.date("created_at")},
    .start = read_start(fields),
    .last_position = fields.number("last_position", 0, limits::max_position),
    .categories = fields.list_of_bytes_or_string("categories"),
    .event_types = fields.list_of_bytes_or_string("event_types"),
    .schemas = fields.list_of_base64("schemas")};
  if (header.last_position + 1 < header.start.first.value())
    fields.reject("last_position", "lies before the first");
  if (header.schemas.size() != header.event_types.size())
    fields.reject("schemas", "must have as many as there are event types");
  if (const auto problem = fields.problem())
    return lines.wrong(*problem);
  return header;
}

/// Names of the first line, by which its lines go.
using ids = std::unordered_map<std::string, std::uint16_t>;

class importer {
public:
  importer(line_reader& lines, event_log& into, dated_log& dated, log_position first)
      : lines_(lines), into_(into), dated_(dated), begins_late_(first > log_position(1)),
        next_(first.value()) {
    versions_.max_load_factor(0.8F);
  }

  [[nodiscard]] result<void> register_names(const export_header& header) {
    for (const auto& name : header.categories)
      if (auto added = add_name(categories_, name, into_.register_category(name)); !added)
        return added;
    for (const auto& name : header.event_types)
      if (auto added = add_name(event_types_, name, into_.register_event_type(name)); !added)
        return added;
    return register_schemas(header);
  }

  [[nodiscard]] result<log_position> run(std::uint64_t last_position,
                                         const std::function<void(log_position)>& progress) {
    for (;;) {
      auto line = lines_.next();
      if (!line)
        return failure(line);
      if (!*line)
        break;
      if (next_ > last_position)
        return lines_.wrong(fmt::format("the first line says that position {} is the last; remove "
                                        "what follows, or export again",
                                        last_position));
      if (auto added = add_line(**line); !added)
        return failure(added);
      if (progress && next_ % limits::cursor_batch == 0)
        progress(log_position(next_ - 1));
    }
    if (next_ != last_position + 1)
      return lines_.wrong(fmt::format("the text ends at position {}, and the first line says {}: "
                                      "it was cut short; export again",
                                      next_ - 1, last_position));
    if (!commands_.end())
      return lines_.wrong("the text ends within a command; export again");
    return flush();
  }

private:
  [[nodiscard]] result<void> register_schemas(const export_header& header) {
    std::vector<event_schema> schemas;
    for (std::size_t i = 0; i < header.schemas.size(); ++i)
      if (!header.schemas[i].empty())
        schemas.push_back({event_type_id(static_cast<std::uint16_t>(i + 1)), header.schemas[i]});
    auto registered = storage::register_schemas(into_, schemas);
    if (!registered && registered.error().code() == errc::invalid_argument)
      return lines_.wrong(registered.error().message());
    return registered;
  }

  template <class Id>
  [[nodiscard]] result<void> add_name(ids& to, const std::string& name, result<Id>&& id) {
    if (!id && id.error().code() == errc::invalid_argument)
      return lines_.wrong("a name is empty; mend the line, or export again");
    if (!id)
      return failure(id);
    if (id->value() != to.size() + 1)
      return lines_.wrong(fmt::format("the name '{}' is there twice, or the log has names already; "
                                      "export again, or import into a new store",
                                      name));
    to.emplace(name, id->value());
    return {};
  }

  [[nodiscard]] std::uint16_t id_of(json_fields& fields, std::string_view field, const ids& known) {
    const auto found = known.find(fields.bytes_or_string(field));
    if (found != known.end())
      return found->second;
    fields.reject(field, "is not among the names of the first line");
    return 0;
  }

  /// Checks a line and keeps its record for the next flush().
  [[nodiscard]] result<void> add_line(std::string_view line) {
    json_fields fields(line);
    const auto position = fields.number("position", 1, no_limit);
    const auto category = id_of(fields, "category", categories_);
    const auto kind = static_cast<key_kind>(fields.one_of("key_kind", key_kind_names));
    const auto stream = parse_key(category_id(category), kind, fields.bytes_or_string("key"));
    if (!stream)
      fields.reject("key", fmt::format("is no {} key, or has more than {} bytes",
                                       key_kind_names[static_cast<std::size_t>(kind) - 1],
                                       limits::max_key_size));
    const auto version = fields.number("version", 1, no_limit);
    const auto event_type = id_of(fields, "event_type", event_types_);
    const auto schema = fields.number("schema_version", 0, max_16_bits);
    const auto date_ns = fields.date("recorded_at");
    const command_id command{fields.hex("command")};
    const auto remaining = fields.number("remaining", 0, max_16_bits);
    const auto metadata = fields.base64("metadata");
    const auto payload = fields.base64("payload");
    fields.ignore(decoded_field);
    if (const auto problem = fields.problem())
      return lines_.wrong(*problem);
    if (position != next_)
      return lines_.wrong(
        fmt::format("position {} where {} must follow; export again", position, next_));
    if (metadata.size() > limits::max_metadata_size || payload.size() > limits::max_payload_size)
      return lines_.wrong(
        fmt::format("an event has {} bytes of metadata and {} of payload, and may "
                    "have {} and {}",
                    metadata.size(), payload.size(), limits::max_metadata_size,
                    limits::max_payload_size),
        errc::too_large);
    return add_record({.stream = *stream,
                       .version = stream_version(version),
                       .command = command,
                       .event_type = event_type_id(event_type),
                       .schema_version = static_cast<std::uint16_t>(schema),
                       .metadata = metadata,
                       .payload = payload},
                      static_cast<std::uint16_t>(remaining), date_ns);
  }

  [[nodiscard]] result<void> add_record(const record_fields& fields, std::uint16_t remaining,
                                        std::int64_t date_ns) {
    const auto size = record_size(fields);
    const auto at = batch_.size();
    batch_.resize(at + size / sizeof(std::uint64_t));
    auto* to = reinterpret_cast<std::byte*>(batch_.data() + at);
    encode_record(fields, to);
    set_remaining(to, remaining);
    finish_record(to, size, date_ns);
    sizes_.push_back(size);
    const auto record = record_view::parse(log_position(next_), {to, size});
    ensure(record.has_value(), "what was encoded reads back");
    if (auto fits = check_order(*record, date_ns); !fits)
      return fits;
    ++next_;
    if (batch_size() > limits::max_command_size + limits::copy_batch_size)
      return lines_.wrong("the command that this event is of has more bytes than one may have",
                          errc::too_large);
    if (remaining == 0 && batch_size() >= limits::copy_batch_size)
      if (auto flushed = flush(); !flushed)
        return failure(flushed);
    return {};
  }

  [[nodiscard]] result<void> check_order(const record_view& record, std::int64_t date_ns) {
    auto& last = versions_[record.stream_hash()];
    const auto version = record.version().value();
    const bool may_begin = begins_late_ && last == 0 && version != 0;
    if (version != last + 1 && !may_begin)
      return lines_.wrong(fmt::format("version {} of stream {} where {} must follow; export again",
                                      version, name_of(record), last + 1));
    last = version;
    if (!commands_.next(record))
      return lines_.wrong("the command of the line before should go on here; export again");
    if (date_ns < last_date_ns_)
      return lines_.wrong("it is dated before the line before it; export again");
    last_date_ns_ = date_ns;
    return {};
  }

  [[nodiscard]] std::string name_of(const record_view& record) const {
    const auto stream = record.stream();
    return stream.to_string(into_.category_name(stream.category()));
  }

  [[nodiscard]] std::size_t batch_size() const { return batch_.size() * sizeof(std::uint64_t); }

  /// Appends what was kept.
  [[nodiscard]] result<log_position> flush() {
    std::vector<std::span<const std::byte>> records;
    auto left = std::as_bytes(std::span(batch_));
    for (const auto size : sizes_) {
      records.push_back(left.first(size));
      left = left.subspan(size);
    }
    ensure(left.empty(), "the records of a batch are all its bytes");
    auto appended = dated_.append_dated(records);
    ensure(!appended || *appended == log_position(next_ - 1),
           "positions of a log and its export are the same");
    batch_.clear();
    sizes_.clear();
    return appended;
  }

  line_reader& lines_;
  event_log& into_;
  dated_log& dated_;
  ids categories_;
  ids event_types_;
  bool begins_late_;   ///< Streams may begin at any version: what was before is archived.
  std::uint64_t next_; ///< Position.
  std::vector<std::uint64_t> batch_;
  std::vector<std::size_t> sizes_; ///< Of the records in the batch.
  command_check commands_;
  std::int64_t last_date_ns_ = std::numeric_limits<std::int64_t>::min();
  /// By stream_hash(): see verify.
  tsl::robin_map<std::uint64_t, std::uint64_t> versions_;
};

[[nodiscard]] result<log_position> import_into(line_reader& lines, const export_header& header,
                                               event_log& into,
                                               const std::function<void(log_position)>& progress) {
  auto* dated = dynamic_cast<dated_log*>(&into);
  if (dated == nullptr || into.tail() != log_position(0))
    return failure(errc::invalid_argument,
                   "an import goes into an empty log of open_log() or make_memory_log()");
  if (auto begun = dated->begin_at(header.start); !begun)
    return failure(begun);
  importer in(lines, into, *dated, header.start.first);
  if (auto registered = in.register_names(header); !registered)
    return failure(registered);
  return in.run(header.last_position, progress);
}

[[nodiscard]] result<void> refuse_full(const fs::path& directory) {
  std::error_code code;
  const bool free = !fs::exists(directory, code) || fs::is_empty(directory, code);
  if (code)
    return system_failure(code.value(), directory, "looking at it");
  if (!free)
    return failure(errc::invalid_argument,
                   fmt::format("'{}' is not empty, and an import makes a new store; choose another "
                               "directory",
                               directory.string()));
  return {};
}

/// What an import that was ended has left.
[[nodiscard]] result<void> remove_partial(const fs::path& partial) {
  std::error_code code;
  if (!fs::exists(partial, code))
    return {};
  if (auto ours = prepare_store_directory(partial); !ours)
    return ours;
  if (auto held = store_hold::for_writing(partial); !held)
    return failure(held);
  fs::remove_all(partial, code);
  if (code)
    return system_failure(code.value(), partial, "removing what an import has left");
  return {};
}

} // namespace

result<log_position> import_json(std::istream& from, std::string_view name, event_log& into,
                                 const std::function<void(log_position)>& progress) {
  line_reader lines(from, name);
  const auto header = read_header(lines);
  if (!header)
    return std::unexpected(header.error());
  return import_into(lines, *header, into, progress);
}

result<log_position> import_json(std::istream& from, std::string_view name,
                                 const fs::path& directory,
                                 const std::function<void(log_position)>& progress) {
  if (auto free = refuse_full(directory); !free)
    return failure(free);
  line_reader lines(from, name);
  const auto header = read_header(lines);
  if (!header)
    return std::unexpected(header.error());
  auto target = directory.lexically_normal();
  if (!target.has_filename()) // "store/"
    target = target.parent_path();
  auto partial = target;
  partial += ".importing";
  if (auto removed = remove_partial(partial); !removed)
    return failure(removed);
  auto imported = [&]() -> result<log_position> {
    auto log = open_copy(partial, header->identity);
    if (!log)
      return failure(log);
    return import_into(lines, *header, **log, progress);
  }();
  std::error_code code;
  if (imported)
    fs::rename(partial, target, code);
  if (!imported || code) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
  }
  if (code)
    return system_failure(code.value(), target, "giving the store its name");
  if (!imported)
    return imported;
  if (auto synced = sync_store_directory(target); !synced)
    return failure(synced);
  return imported;
}

} // namespace acta::storage
