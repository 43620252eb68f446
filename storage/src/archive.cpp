#include <acta/storage/archive.hpp>

#include "disk_log.hpp"
#include "retention.hpp"
#include "store_copy.hpp"

#include <acta/base/clock.hpp>
#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/truncation.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

struct hash_of_stream {
  std::size_t operator()(const stream_id& of) const noexcept { return stream_hash(of); }
};

/// Streams with events before the end, and the newest version of those.
using streams_in_front = std::unordered_map<stream_id, stream_version, hash_of_stream>;

[[nodiscard]] result<streams_in_front> find_streams(const log_snapshot& in, log_position end) {
  streams_in_front found;
  auto cursor = in.scan(log_position(0));
  if (!cursor)
    return failure(cursor);
  for (;;) {
    const auto records = (*cursor)->next();
    if (!records)
      return std::unexpected(records.error());
    for (const auto& record : *records) {
      if (record.position() >= end)
        return found;
      found[record.stream()] = record.version();
    }
    if (records->empty())
      return found;
  }
}

/// Sees to it that nobody needs what is before the end of what is archived: everything that is left
/// to know of a stream is told by its newest truncation, and that is not archived.
class way_maker {
public:
  [[nodiscard]] static result<way_maker> open(event_log& log, log_position end) {
    auto writer = stream_writer::open(log);
    if (!writer)
      return failure(writer);
    return way_maker(log, end, std::move(*writer));
  }

  [[nodiscard]] result<void> run(archive_result& done) {
    const auto now = log_.snapshot();
    if (!now)
      return std::unexpected(now.error());
    const auto streams = find_streams(**now, end_);
    if (!streams)
      return std::unexpected(streams.error());
    for (const auto& [stream, last] : *streams)
      if (auto looked_at = look_at(stream, last, **now); !looked_at)
        return looked_at;
    if (in_the_way_ != 0)
      return refuse();
    for (const auto& [stream, last] : covered_)
      if (auto truncated = truncate(stream, last); !truncated)
        return truncated;
    done.truncated = covered_.size();
    return carry(*streams, done);
  }

private:
  way_maker(event_log& log, log_position end, std::unique_ptr<stream_writer> writer) noexcept
      : log_(log), end_(end), writer_(std::move(writer)) {}

  [[nodiscard]] bool is_of_truncations(const stream_id& stream) const {
    return log_.category_name(stream.category()).starts_with(retention_prefix);
  }

  /// A stream whose newest event in front is `last`.
  [[nodiscard]] result<void> look_at(const stream_id& stream, stream_version last,
                                     const log_snapshot& now) {
    if (is_of_truncations(stream))
      return {};
    const auto truncated = writer_->index().truncated(stream, now);
    if (!truncated)
      return std::unexpected(truncated.error());
    const bool is_truncated = truncated->before > last;
    if (is_truncated && (truncated->removed || truncated->state))
      return {};
    const auto reaches = newest_of(last, *truncated);
    bool is_covered = truncated->state && truncated->state->version >= reaches;
    if (!is_covered) {
      const auto seen = with_snapshot(stream, reaches, now, [&](const stream_snapshot&) {
        is_covered = true;
        return result<void>{};
      });
      if (!seen)
        return seen;
    }
    if (is_covered) {
      covered_.emplace_back(stream, reaches);
      return {};
    }
    if (!is_truncated && ++in_the_way_ <= most_named)
      named_.push_back(stream.to_string(log_.category_name(stream.category())));
    return {};
  }

  /// The newest version that must be in its state: of those in front, or truncated.
  [[nodiscard]] static stream_version newest_of(stream_version last, const truncation& truncated) {
    return std::max(last, stream_version(truncated.before.value() - 1));
  }

  [[nodiscard]] std::unexpected<error> refuse() const {
    return failure(
      errc::invalid_argument,
      fmt::format("'{}' cannot be archived before position {}: {} streams still need their events "
                  "there: {}{}; truncate or remove them, or give their aggregates a snapshot, or "
                  "archive less; nothing was archived",
                  log_.directory().string(), end_.value(), in_the_way_, fmt::join(named_, ", "),
                  in_the_way_ > named_.size() ? ", ..." : ""));
  }

