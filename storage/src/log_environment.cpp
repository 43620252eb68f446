#include "log_environment.hpp"

#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sys/random.h>

#include <array>
#include <cstring>
#include <span>

namespace acta::storage {

namespace {

/// The value of "format" in `meta`.
struct format_value {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t endian_mark; ///< Reads as another number on a big-endian machine.
};
static_assert(sizeof(format_value) == 16);
constexpr format_value current_format{{'A', 'C', 'T', 'A', 'L', 'O', 'G', '\0'}, 1, 0x01020304};

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

} // namespace

std::string name_key(std::string_view prefix, std::uint16_t id) {
  return fmt::format("{}{:05}", prefix, id);
}

result<log_environment> log_environment::open(const std::filesystem::path& directory,
                                              std::size_t map_size) {
  auto opened = lmdb_environment::open(directory, {.map_size = map_size});
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
  return {};
}

result<void> log_environment::check_or_make_format(std::int64_t now_ns) {
  if (is_new())
    return make_format(now_ns);
  auto stored = get_meta("format");
  if (!stored)
    return failure(stored);
  return check_format(*stored);
}

result<void> log_environment::check_format(std::string_view stored) const {
  format_value format{};
  if (stored.size() == sizeof format)
    std::memcpy(&format, stored.data(), sizeof format);
  if (format.magic != current_format.magic)
    return failure(errc::foreign_store, fmt::format("'{}' is not the log of an Acta store; choose "
                                                    "another directory",
                                                    path().string()));
  if (format.endian_mark != current_format.endian_mark)
    return failure(errc::foreign_store,
                   fmt::format("'{}' was written on a machine of other byte order; export it there "
                               "and import it here",
                               path().string()));
  if (format.version > current_format.version)
    return failure(errc::newer_format,
                   fmt::format("'{}' has format {}, and this Acta knows up to {}; use a newer Acta",
                               path().string(), format.version, current_format.version));
  return {};
}

/// Both databases and the format in one transaction: a crash leaves all of it or nothing.
result<void> log_environment::make_format(std::int64_t now_ns) {
  std::array<std::uint8_t, 16> store_id{};
  ensure(::getrandom(store_id.data(), store_id.size(), 0) == static_cast<ssize_t>(store_id.size()),
         "the kernel gives 16 random bytes");
  auto writer = lmdb_write::begin(environment_);
  if (!writer)
    return failure(writer);
  int code = mdb_dbi_open(writer->get(), "meta", MDB_CREATE, &meta_);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(writer->get(), "events", MDB_CREATE | MDB_INTEGERKEY, &events_);
  const std::pair<std::string_view, std::string_view> entries[] = {
    {"format", bytes_as_text(current_format)},
    {"store_id", bytes_as_text(store_id)},
    {"created_at_ns", bytes_as_text(now_ns)}};
  for (const auto& [name, text] : entries) {
    auto key = value_of(name);
    auto value = value_of(text);
    if (code == MDB_SUCCESS)
      code = mdb_put(writer->get(), meta_, &key, &value, 0);
  }
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "making the store");
  return writer->commit();
}

result<std::string> log_environment::store_id() const {
  auto bytes = get_meta("store_id");
  if (!bytes)
    return bytes;
  if (bytes->size() != 16)
    return failure(errc::corrupt,
                   fmt::format("'{}' has a store_id of {} bytes instead of 16; restore a backup",
                               path().string(), bytes->size()));
  return fmt::format(
    "{:02x}",
    fmt::join(std::span(reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()), ""));
}

result<std::string> log_environment::get_meta(std::string_view name) const {
  MDB_txn* reader = nullptr;
  if (const int code = mdb_txn_begin(get(), nullptr, MDB_RDONLY, &reader); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "a read transaction");
  auto key = value_of(name);
  MDB_val value{};
  const int code = mdb_get(reader, meta_, &key, &value);
  std::string found(code == MDB_SUCCESS ? text_of(value) : "");
  mdb_txn_abort(reader);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, path(), fmt::format("reading '{}'", name));
  return found;
}

result<void>
log_environment::put_meta(std::span<const std::pair<std::string, std::string>> entries) {
  auto writer = lmdb_write::begin(environment_);
  if (!writer)
    return failure(writer);
  for (const auto& [name, text] : entries) {
    auto key = value_of(name);
    auto value = value_of(text);
    if (const int code = mdb_put(writer->get(), meta_, &key, &value, 0); code != MDB_SUCCESS)
      return lmdb_failure(code, path(), fmt::format("storing '{}'", name));
  }
  return writer->commit();
}

namespace {

template <class Id>
[[nodiscard]] result<void> read_names_of(MDB_txn* in, MDB_dbi meta, std::string_view prefix,
                                         dictionary<Id>& names, const std::filesystem::path& path) {
  for (std::uint16_t id = 1; id != 0; ++id) {
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

result<log_position> log_environment::last_position(MDB_txn* in) const {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(in, events_, &cursor); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "a cursor");
  MDB_val key{};
  MDB_val value{};
  const int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  std::uint64_t last = 0;
  if (code == MDB_SUCCESS && key.mv_size == sizeof last)
    std::memcpy(&last, key.mv_data, sizeof last);
  mdb_cursor_close(cursor);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, path(), "reading its last position");
  return log_position(last);
}

result<std::uint64_t> log_environment::count_events(MDB_txn* in) const {
  MDB_stat stat{};
  if (const int code = mdb_stat(in, events_, &stat); code != MDB_SUCCESS)
    return lmdb_failure(code, path(), "reading its statistics");
  return std::uint64_t{stat.ms_entries};
}

} // namespace acta::storage
