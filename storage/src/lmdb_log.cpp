#include "background_sync.hpp"
#include "dictionary.hpp"
#include "lmdb_error.hpp"
#include "lmdb_pages.hpp"
#include "log_environment.hpp"
#include "scanning_cursor.hpp"
#include "store_directory.hpp"
#include "writer_lock.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace acta::storage {

namespace {

[[nodiscard]] MDB_val key_of(const std::uint64_t& position) noexcept {
  return {sizeof position, const_cast<std::uint64_t*>(&position)};
}

/// 0, which is no position, for a key that is none.
[[nodiscard]] std::uint64_t position_in(const MDB_val& key) noexcept {
  std::uint64_t position = 0;
  if (key.mv_size == sizeof position)
    std::memcpy(&position, key.mv_data, sizeof position);
  return position;
}

[[nodiscard]] std::span<const std::byte> bytes_of(const MDB_val& value) noexcept {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

class lmdb_snapshot;

/// The log on disk. The only writer of its environment.
class lmdb_log final : public event_log {
public:
  lmdb_log(std::filesystem::path directory, writer_lock held, log_environment environment)
      : directory_(std::move(directory)), held_(std::move(held)),
        environment_(std::move(environment)) {}

  lmdb_log(const lmdb_log&) = delete;
  lmdb_log& operator=(const lmdb_log&) = delete;

  /// Reads the dictionary and the tail, or makes the store if it is new.
  [[nodiscard]] result<void> start(std::int64_t now_ns);
  /// From now on commits do not wait for the device.
  [[nodiscard]] result<void> sync_in_background(std::chrono::milliseconds every);

  [[nodiscard]] result<log_position> append(std::span<const std::span<const std::byte>> records,
                                            std::int64_t recorded_at_ns) override;

  [[nodiscard]] log_position tail() const noexcept override {
    return log_position(tail_.load(std::memory_order_acquire));
  }

  [[nodiscard]] log_position synced_tail() const noexcept override {
    return sync_ ? log_position(synced_.load(std::memory_order_acquire)) : tail();
  }

  [[nodiscard]] result<std::unique_ptr<log_snapshot>> snapshot() const override;

  [[nodiscard]] result<category_id> register_category(std::string_view name) override {
    return add_name(categories_, category_prefix, name);
  }
  [[nodiscard]] result<event_type_id> register_event_type(std::string_view name) override {
    return add_name(event_types_, event_type_prefix, name);
  }
  [[nodiscard]] std::string_view category_name(category_id id) const noexcept override {
    return categories_.name(id);
  }
  [[nodiscard]] std::string_view event_type_name(event_type_id id) const noexcept override {
    return event_types_.name(id);
  }
  [[nodiscard]] result<void> put_schemas(std::span<const event_schema> schemas) override;
  [[nodiscard]] result<std::vector<std::byte>> schema(event_type_id id) const override;
  [[nodiscard]] storage::durability durability() const noexcept override {
    return sync_ ? durability::process : durability::power;
  }
  [[nodiscard]] std::string_view store_id() const noexcept override { return store_id_; }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept override {
    return directory_;
  }

  [[nodiscard]] const log_environment& environment() const noexcept { return environment_; }
  [[nodiscard]] const lmdb_readers& readers() const noexcept { return readers_; }

private:
  template <class Id>
  [[nodiscard]] result<Id> add_name(dictionary<Id>& names, std::string_view prefix,
                                    std::string_view name);
  [[nodiscard]] result<void> put_all(MDB_txn* in, std::uint64_t first,
                                     std::span<const std::span<const std::byte>> records,
                                     std::int64_t recorded_at_ns) const;
  [[nodiscard]] result<void> read_last_date();
  [[nodiscard]] result<void> check_sound();
  [[nodiscard]] std::unexpected<error> give_up(std::unexpected<error> why);

  std::filesystem::path directory_;
  std::string store_id_;
  writer_lock held_;
  log_environment environment_;
  lmdb_readers readers_{environment_.lmdb()};
  dictionary<category_id> categories_;
  dictionary<event_type_id> event_types_;
  std::atomic<std::uint64_t> tail_{0};
  // Of the writer.
  std::int64_t last_date_ns_ = std::numeric_limits<std::int64_t>::min();
  std::optional<error> failed_; ///< The append or sync that failed.

  std::atomic<std::uint64_t> synced_{0};
  std::unique_ptr<background_sync> sync_; ///< At durability `process`.
};

/// Reads one record after another.
class lmdb_source {
public:
  lmdb_source(const lmdb_log& log, MDB_cursor* cursor, direction way) noexcept
      : log_(&log), cursor_(cursor), step_(way == direction::forward ? MDB_NEXT : MDB_PREV) {}

  [[nodiscard]] result<record_view> read(std::uint64_t position) {
    auto key = key_of(position);
    MDB_val value{};
    const int code = mdb_cursor_get(cursor_.get(), &key, &value, std::exchange(move_, step_));
    if (code == MDB_NOTFOUND || (code == MDB_SUCCESS && position_in(key) != position))
      return failure(errc::corrupt, fmt::format("position {}: the record is missing in '{}'; "
                                                "restore a backup",
                                                position, log_->environment().path().string()));
    if (code != MDB_SUCCESS)
      return lmdb_failure(code, log_->environment().path(), fmt::format("reading {}", position));
    return record_view::parse(log_position(position), bytes_of(value));
  }

private:
  struct closer {
    void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
  };

  const lmdb_log* log_;
  std::unique_ptr<MDB_cursor, closer> cursor_;
  MDB_cursor_op step_;
  MDB_cursor_op move_ = MDB_SET_KEY; ///< To the first one.
};

class lmdb_snapshot final : public log_snapshot {
public:
  lmdb_snapshot(const lmdb_log& log, MDB_txn* reader) : log_(log), reader_(reader) {}
  ~lmdb_snapshot() override { log_.readers().end(reader_); }
  lmdb_snapshot(const lmdb_snapshot&) = delete;
  lmdb_snapshot& operator=(const lmdb_snapshot&) = delete;

  [[nodiscard]] result<void> read_tail() {
    auto tail = log_.environment().last_position(reader_);
    if (!tail)
      return failure(tail);
    // A commit is there for readers a moment before the log says so: to them it is not there yet.
    tail_ = std::min(*tail, log_.tail());
    return {};
  }

  [[nodiscard]] log_position tail() const noexcept override { return tail_; }

  [[nodiscard]] result<void> refresh() override {
    if (log_.tail() == tail_)
      return {};
    mdb_txn_reset(reader_);
    if (const int code = mdb_txn_renew(reader_); code != MDB_SUCCESS)
      return lmdb_failure(code, log_.environment().path(), "a read transaction");
    const auto before = tail_;
    auto read = read_tail();
    ensure(!read || tail_ >= before, "a log never gets shorter");
    return read;
  }

  [[nodiscard]] result<record_view> at(log_position position) const& override {
    if (position.value() == 0 || position > tail_)
      return failure(errc::not_found,
                     fmt::format("position {}: '{}' has 1 to {}", position.value(),
                                 log_.environment().path().string(), tail_.value()));
    const auto wanted = position.value();
    auto key = key_of(wanted);
    MDB_val value{};
    if (const int code = mdb_get(reader_, log_.environment().events(), &key, &value);
        code != MDB_SUCCESS)
      return lmdb_failure(code == MDB_NOTFOUND ? MDB_CORRUPTED : code, log_.environment().path(),
                          fmt::format("reading position {}", wanted));
    return record_view::parse(position, bytes_of(value));
  }

  using log_snapshot::scan;
  [[nodiscard]] result<std::unique_ptr<log_cursor>>
  scan(log_position from, const scan_options& options) const& override {
    MDB_cursor* cursor = nullptr;
    if (const int code = mdb_cursor_open(reader_, log_.environment().events(), &cursor);
        code != MDB_SUCCESS)
      return lmdb_failure(code, log_.environment().path(), "a cursor");
    return std::make_unique<scanning_cursor<lmdb_source>>(lmdb_source(log_, cursor, options.way),
                                                          from, tail_, options);
  }

private:
  const lmdb_log& log_;
  MDB_txn* reader_;
  log_position tail_;
};

result<std::unique_ptr<log_snapshot>> lmdb_log::snapshot() const {
  auto reader = readers_.begin();
  if (!reader)
    return failure(reader);
  auto made = std::make_unique<lmdb_snapshot>(*this, *reader);
  if (auto read = made->read_tail(); !read)
    return failure(read);
  return made;
}

result<void> lmdb_log::check_sound() {
  if (!failed_ && sync_)
    failed_ = sync_->failed();
  if (failed_)
    return std::unexpected(*failed_);
  return {};
}

result<void> lmdb_log::sync_in_background(std::chrono::milliseconds every) {
  auto started = background_sync::start(environment_.lmdb(), every, [this](MDB_txn* reader) {
    if (const auto last = environment_.last_position(reader))
      synced_.store(last->value(), std::memory_order_release);
  });
  if (!started)
    return failure(started);
  sync_ = std::move(*started);
  return {};
}

std::unexpected<error> lmdb_log::give_up(std::unexpected<error> why) {
  failed_ = why.error();
  return why;
}

result<log_position> lmdb_log::append(std::span<const std::span<const std::byte>> records,
                                      std::int64_t recorded_at_ns) {
  if (auto sound = check_sound(); !sound)
    return failure(sound);
  const auto before = tail_.load(std::memory_order_relaxed); // this thread is its only writer
  if (records.empty())
    return log_position(before);
  auto writer = lmdb_write::begin(environment_.lmdb());
  if (!writer)
    return give_up(failure(writer));
  const auto date = std::max(last_date_ns_, recorded_at_ns);
  if (auto put = put_all(writer->get(), before + 1, records, date); !put)
    return give_up(failure(put));
  if (auto committed = writer->commit(); !committed)
    return give_up(failure(committed));
  const auto after = before + records.size();
  last_date_ns_ = date;
  tail_.store(after, std::memory_order_release);
  if (sync_)
    sync_->changed();
  return log_position(after);
}

result<void> lmdb_log::put_all(MDB_txn* in, std::uint64_t first,
                               std::span<const std::span<const std::byte>> records,
                               std::int64_t recorded_at_ns) const {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(in, environment_.events(), &cursor); code != MDB_SUCCESS)
    return lmdb_failure(code, environment_.path(), "a cursor");
  int code = MDB_SUCCESS;
  auto position = first;
  for (const auto& record : records) {
    auto key = key_of(position);
    MDB_val place{record.size(), nullptr};
    code = mdb_cursor_put(cursor, &key, &place, MDB_APPEND | MDB_RESERVE);
    if (code != MDB_SUCCESS)
      break;
    // LMDB keeps a value of 8-byte multiples behind an 8-byte key aligned: finish_record() checks.
    auto* copy = static_cast<std::byte*>(place.mv_data);
    std::memcpy(copy, record.data(), record.size());
    finish_record(copy, record.size(), recorded_at_ns);
    ++position;
  }
  mdb_cursor_close(cursor);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, environment_.path(), fmt::format("appending position {}", position));
  ensure(position == first + records.size(), "each record got the position after the one before");
  return {};
}