  /// Shows `use` the newest snapshot that reaches `last` and is sound, if there is one.
  template <class Use>
  [[nodiscard]] result<void> with_snapshot(const stream_id& stream, stream_version last,
                                           const log_snapshot& now, Use use) {
    std::error_code none;
    if (!snapshots_ && !fs::is_directory(log_.directory() / "snapshots", none))
      return {};
    if (!snapshots_) {
      auto opened = open_snapshots(log_);
      if (!opened && opened.error().code() == errc::corrupt)
        return {}; // none that can be used: whoever needs them stands in the way
      if (!opened)
        return failure(opened);
      snapshots_ = std::move(*opened);
    }
    result<void> used;
    const auto read = snapshots_->read(stream, {.min_version = last}, [&](const auto& one) {
      if (!one || !verify(*one, stream, now))
        return true; // damaged, or of a log that was restored since: on to the one before
      used = use(*one);
      return false;
    });
    return read ? used : read;
  }

  /// Stores the state in the log, if it is not there, and truncates the events up to `last`. Also
  /// of one that was truncated without a state: its snapshot cannot be checked without its event.
  [[nodiscard]] result<void> truncate(const stream_id& stream, stream_version last) {
    const auto now = log_.snapshot();
    if (!now)
      return std::unexpected(now.error());
    const auto truncated = writer_->index().truncated(stream, **now);
    if (!truncated)
      return std::unexpected(truncated.error());
    if (truncated->state && truncated->state->version >= last)
      return stored(writer_->truncate(stream, last.next()));
    return with_snapshot(stream, last, **now, [&](const stream_snapshot& one) {
      return stored(writer_->truncate(stream, last.next(), &one));
    });
  }
  [[nodiscard]] static result<void> stored(const result<log_position>& done) {
    return done ? result<void>{} : std::unexpected(done.error());
  }

  /// Stores truncations again whose newest record is in front.
  [[nodiscard]] result<void> carry(const streams_in_front& streams, archive_result& done) {
    const auto now = log_.snapshot();
    if (!now)
      return std::unexpected(now.error());
    std::vector<std::vector<std::uint64_t>> records;
    std::size_t size = 0;
    for (const auto& [stream, last] : streams) {
      if (!is_of_truncations(stream))
        continue;
      const auto newest =
        writer_->index().read(stream, **now, stream_version(UINT64_MAX), 1, direction::backward);
      if (!newest)
        return std::unexpected(newest.error());
      ensure(!newest->empty(), "the index has what the log has");
      if (newest->front().position() >= end_)
        continue;
      if (auto sound = newest->front().verify(); !sound)
        return sound;
      ensure(newest->front().version() >= last, "what is carried is the newest");
      records.push_back(again(newest->front()));
      size += records.back().size() * sizeof(std::uint64_t);
      ++done.carried;
      if (size >= limits::copy_batch_size)
        if (auto appended = append(records, size); !appended)
          return appended;
    }
    return append(records, size);
  }

  /// The record as the next event of its stream. In words: records are 8-byte aligned.
  [[nodiscard]] static std::vector<std::uint64_t> again(const record_view& of) {
    const record_fields fields{.stream = of.stream(),
                               .version = of.version().next(),
                               .command = of.header().command,
                               .event_type = of.event_type(),
                               .schema_version = of.header().schema_version,
                               .metadata = of.metadata(),
                               .payload = of.payload()};
    std::vector<std::uint64_t> words(record_size(fields) / sizeof(std::uint64_t));
    encode_record(fields, reinterpret_cast<std::byte*>(words.data()));
    return words;
  }

  [[nodiscard]] result<void> append(std::vector<std::vector<std::uint64_t>>& records,
                                    std::size_t& size) {
    std::vector<std::span<const std::byte>> bytes;
    bytes.reserve(records.size());
    for (const auto& one : records)
      bytes.push_back(std::as_bytes(std::span(one)));
    const auto appended = log_.append(bytes, wall_clock().now_ns());
    records.clear();
    size = 0;
    return stored(appended);
  }

  static constexpr std::size_t most_named = 5;

  event_log& log_;
  log_position end_;
  std::unique_ptr<stream_writer> writer_;
  std::unique_ptr<snapshot_store> snapshots_{}; ///< Opened when it is needed.
  std::vector<std::pair<stream_id, stream_version>> covered_{};
  std::size_t in_the_way_ = 0;
  std::vector<std::string> named_{};
};

