#include "stored_log.hpp"

#include "lmdb_pages.hpp"
#include "store_format.hpp"
#include "synced_point.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

namespace acta::storage {

namespace {

using lmdb_format::load;

/// A record has a header and a key, its node an offset, a header and a position.
constexpr std::size_t least_record_size = sizeof(record_header) + 8 + 2 + 8 + 8;

constexpr std::uint64_t records_between_progress = 4'096;

[[nodiscard]] std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The number in the key of a name; 0 if it is none.
[[nodiscard]] std::uint16_t number_in(std::string_view key, std::string_view prefix) noexcept {
  std::uint16_t number = 0;
  const auto digits = key.substr(prefix.size());
  const auto [end, code] = std::from_chars(digits.begin(), digits.end(), number);
  return code == std::errc() && digits.size() == 5 && end == digits.end() ? number : 0;
}

/// For people: keys of a damaged file may have any bytes.
[[nodiscard]] std::string printable(std::string_view key) {
  std::string text;
  for (const char one : key)
    text += one >= ' ' && one <= '~' ? one : '?';
  return text;
}

} // namespace

result<writer_lock> lock_closed_store(const std::filesystem::path& store) {
  std::error_code code;
  if (!std::filesystem::is_directory(store, code))
    return failure(
      errc::not_found,
      fmt::format("'{}' is not the directory of a store; check the path", store.string()));
  if (!std::filesystem::exists(store / "log", code)
      && !std::filesystem::exists(store / "store.id", code))
    return failure(
      errc::foreign_store,
      fmt::format("'{}' is not an Acta store: there is no 'log' in it", store.string()));
  auto held = writer_lock::acquire(store);
  if (!held && held.error().code() == errc::store_in_use)
    return failure(errc::store_in_use,
                   held.error().message() + "; while it is, a backup of it can be read instead");
  if (!held)
    return held;
  if (auto restored = synced_point::restore(store / "log"); !restored)
    return failure(restored);
  return held;
}

result<stored_log> stored_log::open(const std::filesystem::path& path,
                                    lmdb_file::problem_sink problems) {
  auto file = lmdb_file::open(path, std::move(problems));
  if (!file)
    return failure(file);
  return stored_log(std::move(*file), path);
}

result<void> stored_log::read_dictionary() {
  file_.give_all_back();
  problems_before_ = file_.problems();
  for (auto* entries : {&meta_, &checksums_})
    entries->clear();
  bytes_.clear();
  trees_ = named_trees(file_);
  const auto* meta = find_tree(trees_, "meta");
  const auto* events = find_tree(trees_, "events");
  if (meta == nullptr && events == nullptr && file_.problems() == 0)
    return failure(errc::foreign_store,
                   fmt::format("'{}' is an LMDB file, but not of an Acta store", path_.string()));
  const auto check = [&](const lmdb_tree* tree, std::string_view name, std::uint16_t flags) {
    if (tree == nullptr)
      file_.tell(file_.meta_number(), 0, main_tree_name,
                 fmt::format("the database '{}' is missing", name));
    else if (tree->record.flags != flags)
      file_.tell(tree->page, 0, main_tree_name, fmt::format("'{}' is not of its kind", name));
  };
  check(meta, "meta", 0);
  check(events, "events", lmdb_format::integer_keys);
  most_ = file_.pages() * file_.page_size() / least_record_size;
  const auto entries = events != nullptr ? events->record.entries : 0;
  expected_ = entries <= most_ ? entries : 0;
  if (meta != nullptr)
    read_meta(*meta);
  return check_meta();
}

void stored_log::read_meta(const lmdb_tree& tree) {
  walk_tree(file_, tree, {}, [&](const lmdb_entry& entry) {
    const auto key = text_of(entry.key);
    bytes_[key] = entry.byte;
    if (key.starts_with(checksum_prefix))
      checksums_[key.substr(checksum_prefix.size())] = text_of(entry.value);
    else
      meta_[key] = text_of(entry.value);
  });
}

result<void> stored_log::check_meta() {
  for (const auto& [key, value] : checksums_)
    if (!meta_.contains(key))
      tell(std::string(checksum_prefix) + key, "the entry it is of is missing");
  std::vector<std::string> damaged;
  for (const auto& [key, value] : meta_)
    if (!check_checksum(key, value))
      damaged.push_back(key);
  const auto check_size = [&](std::string_view key, std::size_t size) {
    const auto found = meta_.find(key);
    if (found == meta_.end())
      tell(key, "it is missing");
    else if (found->second.size() != size)
      tell(key, fmt::format("{} bytes instead of {}", found->second.size(), size));
  };
  check_size("format", format_value().size());
  check_size("store_id", store_id_size);
  check_size("created_at_ns", sizeof(std::int64_t));
  read_names(category_prefix, categories_);
  read_names(event_type_prefix, event_types_);
  for (const auto& key : damaged) // a name is better than none, as it reads; all else is not
    meta_.erase(key);
  read_start();
  const auto format = meta_.find("format");
  return format == meta_.end() ? result<void>{} : check_format(format->second, path_);
}

void stored_log::read_start() {
  start_ = {};
  const auto found = meta_.find(start_key);
  const auto parsed = found != meta_.end() ? parse_start(found->second) : std::nullopt;
  if (found != meta_.end() && !parsed)
    tell(start_key, "it is no position to begin at");
  if (parsed)
    start_ = *parsed;
  is_start_known_ = parsed || (!bytes_.contains(start_key) && !checksums_.contains(start_key));
}

/// Entries of a store made before there were checksums have none.
bool stored_log::check_checksum(std::string_view key, std::string_view value) {
  const auto found = checksums_.find(key);
  if (found == checksums_.end() || found->second == checksum_value(value))
    return true;
  tell(key, "its checksum does not fit");
  return false;
}

/// A name that is lost leaves a gap, also where only its checksum tells that there was one.
void stored_log::read_names(std::string_view prefix, std::vector<std::string>& names) {
  names.clear();
  const auto number_of = [&](std::string_view key) {
    const auto number = number_in(key, prefix);
    if (number > names.size())
      names.resize(number);
    return number;
  };
  for (const auto& [key, value] : checksums_)
    if (key.starts_with(prefix))
      (void)number_of(key);
  for (const auto& [key, name] : meta_) {
    if (!key.starts_with(prefix))
      continue;
    const auto number = number_of(key);
    if (number == 0 || name.empty() || std::ranges::find(names, name) != names.end())
      tell(key, "it is no name, or one that is there twice");
    else
      names[number - 1U] = name;
  }
  ensure(names.size() <= limits::max_types, "a name's number has 16 bits");
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i].empty())
      tell(name_key(prefix, static_cast<std::uint16_t>(i + 1)), "the name is lost");
}

