#include "background_sync.hpp"
#include "disk_log.hpp"
#include "lmdb_error.hpp"
#include "lmdb_pages.hpp"
#include "store_copy.hpp"
#include "store_directory.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace acta::storage {

namespace {

/// When a record was committed.
[[nodiscard]] std::int64_t date_of(std::span<const std::byte> record) noexcept {
  record_header header{};
  ensure(record.size() >= sizeof header, "what was appended was a record");
  std::memcpy(&header, record.data(), sizeof header);
  return header.recorded_at_ns;
}

/// The log on disk. The only writer of its environment.
class lmdb_log final : public disk_log, public dated_log {
public:
  lmdb_log(std::filesystem::path directory, store_hold held, log_environment environment)
      : disk_log(std::move(directory), std::move(held), std::move(environment)) {}

  lmdb_log(const lmdb_log&) = delete;
  lmdb_log& operator=(const lmdb_log&) = delete;

  /// Reads the dictionary and the tail, or makes the store if it is new: `of_new`. `is_copied`: it
  /// may be a part of a copy.
  [[nodiscard]] result<void> start(const store_identity& of_new, bool is_copied);
  /// From now on commits do not wait for the device.
  [[nodiscard]] result<void> sync_in_background(std::chrono::milliseconds every);

  [[nodiscard]] result<log_position> append(std::span<const std::span<const std::byte>> records,
                                            std::int64_t recorded_at_ns) override {
    return append_all(records, std::max(last_date_ns_, recorded_at_ns));
  }
  [[nodiscard]] result<log_position>
  append_dated(std::span<const std::span<const std::byte>> records) override {
    return append_all(records, std::nullopt);
  }
  [[nodiscard]] result<void> begin_at(const log_start& begin) override;

  [[nodiscard]] log_position tail() const noexcept override {
    return log_position(tail_.load(std::memory_order_acquire));
  }

  [[nodiscard]] log_position synced_tail() const noexcept override {
    return sync_ ? log_position(synced_.load(std::memory_order_acquire)) : tail();
  }

  void on_sync(const sync_listener& listener) override;

  [[nodiscard]] result<category_id> register_category(std::string_view name) override {
    return add_name(categories_, category_prefix, name);
  }
  [[nodiscard]] result<event_type_id> register_event_type(std::string_view name) override {
    return add_name(event_types_, event_type_prefix, name);
  }
  [[nodiscard]] result<void> put_schemas(std::span<const event_schema> schemas) override;
  [[nodiscard]] storage::durability durability() const noexcept override {
    return sync_ ? durability::process : durability::power;
  }

private:
  template <class Id>
  [[nodiscard]] result<Id> add_name(dictionary<Id>& names, std::string_view prefix,
                                    std::string_view name);
  /// Without a date the records keep those they have.
  [[nodiscard]] result<log_position> append_all(std::span<const std::span<const std::byte>> records,
                                                std::optional<std::int64_t> recorded_at_ns);
  [[nodiscard]] result<void> put_all(MDB_txn* in, std::uint64_t first,
                                     std::span<const std::span<const std::byte>> records,
                                     std::optional<std::int64_t> recorded_at_ns) const;
  [[nodiscard]] result<void> read_last_date();
  [[nodiscard]] result<void> check_sound();
  void tell_of_sync(const result<log_position>& synced);
  [[nodiscard]] std::unexpected<error> give_up(std::unexpected<error> why);

  std::atomic<std::uint64_t> tail_{0};
  // Of the writer.
  std::int64_t last_date_ns_ = std::numeric_limits<std::int64_t>::min();
  std::optional<error> failed_; ///< The append or sync that failed.

