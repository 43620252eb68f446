#include <acta/storage/view_file.hpp>

#include "lmdb_environment.hpp"
#include "lmdb_error.hpp"
#include "lmdb_pages.hpp"
#include "store_directory.hpp"
#include "synced_point.hpp"
#include "view_tie.hpp"
#include "writer_lock.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace acta::storage {

namespace {

using bytes = view_reader::bytes;

constexpr std::size_t alignment = 8;
constexpr std::size_t max_name = 100;
static_assert(limits::max_view_key % alignment == 0 && limits::max_view_key <= 511,
              "LMDB takes keys of up to 511 bytes");
static_assert(limits::max_view_value < limits::max_stored_value_size,
              "what was stored is not taken for damage");

[[nodiscard]] MDB_val value_of(bytes from) noexcept {
  return {from.size(), const_cast<std::byte*>(from.data())};
}
[[nodiscard]] bytes bytes_of(const MDB_val& value) noexcept {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

/// memcmp's order, as LMDB's.
[[nodiscard]] bool is_before(bytes one, bytes other) noexcept {
  return std::ranges::lexicographical_compare(one, other);
}

/// LMDB passes over the damage that it finds as a transaction first looks at a database, and says
/// of the call after it that the transaction is bad. Whatever else fails is told by its own call.
[[nodiscard]] int damage_if_bad(int code) noexcept {
  return code == MDB_BAD_TXN ? MDB_CORRUPTED : code;
}

struct cursor_closer {
  void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
};

/// A transaction of either kind; it belongs to the caller.
class transaction final : public view_writer {
public:
  transaction(MDB_txn* in, MDB_dbi tables, const std::filesystem::path& path,
              log_position at) noexcept
      : in_(in), tables_(tables), path_(path), position_(at) {}

  [[nodiscard]] log_position position() const noexcept override { return position_; }

  [[nodiscard]] result<std::optional<bytes>> get(bytes key) const override {
    auto wanted = value_of(key);
    MDB_val found{};
    const int code = fits(key) ? mdb_get(in_, tables_, &wanted, &found) : MDB_NOTFOUND;
    if (code == MDB_NOTFOUND)
      return std::nullopt;
    if (code != MDB_SUCCESS)
      return problem(code, "reading");
    if (auto sound = check(bytes_of(found)); !sound)
      return failure(sound);
    return bytes_of(found);
  }

  [[nodiscard]] result<void> scan(bytes from, bytes to, direction way,
                                  const look& show) const override {
    MDB_cursor* raw = nullptr;
    int code = mdb_cursor_open(in_, tables_, &raw);
    if (code != MDB_SUCCESS)
      return problem(code, "a cursor");
    const std::unique_ptr<MDB_cursor, cursor_closer> cursor(raw);
    const bool forward = way == direction::forward;
    MDB_val key{};
    MDB_val value{};
    code = forward ? go_to_first(raw, from, key, value) : go_to_last_before(raw, to, key, value);
    const auto is_inside = [&] {
      return forward ? to.empty() || is_before(bytes_of(key), to) : !is_before(bytes_of(key), from);
    };
    while (code == MDB_SUCCESS && is_inside()) {
      if (auto sound = check(bytes_of(value)); !sound)
        return sound;
      if (!show(bytes_of(key), bytes_of(value)))
        return {};
      code = mdb_cursor_get(raw, &key, &value, forward ? MDB_NEXT : MDB_PREV);
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
      return problem(code, "reading");
    return {};
  }

  [[nodiscard]] result<void> put(bytes key, bytes value) override {
    if (!fits(key) || value.size() > limits::max_view_value)
      return failure(errc::too_large,
                     fmt::format("'{}': a key of {} bytes and a value of {}: a view takes keys of "
                                 "8 to {} bytes, a multiple of 8, and values of up to {}",
                                 path_.string(), key.size(), value.size(), limits::max_view_key,
                                 limits::max_view_value));
    auto at = value_of(key);
    MDB_val place{(value.size() + alignment - 1) / alignment * alignment, nullptr};
    if (const int code = mdb_put(in_, tables_, &at, &place, MDB_RESERVE); code != MDB_SUCCESS)
      return problem(code, "writing");
    ensure(reinterpret_cast<std::uintptr_t>(place.mv_data) % alignment == 0,
           "a value lies at a multiple of 8, as all keys and values are of whole eights");
    auto* end = std::ranges::copy(value, static_cast<std::byte*>(place.mv_data)).out;
    std::fill(end, static_cast<std::byte*>(place.mv_data) + place.mv_size, std::byte{});
    return {};
  }

  [[nodiscard]] result<bool> erase(bytes key) override {
    auto at = value_of(key);
    const int code = fits(key) ? mdb_del(in_, tables_, &at, nullptr) : MDB_NOTFOUND;
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
      return problem(code, "removing");
    return code == MDB_SUCCESS;
  }

private:
  [[nodiscard]] static bool fits(bytes key) noexcept {
    return !key.empty() && key.size() % alignment == 0 && key.size() <= limits::max_view_key;
  }

  [[nodiscard]] static int go_to_first(MDB_cursor* cursor, bytes from, MDB_val& key,
                                       MDB_val& value) noexcept {
    key = value_of(from);
    return mdb_cursor_get(cursor, &key, &value, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
  }
  [[nodiscard]] static int go_to_last_before(MDB_cursor* cursor, bytes to, MDB_val& key,
                                             MDB_val& value) noexcept {
    key = value_of(to);
    const int code =
      to.empty() ? MDB_NOTFOUND : mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
      return code;
    return mdb_cursor_get(cursor, &key, &value, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
  }

  /// Readers look at what they are given as FlatBuffers: at any other place that is not theirs.
  [[nodiscard]] result<void> check(bytes value) const {
    if (reinterpret_cast<std::uintptr_t>(value.data()) % alignment != 0)
      return std::unexpected(
        made_anew(error(errc::corrupt, fmt::format("'{}' has a value that Acta did not write; ", //
                                                   path_.string())),
                  path_.parent_path()));
    return {};
  }

  [[nodiscard]] std::unexpected<error> problem(int code, std::string_view doing) const {
    return std::unexpected(
      made_anew(lmdb_failure(damage_if_bad(code), path_, doing).error(), path_.parent_path()));
  }

  MDB_txn* in_;
  MDB_dbi tables_;
  const std::filesystem::path& path_;
  log_position position_;
};

class lmdb_view_file final : public view_file {
public:
  lmdb_view_file(const event_log& log, std::string label, writer_lock held,
                 lmdb_environment environment) noexcept
      : log_(log), label_(std::move(label)), held_(std::move(held)),
        environment_(std::move(environment)) {}

  /// Where the log is not known to be synced as far, the next opening takes it back to its last
  /// sync.
  ~lmdb_view_file() override {
    if (!synced_ || tie_.position > log_synced_.value() || !check_file())
      return;
    if (fill_up(environment_)) {
      // Where it fails, the next opening goes by the file that stays.
      [[maybe_unused]] const auto finished = synced_->finish();
    }
  }

  /// Makes or checks it, and begins to sync it.
  [[nodiscard]] result<void> start() {
    auto opening = lmdb_write::begin(environment_);
    if (!opening)
      return failure(opening);
    int code = mdb_dbi_open(opening->get(), view_meta_name, MDB_CREATE, &meta_);
    if (code == MDB_SUCCESS)
      code = mdb_dbi_open(opening->get(), view_tables_name, MDB_CREATE, &tables_);
    if (code != MDB_SUCCESS)
      return problem(code, "opening its databases");
    auto key = name_of_tie();
    MDB_val value{};
    code = mdb_get(opening->get(), meta_, &key, &value);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
      return problem(code, "reading");
    const auto id = log_.store_id();
    ensure(id.size() == tie_.store_id.size(), "a store on disk has an id of 32 digits");
    std::memcpy(tie_.store_id.data(), id.data(), id.size());
    auto ready = code == MDB_NOTFOUND ? put_tie(opening->get(), tie_) : check(bytes_of(value));
    if (!ready)
      return ready;
    if (auto committed = opening->commit(); !committed)
      return committed;
    if (auto filled = fill_up(environment_); !filled)
      return filled;
    auto synced = synced_point::start(environment_);
    if (!synced)
      return failure(synced);
    synced_.emplace(std::move(*synced));
    log_synced_ = log_.synced_tail();
    mdb_filehandle_t data = 0;
    mdb_env_get_fd(environment_.get(), &data);
    if (::fstat(data, &file_) != 0)
      return system_failure(errno, environment_.path(), "looking at it");
    return {};
  }

  [[nodiscard]] log_position position() const noexcept override {
    return log_position(tie_.position);
  }

  [[nodiscard]] result<void> read(const reading& look) const override {
    auto begun = readers_.begin();
    if (!begun)
      return trouble(begun.error());
    const auto give_back = [this](MDB_txn* in) { readers_.end(in); };
    const std::unique_ptr<MDB_txn, decltype(give_back)> in(*begun, give_back);
    auto key = name_of_tie();
    MDB_val value{};
    int code = mdb_get(in.get(), meta_, &key, &value);
    if (code == MDB_SUCCESS && value.mv_size < sizeof(view_tie))
      code = MDB_CORRUPTED;
    if (code != MDB_SUCCESS)
      return problem(code, "reading its checkpoint");
    view_tie tie;
    std::memcpy(&tie, value.mv_data, sizeof tie);
    const transaction state(in.get(), tables_, environment_.path(), log_position(tie.position));
    return look(state);
  }

  [[nodiscard]] result<void> write(log_position reached, const writing& change) override {
    auto next = tie_to(reached);
    if (!next)
      return failure(next);
    auto writer = begin();
    if (!writer)
      return failure(writer);
    transaction to(writer->get(), tables_, environment_.path(), position());
    if (auto changed = change(to); !changed)
      return changed;
    return commit(*writer, *next);
  }

  [[nodiscard]] result<void> clear() override {
    auto writer = begin();
    if (!writer)
      return failure(writer);
    if (const int code = mdb_drop(writer->get(), tables_, 0); code != MDB_SUCCESS)
      return problem(code, "emptying it");
    auto empty = tie_;
    empty.position = 0;
    empty.checksum = 0;
    if (auto done = commit(*writer, empty); !done)
      return done;
    if (auto marked = mark(); !marked) // else what was there came back after a crash
      return trouble(marked.error());
    if (auto synced = sync_marked(); !synced)
      return trouble(synced.error());
    return {};
  }

private:
  [[nodiscard]] static MDB_val name_of_tie() noexcept {
    return {view_tie_name.size(), const_cast<char*>(view_tie_name.data())};
  }

  [[nodiscard]] std::unexpected<error> problem(int code, std::string_view doing) const {
    const auto& path = environment_.path();
    return std::unexpected(
      made_anew(lmdb_failure(damage_if_bad(code), path, doing).error(), path.parent_path()));
  }
  /// Of the file, and not of what is done to it.
  [[nodiscard]] std::unexpected<error> trouble(const error& why) const {
    return std::unexpected(made_anew(why, environment_.path().parent_path()));
  }

  /// That it is the file that was opened: what is written to one that was removed is gone with the
  /// process. And that it was not cut: reading it through the map would be a SIGBUS.
  [[nodiscard]] result<void> check_file() {
    const auto& path = environment_.path();
    struct stat now{};
    const int code = ::stat(path.c_str(), &now) == 0 ? 0 : errno;
    if (code == ENOENT || code == ENOTDIR
        || (code == 0 && (now.st_dev != file_.st_dev || now.st_ino != file_.st_ino)))
      return failure(errc::not_found,
                     fmt::format("'{}': it was removed, or replaced, while it was open; open the "
                                 "view again: it is made anew",
                                 path.string()));
    if (code != 0)
      return system_failure(code, path, "looking at it");
    if (now.st_size < file_.st_size)
      return failure(errc::corrupt, fmt::format("'{}' was cut short while it was open: it has {} "
                                                "bytes, and had {}; ",
                                                path.string(), now.st_size, file_.st_size));
    file_ = now;
    return {};
  }

  [[nodiscard]] result<lmdb_write> begin() {
    auto ready = check_file();
    if (ready)
      ready = sync_if_due();
    if (!ready)
      return trouble(ready.error());
    auto writer = lmdb_write::begin(environment_);
    if (!writer)
      return trouble(writer.error());
    return writer;
  }

  [[nodiscard]] result<void> put_tie(MDB_txn* in, const view_tie& tie) const {
    std::string text(sizeof tie, '\0');
    std::memcpy(text.data(), &tie, sizeof tie);
    text += label_;
    auto key = name_of_tie();
    MDB_val value{text.size(), text.data()};
    if (const int code = mdb_put(in, meta_, &key, &value, 0); code != MDB_SUCCESS)
      return problem(code, "writing its checkpoint");
    return {};
  }

  [[nodiscard]] result<void> commit(lmdb_write& writer, const view_tie& tie) {
    if (auto put = put_tie(writer.get(), tie); !put)
      return put;
    if (auto committed = writer.commit(); !committed)
      return trouble(committed.error());
    tie_ = tie;
    ++writes_;
    return {};
  }

  [[nodiscard]] result<void> check(bytes value) {
    const auto checked = check_view_tie(value, log_, label_, environment_.path());
    if (!checked)
      return std::unexpected(checked.error());
    tie_ = *checked;
    return {};
  }

  [[nodiscard]] result<view_tie> tie_to(log_position reached) const {
    if (reached == log_position(0) || reached == position())
      return tie_;
    if (reached < position() || reached > log_.tail())
      return failure(errc::invalid_argument,
                     fmt::format("'{}' is at position {} of a log that reaches {}: it cannot move "
                                 "to {}",
                                 environment_.path().string(), tie_.position, log_.tail().value(),
                                 reached.value()));
    const auto checksum = checksum_at(log_, reached);
    if (!checksum)
      return std::unexpected(checksum.error());
    auto next = tie_;
    next.position = reached.value();
    next.checksum = checksum->value_or(0);
    return next;
  }

  /// What is marked is synced once the log is synced as far: a power loss must not leave the view
  /// ahead of it.
  [[nodiscard]] result<void> sync_if_due() {
    log_synced_ = log_.synced_tail();
    if (!marked_at_ && writes_ >= limits::view_sync_every)
      if (auto marked = mark(); !marked)
        return marked;
    if (marked_at_ && *marked_at_ <= log_synced_)
      return sync_marked();
    return {};
  }

  [[nodiscard]] result<void> mark() {
    if (auto filled = fill_up(environment_); !filled)
      return filled;
    if (auto marked = synced_->mark(); !marked)
      return marked;
    marked_at_ = position();
    writes_ = 0;
    return {};
  }

  /// Where it fails it is tried again before anything else is written.
  [[nodiscard]] result<void> sync_marked() {
    ensure(marked_at_ && *marked_at_ <= log_synced_, "a view is not synced before its log");
    if (auto synced = synced_->sync_marked(); !synced)
      return synced;
    marked_at_.reset();
    return {};
  }

  const event_log& log_;
  const std::string label_;
  writer_lock held_; ///< LMDB must not open a file twice in a process.
  lmdb_environment environment_;
  lmdb_readers readers_{environment_};
  MDB_dbi tables_ = 0;
  MDB_dbi meta_ = 0;
  struct stat file_{}; ///< As it was when it was last looked at.
  view_tie tie_;
  log_position log_synced_; ///< How far the log was synced when it was last asked.
  unsigned writes_ = 0;     ///< Since the last mark.
  std::optional<log_position> marked_at_;
  std::optional<synced_point> synced_;
};

[[nodiscard]] result<void> check_identity(const event_log& of, const view_identity& which) {
  const bool named =
    !which.name.empty() && which.name.size() <= max_name
    && which.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (!named || which.part >= which.parts)
    return failure(
      errc::invalid_argument,
      fmt::format("there is no view '{}', part {} of {}: a name is 1 to {} of [a-z0-9_]"
                  ", and parts count from 0",
                  which.name, which.part, which.parts, max_name));
  if (of.directory().empty())
    return failure(errc::invalid_argument,
                   fmt::format("view '{}' lies beside a log on disk that is open for writing; this "
                               "one is in memory, or open for reading",
                               which.name));
  return {};
}

[[nodiscard]] result<std::unique_ptr<view_file>>
open_in(const std::filesystem::path& directory, const event_log& of, const view_identity& which) {
  auto held = writer_lock::acquire(directory);
  if (!held)
    return failure(held);
  if (auto restored = synced_point::take_back(directory); !restored)
    return failure(restored);
  if (auto prepared = prepare_data_file(directory); !prepared)
    return failure(prepared);
  if (auto prepared = prepare_lock_file(directory); !prepared)
    return failure(prepared);
  if (auto sound = check_before_lmdb(directory / "data.mdb", view_tables_name); !sound)
    return failure(sound);
  auto opened = lmdb_environment::open(directory, {.map_size = limits::default_map_size});
  if (!opened)
    return failure(opened);
  auto made = std::make_unique<lmdb_view_file>(of, which.label(), std::move(*held), //
                                               std::move(*opened));
  if (auto started = made->start(); !started)
    return failure(started);
  return made;
}

} // namespace

std::string view_identity::label() const {
  return parts == 1 ? fmt::format("{}@{}", name, version)
                    : fmt::format("{}@{}.{}of{}", name, version, part, parts);
}

result<std::unique_ptr<view_file>> open_view(const event_log& of, const view_identity& which) {
  if (auto possible = check_identity(of, which); !possible)
    return failure(possible);
  const auto views = of.directory() / "views";
  const auto directory = views / which.label();
  for (const auto& each : {views, directory})
    if (auto made = make_directory(each); !made)
      return failure(made);
  auto opened = open_in(directory, of, which);
  if (!opened)
    return std::unexpected(made_anew(opened.error(), directory));
  return opened;
}

} // namespace acta::storage