type_names stored_log::names() const {
  const auto name = [](const std::vector<std::string>& names, std::uint16_t number) {
    return number == 0 || number > names.size() ? std::string_view() : names[number - 1U];
  };
  return {.category = [this, name](category_id id) { return name(categories_, id.value()); },
          .event_type = [this, name](event_type_id id) { return name(event_types_, id.value()); }};
}

void stored_log::check_records(record_verifier& with,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                               const std::function<void(const record_view&, bool sound)>& seen) {
  if (is_start_known_)
    with.begin_at(start_.first);
  const auto number_of = [&](log_position position) { // of its record, from 1
    return position.value() + 1 - start_.first.value();
  };
  const auto look_at = [&](const lmdb_entry& entry) {
    const log_position position(
      entry.key.size() == sizeof(std::uint64_t) ? load<std::uint64_t>(entry.key, 0) : 0);
    if (!std::exchange(is_start_known_, true) && position != log_position(0)) {
      start_.first = position;
      with.begin_at(position);
    }
    if (position < with.next() || number_of(position) > most_)
      return file_.tell(entry.page, 0, "events",
                        fmt::format("there is no position {}", position.value()));
    if (const auto number = number_of(position); progress && number % records_between_progress == 0)
      progress(number, std::max(number, expected_));
    with.set_place("log/data.mdb", entry.byte);
    if (position > with.next())
      with.check_missing(log_position(position.value() - 1), path_.string());
    auto record = record_view::parse(position, entry.value);
    if (!record)
      return with.check_unreadable(position, std::move(record.error()));
    const bool sound = with.check(*record);
    if (seen)
      seen(*record, sound);
  };
  if (const auto* events = find_tree(trees_, "events"))
    walk_tree(file_, *events, {}, look_at);
  with.set_place("log/data.mdb", file_.pages() * file_.page_size());
  if (const log_position end(start_.first.value() + expected_); with.next() < end)
    with.check_missing(log_position(end.value() - 1), path_.string());
  if (last().value() < start_.whole_through)
    tell(start_key, fmt::format("the log ends at {} and must reach {}: it was copied in part, and "
                                "lacks what archived streams have come to",
                                last().value(), start_.whole_through));
  if (const auto done = with.next().value() - start_.first.value(); progress)
    progress(done, done);
  ensure(with.next().value() >= start_.first.value() + expected_,
         "each record was looked at, or is told to be missing");
  for (const auto& tree : trees_)
    if (tree.name != "events" && tree.name != "meta")
      walk_tree(file_, tree, {.values = false}, {});
  check_free_pages(file_, file_.problems() == problems_before_);
}

void stored_log::each_record(const std::function<void(const record_view&)>& show) {
  const auto* events = find_tree(trees_, "events");
  if (events == nullptr)
    return;
  walk_tree(file_, *events, {}, [&](const lmdb_entry& entry) {
    if (entry.key.size() != sizeof(std::uint64_t))
      return;
    if (const auto record =
          record_view::parse(log_position(load<std::uint64_t>(entry.key, 0)), entry.value))
      show(*record);
  });
}

void stored_log::tell(std::string_view key, const std::string& what) {
  const auto found = bytes_.find(key);
  const auto byte = found == bytes_.end() ? 0 : found->second;
  file_.tell(byte / file_.page_size(), byte % file_.page_size(), "meta",
             fmt::format("entry '{}': {}", printable(key), what));
}

} // namespace acta::storage