template <class Id>
result<Id> lmdb_log::add_name(dictionary<Id>& names, std::string_view prefix,
                              std::string_view name) {
  if (const auto known = names.find(name); known != Id(0))
    return known;
  if (auto sound = check_sound(); !sound)
    return failure(sound);
  auto added = names.find_or_add(name);
  if (!added)
    return added;
  const std::pair entry{name_key(prefix, added->value()), std::string(name)};
  auto stored = environment_.put_meta({&entry, 1});
  if (!stored) {
    names.remove_newest();
    return give_up(failure(stored));
  }
  if (sync_)
    sync_->changed();
  return added;
}

result<void> lmdb_log::put_schemas(std::span<const event_schema> schemas) {
  if (auto sound = check_sound(); !sound)
    return sound;
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& one : schemas) {
    ensure(!event_type_name(one.type).empty(), "a schema is of an event type that is registered");
    ensure(!one.bfbs.empty(), "what is stored as a schema is not taken for none");
    entries.emplace_back(
      name_key(schema_prefix, one.type.value()),
      std::string(reinterpret_cast<const char*>(one.bfbs.data()), one.bfbs.size()));
  }
  if (entries.empty())
    return {};
  if (auto stored = environment_.put_meta(entries); !stored)
    return give_up(failure(stored));
  if (sync_)
    sync_->changed();
  return {};
}

