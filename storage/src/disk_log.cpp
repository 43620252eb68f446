#include "disk_log.hpp"

#include "lmdb_error.hpp"
#include "scanning_cursor.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace acta::storage {

namespace {

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

/// Reads one record after another.
class lmdb_source {
public:
  lmdb_source(const disk_log& log, MDB_cursor* cursor, direction way) noexcept
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

  const disk_log* log_;
  std::unique_ptr<MDB_cursor, closer> cursor_;
  MDB_cursor_op step_;
  MDB_cursor_op move_ = MDB_SET_KEY; ///< To the first one.
};

class lmdb_snapshot final : public log_snapshot {
public:
  lmdb_snapshot(const disk_log& log, MDB_txn* reader) : log_(log), reader_(reader) {}
  ~lmdb_snapshot() override { log_.readers().end(reader_); }
  lmdb_snapshot(const lmdb_snapshot&) = delete;
  lmdb_snapshot& operator=(const lmdb_snapshot&) = delete;

  [[nodiscard]] result<void> read_range() {
    const auto all = log_.environment().range(reader_);
    if (!all)
      return std::unexpected(all.error());
    first_ = all->first;
    // A commit is there for readers a moment before the log says so: to them it is not there yet.
    tail_ = std::min(all->last, log_.tail());
    return {};
  }

  [[nodiscard]] log_position first() const noexcept override { return first_; }
  [[nodiscard]] log_position tail() const noexcept override { return tail_; }

  [[nodiscard]] result<void> refresh() override {
    MDB_envinfo now{};
    mdb_env_info(log_.environment().get(), &now);
    if (log_.tail() == tail_ && now.me_last_txnid == mdb_txn_id(reader_))
      return {}; // nor was anything archived
    mdb_txn_reset(reader_);
    if (const int code = mdb_txn_renew(reader_); code != MDB_SUCCESS)
      return lmdb_failure(code, log_.environment().path(), "a read transaction");
    const auto before = tail_;
    auto read = read_range();
    ensure(!read || tail_ >= before, "a log never gets shorter");
    return read;
  }

  [[nodiscard]] result<record_view> at(log_position position) const& override {
    if (position.value() == 0 || position > tail_)
      return failure(errc::not_found,
                     fmt::format("position {}: '{}' has {} to {}", position.value(),
                                 log_.environment().path().string(), first_.value(),
                                 tail_.value()));
    if (position < first_)
      return archived(position);
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
    if (from != log_position(0) && from < first_)
      return archived(from);
    MDB_cursor* cursor = nullptr;
    if (const int code = mdb_cursor_open(reader_, log_.environment().events(), &cursor);
        code != MDB_SUCCESS)
      return lmdb_failure(code, log_.environment().path(), "a cursor");
    return std::make_unique<scanning_cursor<lmdb_source>>(lmdb_source(log_, cursor, options.way),
                                                          from, first_, tail_, options);
  }

private:
  [[nodiscard]] std::unexpected<error> archived(log_position position) const {
    const auto& environment = log_.environment();
    const auto into = environment.get_meta(archive_key);
    return failure(
      errc::not_found,
      fmt::format("position {}: those up to {} of '{}' were archived{}; read them there,"
                  " or begin at {}",
                  position.value(), first_.value() - 1, environment.path().string(),
                  into && !into->empty() ? fmt::format(", the last into '{}'", *into) : "",
                  first_.value()));
  }

  const disk_log& log_;
  MDB_txn* reader_;
  log_position first_{1};
  log_position tail_;
};

} // namespace

result<std::unique_ptr<log_snapshot>> disk_log::snapshot() const {
  auto reader = readers_.begin();
  if (!reader)
    return failure(reader);
  auto made = std::make_unique<lmdb_snapshot>(*this, *reader);
  if (auto read = made->read_range(); !read)
    return failure(read);
  return made;
}

result<std::vector<std::byte>> disk_log::schema(event_type_id id) const {
  const auto stored = environment_.get_sound_meta(name_key(schema_prefix, id.value()));
  if (!stored)
    return failure(stored.error().code(),
                   fmt::format("the schema of event type '{}': {}", event_type_name(id),
                               stored.error().message()));
  const auto bfbs = std::as_bytes(std::span(*stored));
  return std::vector(bfbs.begin(), bfbs.end());
}

result<log_start> disk_log::start_of(const log_snapshot& now) const {
  auto reader = readers_.begin();
  if (!reader)
    return failure(reader);
  auto start = environment_.start(*reader);
  readers_.end(*reader);
  if (start && start->first != now.first())
    return failure(errc::store_in_use,
                   fmt::format("'{}' is being archived; try again", environment_.path().string()));
  return start;
}

result<log_position> disk_log::read_what_is_there(bool is_copied) {
  auto identity = environment_.identity();
  if (!identity)
    return failure(identity);
  store_id_ = identity->text();
  auto reader = readers_.begin();
  if (!reader)
    return failure(reader);
  auto names = environment_.read_names(*reader, categories_, event_types_);
  auto last = check_range(*reader, is_copied);
  readers_.end(*reader);
  if (!names)
    return failure(names);
  return last;
}

/// That the records are those from where `meta` says that the log begins: none is missing in front,
/// nor, as far as their number tells, between.
result<log_position> disk_log::check_range(MDB_txn* in, bool is_copied) const {
  const auto start = environment_.start(in);
  if (!start)
    return std::unexpected(start.error());
  const auto all = environment_.range(in);
  if (!all)
    return std::unexpected(all.error());
  const auto key = environment_.first_key(in);
  if (!key)
    return key;
  if (all->first != start->first || (!all->is_empty() && *key != start->first))
    return failure(errc::corrupt,
                   fmt::format("'{}' has {} records, the first at position {} and the last at {}, "
                               "but its log begins at {}; restore a backup",
                               environment_.path().string(),
                               all->last.value() + 1 - all->first.value(), key->value(),
                               all->last.value(), start->first.value()));
  if (all->last.value() < start->whole_through && !is_copied)
    return failure(errc::corrupt,
                   fmt::format("'{}' ends at position {} and must reach {}: it was copied in part, "
                               "and lacks what archived streams have come to; back up into it "
                               "again, or restore another backup",
                               environment_.path().string(), all->last.value(),
                               start->whole_through));
  return all->last;
}

std::unexpected<error> not_its_log(const std::filesystem::path& directory, std::string_view what,
                                   std::string_view made) {
  return failure(errc::corrupt,
                 fmt::format("'{}': 'log/data.mdb' {}, but the store that was made here has the id "
                             "{}; restore its log from a backup, or remove the directory",
                             directory.string(), what, made));
}

} // namespace acta::storage
