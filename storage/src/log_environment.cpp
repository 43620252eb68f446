#include "log_environment.hpp"

#include "lmdb_error.hpp"
#include "synced_point.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <sys/random.h>

#include <array>
#include <cstring>
#include <span>

namespace acta::storage {

namespace {

[[nodiscard]] MDB_val value_of(std::string_view text) noexcept {
  return {text.size(), const_cast<char*>(text.data())};
}

[[nodiscard]] std::string_view text_of(const MDB_val& value) noexcept {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

template <class T>
[[nodiscard]] std::string_view bytes_as_text(const T& value) noexcept {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// An entry and its checksum.
[[nodiscard]] int put_entry(MDB_txn* in, MDB_dbi meta, std::string_view name,
                            std::string_view text) {
  auto key = value_of(name);
  auto value = value_of(text);
  if (const int code = mdb_put(in, meta, &key, &value, 0); code != MDB_SUCCESS)
    return code;
  const auto checksum_name = std::string(checksum_prefix) + std::string(name);
  const auto checksum = checksum_value(text);
  key = value_of(checksum_name);
  value = value_of(checksum);
  return mdb_put(in, meta, &key, &value, 0);
}

/// Checks an entry's checksum, which stores made before there were any do not have.
[[nodiscard]] result<void> check_entry(MDB_txn* in, MDB_dbi meta, std::string_view name,
                                       std::string_view text, const std::filesystem::path& path) {
  const auto checksum_name = std::string(checksum_prefix) + std::string(name);
  auto key = value_of(checksum_name);
  MDB_val stored{};
  const int code = mdb_get(in, meta, &key, &stored);
  if (code == MDB_NOTFOUND || (code == MDB_SUCCESS && text_of(stored) == checksum_value(text)))
    return {};
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, path, "reading a checksum");
  return failure(errc::corrupt, fmt::format("'{}': the checksum of its entry '{}' does not fit; "
                                            "restore a backup",
                                            path.string(), name));
}

} // namespace

store_identity store_identity::make(std::int64_t now_ns) {
  store_identity made{.id = {}, .created_at_ns = now_ns};
  ensure(::getrandom(made.id.data(), made.id.size(), 0) == static_cast<ssize_t>(made.id.size()),
         "the kernel gives 16 random bytes");
  return made;
}

std::string store_identity::text() const {
  return store_id_text({reinterpret_cast<const char*>(id.data()), id.size()});
}

result<log_environment> log_environment::open(const std::filesystem::path& directory,
                                              const lmdb_options& options) {
  auto opened = lmdb_environment::open(directory, options);
  if (!opened)
    return failure(opened);
  log_environment made(std::move(*opened));
  if (auto found = made.open_databases(); !found)
    return failure(found);
  return made;
}

result<void> log_environment::open_databases() {
  MDB_txn* reader = nullptr;
  if (const int code = mdb_txn_begin(get(), nullptr, MDB_RDONLY, &reader); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "a read transaction");
  int code = mdb_dbi_open(reader, "meta", 0, &meta_);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(reader, "events", MDB_INTEGERKEY, &events_);
  MDB_stat entries{};
  if (code == MDB_NOTFOUND)
    (void)mdb_stat(reader, 1, &entries); // 1: the unnamed database that lists the named ones
  // Committed, so that the handles stay; nothing is written.
  if (const int ended = mdb_txn_commit(reader); code == MDB_SUCCESS)
    code = ended;
  if (code == MDB_NOTFOUND) {
    meta_ = events_ = 0;
    if (entries.ms_entries == 0)
      return {}; // new: check_or_make_format() makes them
    return failure(errc::foreign_store,
                   fmt::format("'{}' is an LMDB file, but not of an Acta store; choose another "
                               "directory",
                               path().string()));
  }
  if (code == MDB_INCOMPATIBLE)
    return failure(errc::foreign_store,
                   fmt::format("'{}' has databases of an Acta store's names, but not its kind; "
                               "choose another directory",
                               path().string()));
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "opening its databases");
  const auto begins = get_meta(start_key);
  if (!begins)
    return std::unexpected(begins.error());
  has_free_pages_ = !begins->empty();
  return {};
}

result<void> log_environment::check_or_make_format(const store_identity& of_new) {
  if (is_new())
    return make_format(of_new);
  return check_format();
}

result<void> log_environment::check_format() const {
  const auto stored = get_meta("format");
  if (!stored)
    return std::unexpected(stored.error());
  return storage::check_format(*stored, path());
}

/// Both databases and the format in one transaction: a crash leaves all of it or nothing.
result<void> log_environment::make_format(const store_identity& of) {
  auto writer = lmdb_write::begin(environment_);
  if (!writer)
    return failure(writer);
  int code = mdb_dbi_open(writer->get(), "meta", MDB_CREATE, &meta_);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(writer->get(), "events", MDB_CREATE | MDB_INTEGERKEY, &events_);
  const auto format = format_value();
  const std::pair<std::string_view, std::string_view> entries[] = {
    {"format", format},
    {"store_id", bytes_as_text(of.id)},
    {"created_at_ns", bytes_as_text(of.created_at_ns)}};
  for (const auto& [name, text] : entries)
    if (code == MDB_SUCCESS)
      code = put_entry(writer->get(), meta_, name, text);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "making the store");
  return writer->commit();
}