result<std::vector<std::byte>> lmdb_log::schema(event_type_id id) const {
  const auto stored = environment_.get_sound_meta(name_key(schema_prefix, id.value()));
  if (!stored)
    return std::unexpected(stored.error());
  const auto bfbs = std::as_bytes(std::span(*stored));
  return std::vector(bfbs.begin(), bfbs.end());
}

result<void> lmdb_log::start(std::int64_t now_ns) {
  if (auto checked = environment_.check_or_make_format(now_ns); !checked)
    return checked;
  auto id = environment_.store_id();
  if (!id)
    return failure(id);
  store_id_ = std::move(*id);
  auto reader = readers_.begin();
  if (!reader)
    return failure(reader);
  auto names = environment_.read_names(*reader, categories_, event_types_);
  auto last = environment_.last_position(*reader);
  auto count = environment_.count_events(*reader);
  readers_.end(*reader);
  if (!names)
    return names;
  if (!last)
    return failure(last);
  if (!count)
    return failure(count);
  if (*count != last->value())
    return failure(errc::corrupt,
                   fmt::format("'{}' has {} records, but the last position is {}; restore a backup",
                               environment_.path().string(), *count, last->value()));
  tail_.store(last->value(), std::memory_order_release);
  return read_last_date();
}

result<void> lmdb_log::read_last_date() {
  if (tail() == log_position(0))
    return {};
  auto newest = snapshot();
  if (!newest)
    return failure(newest);
  const auto last = (*newest)->at(tail());
  if (!last)
    return failure(last.error().code(),
                   fmt::format("'{}': {}", environment_.path().string(), last.error().message()));
  last_date_ns_ = last->header().recorded_at_ns;
  return {};
}