/// `before`, or where the command begins that it is within.
[[nodiscard]] result<log_position> end_of_commands(const log_snapshot& in, log_position before) {
  if (before.value() > in.tail().value() + 1)
    return failure(errc::invalid_argument,
                   fmt::format("nothing can be archived before position {}: the log ends at {}",
                               before.value(), in.tail().value()));
  ensure(in.first() != log_position(0), "positions begin at 1 or later");
  for (; before > in.first(); before = log_position(before.value() - 1)) {
    const auto last = in.at(log_position(before.value() - 1));
    if (!last)
      return std::unexpected(last.error());
    if (last->header().remaining == 0)
      break;
  }
  return before;
}

/// That the archive has all that is before the end, as the log has it.
[[nodiscard]] result<void> read_back(const log_snapshot& log, const fs::path& archive,
                                     log_position end) {
  const auto opened = open_log_for_reading(archive);
  if (!opened)
    return std::unexpected(opened.error());
  const auto copy = (*opened)->snapshot();
  if (!copy)
    return std::unexpected(copy.error());
  for (auto at = log.first(); at < end; at = at.next()) {
    const auto record = log.at(at);
    const auto copied = (*copy)->at(at);
    if (!record || !copied)
      return std::unexpected(record ? copied.error() : record.error());
    if (auto sound = record->verify(); !sound)
      return sound;
    if (!same_bytes(*record, *copied))
      return failure(errc::corrupt,
                     fmt::format("position {}: '{}' has another record than the log; nothing was "
                                 "deleted: verify both, and archive into a new directory",
                                 at.value(), archive.string()));
  }
  return {};
}

[[nodiscard]] result<void> copy(const event_log& log, log_position first, log_position end,
                                const fs::path& into, const archive_options& options) {
  const auto of = end.value() - first.value();
  const auto copied =
    copy_log(log, into, log_position(end.value() - 1), [&](log_position at, log_position) {
      if (options.progress)
        options.progress(at.value() + 1 - first.value(), of);
    });
  return copied ? result<void>{} : std::unexpected(copied.error());
}

/// A store with another one in its directory would not open.
[[nodiscard]] bool lies_in(const fs::path& into, const fs::path& directory) {
  std::error_code unknown;
  const auto relative = fs::weakly_canonical(into, unknown)
                          .lexically_relative(fs::weakly_canonical(directory, unknown));
  return !relative.empty() && *relative.begin() != "..";
}

/// Deletes what is before the end, in steps.
[[nodiscard]] result<log_position> cut(const log_environment& of, log_position first,
                                       log_position end, const fs::path& archive) {
  std::error_code unknown;
  const auto absolute = fs::absolute(archive, unknown);
  while (first < end) {
    const auto begins = of.cut_front(end, (unknown ? archive : absolute).string());
    if (!begins)
      return std::unexpected(begins.error());
    ensure(begins->first > first && begins->first <= end, "each step deletes something");
    first = begins->first;
  }
  return first;
}

} // namespace

result<archive_result> archive(const fs::path& directory, log_position before, const fs::path& into,
                               const archive_options& options) {
  std::error_code code;
  if (!fs::exists(directory / "log" / "data.mdb", code))
    return failure(errc::not_found,
                   fmt::format("'{}' holds no store; check the path", directory.string()));
  if (lies_in(into, directory))
    return failure(
      errc::invalid_argument,
      fmt::format("'{}' lies in the store itself; choose another directory", into.string()));
  const auto log = open_log(directory);
  if (!log)
    return std::unexpected(log.error());
  archive_result done;
  log_position end;
  {
    const auto now = (*log)->snapshot();
    if (!now)
      return std::unexpected(now.error());
    done.first = (*now)->first();
    const auto found = end_of_commands(**now, before);
    if (!found)
      return std::unexpected(found.error());
    end = *found;
  }
  if (end <= done.first) // it was done before, or there is nothing
    return done;
  {
    auto way = way_maker::open(**log, end); // closes its index and the snapshots when it is done
    if (!way)
      return failure(way);
    if (auto made = way->run(done); !made)
      return failure(made);
  }
  if (auto copied = copy(**log, done.first, end, into, options); !copied)
    return failure(copied);
  {
    const auto now = (*log)->snapshot();
    if (!now)
      return std::unexpected(now.error());
    if (auto same = read_back(**now, into, end); !same)
      return failure(same);
  }
  const auto* on_disk = dynamic_cast<const disk_log*>(log->get());
  ensure(on_disk != nullptr, "what open_log() opens is on disk");
  const auto first = cut(on_disk->environment(), done.first, end, into);
  if (!first)
    return std::unexpected(first.error());
  done.archived = first->value() - done.first.value();
  done.first = *first;
  return done;
}

} // namespace acta::storage