result<store_identity> log_environment::identity() const {
  const auto id = get_meta("store_id");
  if (!id)
    return std::unexpected(id.error());
  const auto created = get_meta("created_at_ns");
  if (!created)
    return std::unexpected(created.error());
  store_identity found{.id = {}, .created_at_ns = 0};
  if (id->size() != found.id.size())
    return failure(errc::corrupt,
                   fmt::format("'{}' has a store_id of {} bytes instead of 16; restore a backup",
                               path().string(), id->size()));
  std::memcpy(found.id.data(), id->data(), id->size());
  if (created->size() == sizeof found.created_at_ns) // else: it is told, and nothing depends on it
    std::memcpy(&found.created_at_ns, created->data(), created->size());
  return found;
}

result<std::string> log_environment::get_meta(std::string_view name) const {
  MDB_txn* reader = nullptr;
  if (const int code = mdb_txn_begin(get(), nullptr, MDB_RDONLY, &reader); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "a read transaction");
  auto found = get_meta(reader, name);
  mdb_txn_abort(reader);
  return found;
}

result<std::string> log_environment::get_meta(MDB_txn* in, std::string_view name) const {
  auto key = value_of(name);
  MDB_val value{};
  const int code = mdb_get(in, meta_, &key, &value);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, path(), fmt::format("reading '{}'", name));
  return std::string(code == MDB_SUCCESS ? text_of(value) : "");
}

result<std::string> log_environment::get_sound_meta(std::string_view name) const {
  auto value = get_meta(name);
  if (!value || value->empty())
    return value;
  const auto checksum = get_meta(std::string(checksum_prefix) + std::string(name));
  if (!checksum)
    return checksum;
  if (*checksum != checksum_value(*value))
    return failure(errc::corrupt,
                   fmt::format("'{}': '{}' is damaged; restore a backup", path().string(), name));
  return value;
}

result<void>
log_environment::put_meta(std::span<const std::pair<std::string, std::string>> entries) const {
  std::size_t size = 0;
  for (const auto& [name, text] : entries)
    size += name.size() + text.size();
  auto writer = begin_write(size);
  if (!writer)
    return failure(writer);
  for (const auto& [name, text] : entries)
    if (auto put = put_meta(writer->get(), name, text); !put)
      return put;
  return writer->commit();
}

result<void> log_environment::put_meta(MDB_txn* in, std::string_view name,
                                       std::string_view text) const {
  if (const int code = put_entry(in, meta_, name, text); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), fmt::format("storing '{}'", name));
  return {};
}

namespace {

template <class Id>
[[nodiscard]] result<void> read_names_of(MDB_txn* in, MDB_dbi meta, std::string_view prefix,
                                         dictionary<Id>& names, const std::filesystem::path& path) {
  for (auto known = names.size(); known < limits::max_types; ++known) {
    const auto id = static_cast<std::uint16_t>(known + 1);
    const auto name = name_key(prefix, id);
    auto key = value_of(name);
    MDB_val value{};
    const int code = mdb_get(in, meta, &key, &value);
    if (code == MDB_NOTFOUND)
      return {};
    if (code != MDB_SUCCESS)
      return lmdb_failure(code, path, "reading its names");
    auto added = names.find_or_add(text_of(value));
    if (!added || added->value() != id)
      return failure(errc::corrupt,
                     fmt::format("'{}': '{}' is a name that is there twice or empty; "
                                 "restore a backup",
                                 path.string(), name));
    if (auto sound = check_entry(in, meta, name, text_of(value), path); !sound)
      return sound;
  }
  return {};
}

} // namespace

result<void> log_environment::read_names(MDB_txn* in, dictionary<category_id>& categories,
                                         dictionary<event_type_id>& event_types) const {
  if (auto read = read_names_of(in, meta_, category_prefix, categories, path()); !read)
    return read;
  return read_names_of(in, meta_, event_type_prefix, event_types, path());
}

namespace {

/// The key the cursor comes to; 0 if there is none, or it is no position.
[[nodiscard]] result<log_position> position_at(MDB_txn* in, MDB_dbi events, MDB_cursor_op where,
                                               const std::filesystem::path& path) {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(in, events, &cursor); code != MDB_SUCCESS)
    return lmdb_failure(code, path, "a cursor");
  MDB_val key{};
  MDB_val value{};
  const int code = mdb_cursor_get(cursor, &key, &value, where);
  std::uint64_t position = 0;
  if (code == MDB_SUCCESS && key.mv_size == sizeof position)
    std::memcpy(&position, key.mv_data, sizeof position);
  mdb_cursor_close(cursor);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, path, "reading its first or last position");
  return log_position(position);
}

} // namespace