[[nodiscard]] result<void> check(const log_options& options) {
  if (options.durability == durability::memory)
    return failure(errc::invalid_argument,
                   "log_options::durability is memory, which no store on disk has: use "
                   "make_memory_log()");
  if (options.sync_every.count() <= 0)
    return failure(
      errc::invalid_argument,
      fmt::format("log_options::sync_every is {} ms; 1 at least", options.sync_every.count()));
  return {};
}

[[nodiscard]] std::unexpected<error> not_its_log(const std::filesystem::path& directory,
                                                 std::string_view what, std::string_view made) {
  return failure(errc::corrupt,
                 fmt::format("'{}': 'log/data.mdb' {}, but the store that was made here has the id "
                             "{}; restore its log from a backup, or remove the directory",
                             directory.string(), what, made));
}

} // namespace

result<std::unique_ptr<event_log>> open_log(const std::filesystem::path& directory,
                                            const log_options& options) {
  if (auto sound = check(options); !sound)
    return failure(sound);
  if (auto prepared = prepare_store_directory(directory); !prepared)
    return failure(prepared);
  auto held = writer_lock::acquire(directory);
  if (!held)
    return failure(held);
  const auto made = read_store_id(directory);
  if (!made)
    return std::unexpected(made.error());
  if (auto prepared = prepare_lmdb_files(directory, !made->empty()); !prepared)
    return failure(prepared);
  if (auto restored = synced_point::restore(directory / "log"); !restored)
    return failure(restored);
  if (auto sound = check_before_lmdb(directory / "log" / "data.mdb", "events"); !sound)
    return failure(sound);
  auto environment = log_environment::open(directory / "log", options.map_size);
  if (!environment)
    return failure(environment);
  const bool is_new = environment->is_new();
  if (is_new && !made->empty())
    return not_its_log(directory, "is missing or empty", *made);
  if (auto durable = environment->lmdb().make_durable(); !durable)
    return failure(durable);
  auto log = std::make_unique<lmdb_log>(directory, std::move(*held), std::move(*environment));
  if (auto started = log->start(wall_clock().now_ns()); !started)
    return failure(started);
  const auto id = log->store_id();
  if (!made->empty() && *made != id)
    return not_its_log(directory, fmt::format("is of store {}", id), *made);
  if (auto synced = sync_store_directory(directory); !synced)
    return failure(synced);
  if (made->empty()) // last, as it says that the rest is there
    if (auto written = write_store_id(directory, id); !written && is_new)
      return failure(written); // a store with events opens all the same, and tries again next time
  if (options.durability == durability::process)
    if (auto started = log->sync_in_background(options.sync_every); !started)
      return failure(started);
  return log;
}

} // namespace acta::storage
