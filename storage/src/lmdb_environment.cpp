#include "lmdb_environment.hpp"

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

constexpr mdb_mode_t file_mode = 0644;
constexpr MDB_dbi max_databases = 4;

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

result<lmdb_environment> lmdb_environment::open(const std::filesystem::path& directory,
                                                std::size_t map_size) {
  MDB_env* raw = nullptr;
  if (const int code = mdb_env_create(&raw); code != MDB_SUCCESS)
    return lmdb_failure(code, directory, "making an environment");
  lmdb_environment made(directory / "data.mdb", raw);
  int code = mdb_env_set_mapsize(raw, map_size);
  if (code == MDB_SUCCESS)
    code = mdb_env_set_maxdbs(raw, max_databases);
  if (code == MDB_SUCCESS)
    code = mdb_env_set_maxreaders(raw, limits::max_readers);
  if (code == MDB_SUCCESS)
    code = mdb_env_open(raw, directory.c_str(), MDB_NOTLS, file_mode);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, made.path_, "open");
  if (auto whole = made.check_size(); !whole)
    return failure(whole);
  if (auto opened = made.open_databases(); !opened)
    return failure(opened);
  return made;
}

/// LMDB reads through a map, so that a page beyond the end of the file would be a SIGBUS and no
/// error. A commit writes every page up to its last one (nothing is deleted here, so LMDB leaves no
/// page out), so a file that is shorter has been cut.
result<void> lmdb_environment::check_size() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(get(), &info);
  mdb_env_stat(get(), &stat);
  std::error_code unreadable;
  const auto size = std::filesystem::file_size(path_, unreadable);
  const auto needed = (info.me_last_pgno + 1) * stat.ms_psize;
  if (unreadable)
    return system_failure(unreadable.value(), path_, "looking at its size");
  if (size < needed)
    return failure(errc::corrupt, fmt::format("'{}' was cut short: it has {} bytes, and its last "
                                              "commit {}; restore a backup",
                                              path_.string(), size, needed));
  return {};
}

result<void> lmdb_environment::open_databases() {
  MDB_txn* reader = nullptr;
  if (const int code = mdb_txn_begin(get(), nullptr, MDB_RDONLY, &reader); code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "a read transaction");
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
                               path_.string()));
  }
  if (code == MDB_INCOMPATIBLE)
    return failure(errc::foreign_store,
                   fmt::format("'{}' has databases of an Acta store's names, but not its kind; "
                               "choose another directory",
                               path_.string()));
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "opening its databases");
  return {};
}

result<void> lmdb_environment::check_or_make_format(std::int64_t now_ns) {
  if (is_new())
    return make_format(now_ns);
  auto stored = get_meta("format");
  if (!stored)
    return failure(stored);
  return check_format(*stored);
}

result<void> lmdb_environment::check_format(std::string_view stored) const {
  format_value format{};
  if (stored.size() == sizeof format)
    std::memcpy(&format, stored.data(), sizeof format);
  if (format.magic != current_format.magic)
    return failure(errc::foreign_store, fmt::format("'{}' is not the log of an Acta store; choose "
                                                    "another directory",
                                                    path_.string()));
  if (format.endian_mark != current_format.endian_mark)
    return failure(errc::foreign_store,
                   fmt::format("'{}' was written on a machine of other byte order; export it there "
                               "and import it here",
                               path_.string()));
  if (format.version > current_format.version)
    return failure(errc::newer_format,
                   fmt::format("'{}' has format {}, and this Acta knows up to {}; use a newer Acta",
                               path_.string(), format.version, current_format.version));
  return {};
}

/// Both databases and the format in one transaction: a crash leaves all of it or nothing.
result<void> lmdb_environment::make_format(std::int64_t now_ns) {
  std::array<std::uint8_t, 16> store_id{};
  ensure(::getrandom(store_id.data(), store_id.size(), 0) == static_cast<ssize_t>(store_id.size()),
         "the kernel gives 16 random bytes");
  auto writer = lmdb_write::begin(*this);
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
    return lmdb_failure(code, path_, "making the store");
  return writer->commit();
}

result<std::string> lmdb_environment::store_id() const {
  auto bytes = get_meta("store_id");
  if (!bytes)
    return bytes;
  if (bytes->size() != 16)
    return failure(errc::corrupt,
                   fmt::format("'{}' has a store_id of {} bytes instead of 16; restore a backup",
                               path_.string(), bytes->size()));
  return fmt::format(
    "{:02x}",
    fmt::join(std::span(reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()), ""));
}

result<std::string> lmdb_environment::get_meta(std::string_view name) const {
  MDB_txn* reader = nullptr;
  if (const int code = mdb_txn_begin(get(), nullptr, MDB_RDONLY, &reader); code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "a read transaction");
  auto key = value_of(name);
  MDB_val value{};
  const int code = mdb_get(reader, meta_, &key, &value);
  std::string found(code == MDB_SUCCESS ? text_of(value) : "");
  mdb_txn_abort(reader);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, path_, "reading its format");
  return found;
}

result<void> lmdb_environment::put_meta(std::string_view name, std::string_view text) {
  auto writer = lmdb_write::begin(*this);
  if (!writer)
    return failure(writer);
  auto key = value_of(name);
  auto value = value_of(text);
  if (const int code = mdb_put(writer->get(), meta_, &key, &value, 0); code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "storing a name");
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

result<void> lmdb_environment::read_names(MDB_txn* in, dictionary<category_id>& categories,
                                          dictionary<event_type_id>& event_types) const {
  if (auto read = read_names_of(in, meta_, category_prefix, categories, path_); !read)
    return read;
  return read_names_of(in, meta_, event_type_prefix, event_types, path_);
}

result<log_position> lmdb_environment::last_position(MDB_txn* in) const {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(in, events_, &cursor); code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "a cursor");
  MDB_val key{};
  MDB_val value{};
  const int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  std::uint64_t last = 0;
  if (code == MDB_SUCCESS && key.mv_size == sizeof last)
    std::memcpy(&last, key.mv_data, sizeof last);
  mdb_cursor_close(cursor);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, path_, "reading its last position");
  return log_position(last);
}

result<std::uint64_t> lmdb_environment::count_events(MDB_txn* in) const {
  MDB_stat stat{};
  if (const int code = mdb_stat(in, events_, &stat); code != MDB_SUCCESS)
    return lmdb_failure(code, path_, "reading its statistics");
  return std::uint64_t{stat.ms_entries};
}

result<lmdb_write> lmdb_write::begin(const lmdb_environment& in) {
  MDB_txn* transaction = nullptr;
  if (const int code = mdb_txn_begin(in.get(), nullptr, 0, &transaction); code != MDB_SUCCESS)
    return lmdb_failure(code, in.path(), "a write transaction");
  return lmdb_write(in, transaction);
}

result<void> lmdb_write::commit() {
  const int code = mdb_txn_commit(std::exchange(transaction_, nullptr)); // gone either way
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, in_->path(), "commit");
  return {};
}

} // namespace acta::storage