result<log_range> log_environment::range(MDB_txn* in) const {
  MDB_stat stat{};
  if (const int code = mdb_stat(in, events_, &stat); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "reading its statistics");
  const std::uint64_t count = stat.ms_entries;
  if (count == 0) {
    const auto begins = start(in);
    if (!begins)
      return std::unexpected(begins.error());
    return log_range{begins->first, log_position(begins->first.value() - 1)};
  }
  const auto last = position_at(in, events_, MDB_LAST, path());
  if (!last)
    return std::unexpected(last.error());
  if (last->value() < count)
    return failure(errc::corrupt,
                   fmt::format("'{}' has {} records, but the last position is {}; restore a backup",
                               path().string(), count, last->value()));
  return log_range{log_position(last->value() - count + 1), *last};
}

result<log_position> log_environment::last_position(MDB_txn* in) const {
  const auto all = range(in);
  if (!all)
    return std::unexpected(all.error());
  return all->last;
}

result<log_position> log_environment::first_key(MDB_txn* in) const {
  return position_at(in, events_, MDB_FIRST, path());
}

result<log_start> log_environment::start(MDB_txn* in) const {
  const auto stored = get_meta(in, start_key);
  if (!stored)
    return std::unexpected(stored.error());
  const auto checksum = get_meta(in, std::string(checksum_prefix) + std::string(start_key));
  if (!checksum)
    return std::unexpected(checksum.error());
  if (stored->empty() && checksum->empty())
    return log_start{};
  const auto parsed = parse_start(*stored);
  if (!parsed || *checksum != checksum_value(*stored))
    return failure(errc::corrupt,
                   fmt::format("'{}': the entry that says where the log begins is damaged; repair "
                               "the store, or restore a backup",
                               path().string()));
  return *parsed;
}

namespace {

/// LMDB does not write a page that it takes and gives back within one transaction, so that the file
/// may end before the page its commit calls the last, and check_size() takes it for a cut one.
/// Appending alone gives no page back. Archiving does, and so may whatever comes after it, as the
/// list of free pages is long then. Mostly a page behind it is written, and LMDB does not promise
/// that. So such a log's file is kept longer than a transaction can make it: by what is appended,
/// twice, as a page may be half full, and by this for the rest.
constexpr std::size_t room_ahead = std::size_t{16} << 20U;

} // namespace

/// Deletes a record, and adds its size. Returns where a log begins that ends there.
[[nodiscard]] result<log_start> delete_record(MDB_txn* in, MDB_dbi events, log_position position,
                                              std::size_t& size,
                                              const std::filesystem::path& path) {
  auto number = position.value();
  MDB_val key{sizeof number, &number};
  MDB_val value{};
  int code = mdb_get(in, events, &key, &value);
  record_header header{};
  if (code == MDB_SUCCESS && value.mv_size >= sizeof header)
    std::memcpy(&header, value.mv_data, sizeof header);
  size += value.mv_size;
  if (code == MDB_SUCCESS)
    code = mdb_del(in, events, &key, nullptr);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code == MDB_NOTFOUND ? MDB_CORRUPTED : code, path,
                        fmt::format("deleting position {}", number));
  return log_start{.first = position.next(), .checksum_before = header.checksum};
}

result<lmdb_write> log_environment::begin_write(std::size_t bytes) const {
  if (has_free_pages_)
    if (auto filled = fill_up(environment_, 2 * bytes + room_ahead); !filled)
      return failure(filled);
  return lmdb_write::begin(environment_);
}

result<log_start> log_environment::cut_front(log_position end, std::string_view archive) const {
  constexpr std::size_t most = limits::copy_batch_size;
  if (auto filled = fill_up(environment_, 2 * most + room_ahead); !filled)
    return failure(filled);
  auto writer = lmdb_write::begin(environment_);
  if (!writer)
    return failure(writer);
  auto begins = start(writer->get());
  for (std::size_t size = 0; begins && begins->first < end && size < most;)
    begins = delete_record(writer->get(), events_, begins->first, size, path());
  if (!begins)
    return begins;
  const auto last = last_position(writer->get());
  if (!last)
    return std::unexpected(last.error());
  begins->whole_through = last->value();
  if (auto put = put_meta(writer->get(), start_key, start_value(*begins)); !put)
    return failure(put);
  if (auto put = put_meta(writer->get(), archive_key, archive); !put)
    return failure(put);
  if (auto committed = writer->commit(); !committed)
    return failure(committed);
  return begins;
}

} // namespace acta::storage