  std::atomic<std::uint64_t> synced_{0};
  std::mutex listener_mutex_;
  sync_listener listener_;
  std::unique_ptr<background_sync> sync_; ///< At durability `process`.
};

result<void> lmdb_log::check_sound() {
  if (!failed_ && sync_)
    failed_ = sync_->failed();
  if (failed_)
    return std::unexpected(*failed_);
  return {};
}

result<void> lmdb_log::sync_in_background(std::chrono::milliseconds every) {
  auto started = background_sync::start(
    environment_.lmdb(), every,
    [this](MDB_txn* reader) {
      const auto last = environment_.last_position(reader);
      if (!last)
        return;
      synced_.store(last->value(), std::memory_order_release);
      tell_of_sync(*last);
    },
    [this](const error& why) { tell_of_sync(std::unexpected(why)); });
  if (!started)
    return failure(started);
  sync_ = std::move(*started);
  return {};
}

void lmdb_log::on_sync(const sync_listener& listener) {
  const std::lock_guard guard(listener_mutex_);
  listener_ = listener;
}

void lmdb_log::tell_of_sync(const result<log_position>& synced) {
  const std::lock_guard guard(listener_mutex_);
  if (listener_)
    listener_(synced);
}

std::unexpected<error> lmdb_log::give_up(std::unexpected<error> why) {
  failed_ = why.error();
  return why;
}

result<log_position> lmdb_log::append_all(std::span<const std::span<const std::byte>> records,
                                          std::optional<std::int64_t> recorded_at_ns) {
  if (auto sound = check_sound(); !sound)
    return failure(sound);
  const auto before = tail_.load(std::memory_order_relaxed); // this thread is its only writer
  if (records.empty())
    return log_position(before);
  std::size_t size = 0;
  for (const auto& record : records)
    size += record.size();
  auto writer = environment_.begin_write(size);
  if (!writer)
    return give_up(failure(writer));
  if (auto put = put_all(writer->get(), before + 1, records, recorded_at_ns); !put)
    return give_up(failure(put));
  if (auto committed = writer->commit(); !committed)
    return give_up(failure(committed));
  const auto after = before + records.size();
  last_date_ns_ = recorded_at_ns ? *recorded_at_ns : date_of(records.back());
  tail_.store(after, std::memory_order_release);
  if (sync_)
    sync_->changed();
  return log_position(after);
}

result<void> lmdb_log::put_all(MDB_txn* in, std::uint64_t first,
                               std::span<const std::span<const std::byte>> records,
                               std::optional<std::int64_t> recorded_at_ns) const {
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
    if (recorded_at_ns)
      finish_record(copy, record.size(), *recorded_at_ns);
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

result<void> lmdb_log::begin_at(const log_start& begin) {
  if (begin.first.value() == tail().value() + 1)
    return {};
  const auto now = snapshot();
  if (!now)
    return std::unexpected(now.error());
  ensure(tail() < (*now)->first(), "only an empty log can begin elsewhere");
  const std::pair entry{std::string(start_key), start_value(begin)};
  if (auto stored = environment_.put_meta({&entry, 1}); !stored)
    return give_up(failure(stored));
  tail_.store(begin.first.value() - 1, std::memory_order_release);
  return {};
}

result<void> lmdb_log::start(const store_identity& of_new, bool is_copied) {
  if (auto checked = environment_.check_or_make_format(of_new); !checked)
    return checked;
  const auto last = read_what_is_there(is_copied);
  if (!last)
    return std::unexpected(last.error());
  tail_.store(last->value(), std::memory_order_release);
  return read_last_date();
}

result<void> lmdb_log::read_last_date() {
  auto newest = snapshot();
  if (!newest)
    return failure(newest);
  if (tail() < (*newest)->first()) // it is empty
    return {};
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

/// `as`: what the store is if it is new, and must be if it is not; empty for any.
[[nodiscard]] result<std::unique_ptr<event_log>> open_as(const std::filesystem::path& directory,
                                                         const log_options& options,
                                                         const std::optional<store_identity>& as) {
  if (auto sound = check(options); !sound)
    return failure(sound);
  if (auto prepared = prepare_store_directory(directory); !prepared)
    return failure(prepared);
  auto held = store_hold::for_writing(directory);
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
  auto environment = log_environment::open(directory / "log", {.map_size = options.map_size});
  if (!environment)
    return failure(environment);
  const bool is_new = environment->is_new();
  if (is_new && !made->empty())
    return not_its_log(directory, "is missing or empty", *made);
  if (auto durable = environment->lmdb().make_durable(); !durable)
    return failure(durable);
  auto log = std::make_unique<lmdb_log>(directory, std::move(*held), std::move(*environment));
  const auto identity = as ? *as : store_identity::make(wall_clock().now_ns());
  if (auto started = log->start(identity, as.has_value()); !started)
    return failure(started);
  const auto id = log->store_id();
  ensure(id.size() == 2 * sizeof(store_identity::id), "what is open has an id");
  if (!made->empty() && *made != id)
    return not_its_log(directory, fmt::format("is of store {}", id), *made);
  if (as && as->text() != id)
    return failure(errc::invalid_argument,
                   fmt::format("'{}' is store {}, and not a copy of store {}; choose another "
                               "directory",
                               directory.string(), id, as->text()));
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

} // namespace

result<std::unique_ptr<event_log>> open_log(const std::filesystem::path& directory,
                                            const log_options& options) {
  return open_as(directory, options, std::nullopt);
}

result<std::unique_ptr<event_log>> open_copy(const std::filesystem::path& directory,
                                             const store_identity& of) {
  return open_as(directory, {}, of);
}

} // namespace acta::storage
