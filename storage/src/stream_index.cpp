#include <acta/storage/stream_index.hpp>

#include "command_check.hpp"
#include "index_delta.hpp"
#include "index_file.hpp"
#include "index_key.hpp"
#include "retention.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace acta::storage {

namespace {

/// Memory of a flush for each of its events: to sort them.
constexpr std::size_t sorting_memory = 16;

[[nodiscard]] std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Greater than every key of the stream's entries, and less than those of the next.
[[nodiscard]] std::string end_of(const stream_id& stream) {
  index_key key(stream);
  key.set_version(stream_version(UINT64_MAX));
  return as_text(key.bytes());
}

/// Less than every key of the category's streams.
[[nodiscard]] std::string start_of(category_id category) {
  return as_text(index_key(category, 0).bytes().first(2));
}

} // namespace

/// Concurrency: `mutex_` guards which deltas there are and what is on disk. The catching-up thread
/// adds to newer_, and moves it to older_ when it is full; the indexer's thread writes older_ to
/// the disk, raises stored_ and lets older_ go, in one step. So whoever takes all three under the
/// lock has every indexed event: up to stored_ on disk (also in any later state of the index on
/// disk), and behind it in the deltas, which he keeps alive.
class stream_index::implementation {
public:
  implementation(const event_log& log, const stream_index_options& options)
      : log_(log), options_(options), retention_(log) {}
  ~implementation() {
    if (!indexer_.joinable())
      return;
    {
      const std::lock_guard guard(mutex_);
      stopping_.store(true, std::memory_order_relaxed);
    }
    changed_.notify_all();
    indexer_.join();
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  [[nodiscard]] result<void> open() {
    if (!log_.directory().empty()) {
      if (auto opened = open_file(); !opened)
        return opened;
      if (auto built = build(); !built)
        return built;
      indexer_ = std::thread([this] { run(); });
    }
    newer_ = std::make_shared<index_delta>(stored_);
    watermark_.store(stored_, std::memory_order_release);
    return catch_up(true);
  }

  [[nodiscard]] result<void> catch_up(bool check_all = false) {
    command_check commands;
    while (log_.tail() > watermark()) {
      if (is_full())
        if (auto rotated = rotate(); !rotated)
          return rotated;
      if (auto added = add_until_full(check_all, commands); !added)
        return added;
    }
    return check_all ? commands.end() : result<void>{};
  }

  [[nodiscard]] log_position watermark() const noexcept {
    return log_position(watermark_.load(std::memory_order_acquire));
  }
  [[nodiscard]] log_position stored_watermark() const noexcept {
    const std::lock_guard guard(mutex_);
    return log_position(stored_);
  }

  [[nodiscard]] result<std::vector<record_view>> read(const stream_id& stream,
                                                      const log_snapshot& snapshot,
                                                      stream_version from, std::size_t max,
                                                      direction way) const {
    const auto all = parts();
    const auto first = first_readable(all, stream, snapshot);
    if (!first)
      return std::unexpected(first.error());
    if (max == 0)
      return std::vector<record_view>{};
    if (way == direction::forward)
      return read_forward(all, stream, snapshot, std::max(from.value(), *first), max);
    return read_backward(all, stream, snapshot, from.value(), *first, max);
  }

  [[nodiscard]] result<stream_version> version(const stream_id& stream,
                                               const log_snapshot& snapshot) const {
    const auto all = parts();
    const auto newest = read_backward(all, stream, snapshot, UINT64_MAX, 1, 1);
    if (!newest)
      return std::unexpected(newest.error());
    if (!newest->empty())
      return newest->front().version();
    const auto first = first_readable(all, stream, snapshot); // its events may all be archived
    if (!first)
      return std::unexpected(first.error());
    return stream_version(*first - 1);
  }

  [[nodiscard]] result<stream_version> first_version(const stream_id& stream,
                                                     const log_snapshot& snapshot) const {
    const auto first = first_readable(parts(), stream, snapshot);
    if (!first)
      return std::unexpected(first.error());
    return stream_version(*first);
  }

  [[nodiscard]] bool surely_absent(const stream_id& stream) const {
    const auto all = parts();
    const auto truncations = retention_.of(stream.category());
    return has_none(all, stream)
           && (truncations == category_id(0) || has_none(all, in_category(stream, truncations)));
  }

  [[nodiscard]] result<std::vector<stream_info>> streams(const log_snapshot& snapshot,
                                                         std::size_t max,
                                                         const std::optional<stream_id>& after,
                                                         category_id category) const;

private:
  struct parts_of_index {
    std::shared_ptr<const index_delta> older; ///< May be null.
    std::shared_ptr<const index_delta> newer;
    std::uint64_t stored = 0;
  };
  [[nodiscard]] parts_of_index parts() const {
    const std::lock_guard guard(mutex_);
    return {older_, newer_, stored_};
  }

  [[nodiscard]] bool has_none(const parts_of_index& all, const stream_id& stream) const {
    const auto hash = stream_hash(stream);
    if (all.newer->newest(hash) != 0 || (all.older && all.older->newest(hash) != 0))
      return false;
    if (all.stored == 0)
      return true;
    const auto reader = index_file::reader::begin(*file_);
    if (!reader)
      return false; // whoever reads the stream is told
    const auto newest = reader->newest(stream, log_position(all.stored));
    return newest && !*newest;
  }

  [[nodiscard]] result<void> open_file() {
    auto opened = index_file::open(log_);
    if (!opened && is_of_no_use(opened.error().code())) {
      if (auto removed = index_file::remove(log_); !removed)
        return removed;
      opened = index_file::open(log_);
    }
    if (!opened)
      return failure(opened);
    file_ = std::move(*opened);
    stored_ = file_->watermark().value();
    return {};
  }
  [[nodiscard]] static bool is_of_no_use(errc code) noexcept {
    return code == errc::corrupt || code == errc::foreign_store || code == errc::newer_format;
  }

  /// What is too much for the memory goes to the disk at once.
  [[nodiscard]] result<void> build() {
    const auto tail = log_.tail().value();
    const auto batch = std::max<std::uint64_t>(options_.memory / 2 / (sorting_memory + 8), 1);
    while (tail - stored_ > batch) {
      if (options_.progress)
        options_.progress(log_position(stored_), log_position(tail));
      if (auto flushed = file_->flush(log_position(stored_ + batch), stopping_); !flushed)
        return flushed;
      ensure(file_->watermark().value() == stored_ + batch, "what nobody stops is done");
      stored_ += batch;
    }
    return {};
  }

  [[nodiscard]] bool is_full() const noexcept {
    return file_ != nullptr && newer_->size() != 0
           && newer_->memory() + sorting_memory * newer_->size() >= options_.memory / 2;
  }

  /// Hands the full delta to the indexer and begins another, when the one before it is on disk.
  [[nodiscard]] result<void> rotate() {
    std::unique_lock lock(mutex_);
    if (flush_failure_) { // of an earlier try
      flush_failure_.reset();
      changed_.notify_all();
    }
    changed_.wait(lock, [this] { return older_ == nullptr || flush_failure_; });
    if (flush_failure_)
      return std::unexpected(*flush_failure_);
    older_ = std::move(newer_);
    ensure(older_->size() != 0 && older_->end() == watermark_.load(std::memory_order_relaxed),
           "what goes to the disk is what was indexed last");
    newer_ = std::make_shared<index_delta>(older_->end());
    changed_.notify_all();
    return {};
  }

  void run() noexcept {
    ::pthread_setname_np(::pthread_self(), "acta.indexer");
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] {
        return stopping_.load(std::memory_order_relaxed) || (older_ && !flush_failure_);
      });
      if (stopping_.load(std::memory_order_relaxed))
        return;
      const auto to = older_->end();
      ensure(to > stored_, "a delta follows what is on disk");
      lock.unlock();
      auto flushed = file_->flush(log_position(to), stopping_);
      lock.lock();
      if (flushed && file_->watermark().value() == to) {
        stored_ = to;
        older_.reset();
      } else if (!flushed) {
        flush_failure_ = std::move(flushed.error());
      }
      changed_.notify_all();
    }
  }

  [[nodiscard]] result<void> add_until_full(bool check_all, command_check& commands) {
    auto snapshot = log_.snapshot();
    if (!snapshot)
      return failure(snapshot);
    auto cursor = (*snapshot)->scan(watermark().next());
    if (!cursor)
      return failure(cursor);
    while (!is_full()) {
      auto records = (*cursor)->next();
      if (!records)
        return failure(records);
      if (records->empty())
        return {};
      if (check_all)
        for (const auto& record : *records)
          if (auto sound = verify(record, commands); !sound)
            return sound;
      add_all(*records);
    }
    return {};
  }

  [[nodiscard]] static result<void> verify(const record_view& record, command_check& commands) {
    if (auto sound = record.verify(); !sound)
      return sound;
    return commands.next(record);
  }

  /// Asks for the entries of a whole batch before it changes any, so that the processor waits for
  /// many cache misses at once.
  void add_all(std::span<const record_view> records) {
    std::array<std::uint64_t, limits::cursor_batch> hashes;
    for (std::size_t i = 0; i < records.size(); ++i) {
      hashes[i] = records[i].stream_hash();
      newer_->prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
      newer_->add(records[i].position().value(), hashes[i]);
      watermark_.store(records[i].position().value(), std::memory_order_release);
    }
  }

  [[nodiscard]] result<std::uint64_t> first_readable(const parts_of_index& all,
                                                     const stream_id& stream,
                                                     const log_snapshot& snapshot) const;
  [[nodiscard]] result<std::vector<record_view>>
  read_forward(const parts_of_index& all, const stream_id& stream, const log_snapshot& snapshot,
               std::uint64_t from, std::size_t max) const;
  [[nodiscard]] result<std::vector<record_view>>
  read_backward(const parts_of_index& all, const stream_id& stream, const log_snapshot& snapshot,
                std::uint64_t from, std::uint64_t down_to, std::size_t max) const;
  template <class Look>
  [[nodiscard]] result<std::uint64_t> walk(const parts_of_index& all, const stream_id& stream,
                                           const log_snapshot& snapshot, Look look) const;
  [[nodiscard]] result<std::vector<record_view>>
  read_disk(const parts_of_index& all, const stream_id& stream, const log_snapshot& snapshot,
            std::uint64_t from, std::size_t max, direction way) const;
  [[nodiscard]] result<std::map<std::string, stream_id>>
  page_of(const parts_of_index& all, const log_snapshot& snapshot, const std::string& begin,
          std::size_t max, category_id category) const;
  [[nodiscard]] std::unexpected<error> gap(const stream_id& stream, std::uint64_t version,
                                           std::uint64_t expected) const;

  const event_log& log_;
  stream_index_options options_;
  retention_categories retention_;
  std::unique_ptr<index_file> file_; ///< Null for a log in memory. flush() is the indexer's.

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<index_delta> older_; ///< On its way to the disk.
  std::shared_ptr<index_delta> newer_; ///< Replaced by the catching-up thread only.
  std::uint64_t stored_ = 0;
  std::optional<error> flush_failure_;
  std::atomic<bool> stopping_{false}; ///< Set under the mutex; a flush looks without it.
  std::atomic<std::uint64_t> watermark_{0};
  std::thread indexer_;
};

/// Shows `look` the records of a stream that are in the deltas, newest first, until it returns
/// false; checks that their versions are consecutive. Returns the last version it saw, 0 for none.
template <class Look>
result<std::uint64_t>
stream_index::implementation::walk(const parts_of_index& all, const stream_id& stream,
                                   const log_snapshot& snapshot, Look look) const {
  std::uint64_t seen = 0;
  const auto hash = stream_hash(stream);
  for (const auto* delta : {all.newer.get(), all.older.get()}) {
    if (delta == nullptr)
      continue;
    for (auto at = delta->newest(hash); at != 0; at = delta->before(at)) {
      if (log_position(at) > snapshot.tail())
        continue; // indexed since the snapshot was taken
      const auto record = snapshot.at(log_position(at));
      if (!record)
        return std::unexpected(record.error());
      if (!record->is_of(stream))
        continue; // of another stream with this hash
      const auto version = record->version().value();
      if (version == 0 || (seen != 0 && version != seen - 1))
        return gap(stream, version, seen == 0 ? 1 : seen - 1);
      seen = version;
      if (!look(*record))
        return seen;
    }
  }
  return seen;
}

/// The records of a stream that are in the index on disk.
result<std::vector<record_view>>
stream_index::implementation::read_disk(const parts_of_index& all, const stream_id& stream,
                                        const log_snapshot& snapshot, std::uint64_t from,
                                        std::size_t max, direction way) const {
  std::vector<record_view> records;
  if (all.stored == 0)
    return records;
  const auto reader = index_file::reader::begin(*file_);
  if (!reader)
    return std::unexpected(reader.error());
  std::vector<indexed_event> found;
  const auto up_to = std::min(log_position(all.stored), snapshot.tail());
  if (auto read = reader->read(stream, stream_version(from), max, way, up_to, found); !read)
    return failure(read);
  records.reserve(found.size());
  for (const auto& [version, position] : found) {
    const auto record = snapshot.at(position);
    if (!record)
      return std::unexpected(record.error());
    if (!record->is_of(stream) || record->version() != version)
      return failure(
        errc::corrupt,
        fmt::format("stream {}: the index has version {} at position {}, where the log "
                    "has another event; close the store, remove '{}' and open it "
                    "again: the index is made anew",
                    stream.to_string(log_.category_name(stream.category())), version.value(),
                    position.value(), (log_.directory() / "index").string()));
    records.push_back(*record);
  }
  return records;
}

/// 1, or what its newest truncation says.
result<std::uint64_t>
stream_index::implementation::first_readable(const parts_of_index& all, const stream_id& stream,
                                             const log_snapshot& snapshot) const {
  const auto truncations = retention_.of(stream.category());
  if (truncations == category_id(0))
    return 1;
  const auto newest =
    read_backward(all, in_category(stream, truncations), snapshot, UINT64_MAX, 1, 1);
  if (!newest)
    return std::unexpected(newest.error());
  if (newest->empty())
    return 1;
  const auto before = truncated_before(newest->front());
  if (!before)
    return std::unexpected(before.error());
  return before->value();
}

result<std::vector<record_view>>
stream_index::implementation::read_forward(const parts_of_index& all, const stream_id& stream,
                                           const log_snapshot& snapshot, std::uint64_t from,
                                           std::size_t max) const {
  auto found = read_disk(all, stream, snapshot, from, max, direction::forward);
  if (!found || found->size() == max)
    return found;
  const auto oldest = found->empty() ? from : found->back().version().value() + 1;
  std::vector<record_view> newest_first;
  const auto seen = walk(all, stream, snapshot, [&](const record_view& record) {
    const auto version = record.version().value();
    if (version >= oldest && version - from < max)
      newest_first.push_back(record);
    return version > oldest;
  });
  if (!seen)
    return std::unexpected(seen.error());
  if (*seen > oldest)
    return gap(stream, *seen, oldest);
  found->insert(found->end(), newest_first.rbegin(), newest_first.rend());
  return found;
}

/// From version `from` to version `down_to`.
result<std::vector<record_view>>
stream_index::implementation::read_backward(const parts_of_index& all, const stream_id& stream,
                                            const log_snapshot& snapshot, std::uint64_t from,
                                            std::uint64_t down_to, std::size_t max) const {
  std::vector<record_view> found;
  const auto seen = walk(all, stream, snapshot, [&](const record_view& record) {
    const auto version = record.version().value();
    if (version <= from && version >= down_to)
      found.push_back(record);
    return found.size() < max && version > down_to;
  });
  if (!seen)
    return std::unexpected(seen.error());
  const auto next = *seen == 0 ? from : std::min(from, *seen - 1);
  if (found.size() == max || next < down_to)
    return found;
  const auto wanted = std::min<std::uint64_t>(max - found.size(), next - down_to + 1);
  const auto older = read_disk(all, stream, snapshot, next, wanted, direction::backward);
  if (!older)
    return older;
  const auto newest = older->empty() ? 0 : older->front().version().value();
  if (*seen != 0 && newest != next)
    return gap(stream, *seen, newest + 1);
  for (const auto& record : *older)
    if (record.version().value() >= down_to)
      found.push_back(record);
  return found;
}

std::unexpected<error> stream_index::implementation::gap(const stream_id& stream,
                                                         std::uint64_t version,
                                                         std::uint64_t expected) const {
  return failure(errc::corrupt,
                 fmt::format("stream {}: version {} where {} must be; the log is damaged: restore "
                             "a backup",
                             stream.to_string(log_.category_name(stream.category())), version,
                             expected));
}

/// Streams by the ends of their keys, which are greater than `begin`: the first `max`.
result<std::map<std::string, stream_id>>
stream_index::implementation::page_of(const parts_of_index& all, const log_snapshot& snapshot,
                                      const std::string& begin, std::size_t max,
                                      category_id category) const {
  std::map<std::string, stream_id> page;
  const auto add = [&](const stream_id& stream) {
    auto end = end_of(stream);
    if (log_.category_name(stream.category()).starts_with(retention_prefix))
      return;
    if (end <= begin || (category != category_id(0) && stream.category() != category)
        || (page.size() == max && end >= page.rbegin()->first))
      return;
    page.emplace(std::move(end), stream);
    if (page.size() > max)
      page.erase(std::prev(page.end()));
  };
  ensure(all.newer != nullptr, "an index that is open has a delta");
  if (all.stored != 0) {
    const auto reader = index_file::reader::begin(*file_);
    if (!reader)
      return std::unexpected(reader.error());
    const auto on_disk = reader->streams(std::as_bytes(std::span(begin)), max);
    if (!on_disk)
      return std::unexpected(on_disk.error());
    for (const auto& one : *on_disk)
      add(one);
  }
  auto cursor = snapshot.scan(log_position(all.stored + 1), {.category = category});
  if (!cursor)
    return failure(cursor);
  auto records = (*cursor)->next();
  for (; records && !records->empty(); records = (*cursor)->next())
    for (const auto& record : *records)
      add(record.stream());
  if (!records)
    return failure(records);
  return page;
}

result<std::vector<stream_info>>
stream_index::implementation::streams(const log_snapshot& snapshot, std::size_t max,
                                      const std::optional<stream_id>& after,
                                      category_id category) const {
  std::vector<stream_info> found;
  if (max == 0)
    return found;
  const auto all = parts();
  auto begin = after ? end_of(*after) : std::string();
  if (category != category_id(0))
    begin = std::max(begin, start_of(category));
  for (;;) {
    const auto page = page_of(all, snapshot, begin, max, category);
    if (!page)
      return std::unexpected(page.error());
    for (const auto& [key, stream] : *page) {
      const auto newest =
        read(stream, snapshot, stream_version(UINT64_MAX), 1, direction::backward);
      if (!newest)
        return std::unexpected(newest.error());
      if (!newest->empty() && found.size() < max) // else it was removed, or is newer
        found.push_back({stream, newest->front().version()});
    }
    if (found.size() == max || page->size() < max)
      return found;
    begin = page->rbegin()->first;
  }
}

stream_index::stream_index(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}

stream_index::~stream_index() = default;

result<std::unique_ptr<stream_index>> stream_index::open(const event_log& log,
                                                         const stream_index_options& options) {
  auto made = std::make_unique<implementation>(log, options);
  if (auto opened = made->open(); !opened)
    return failure(opened);
  return std::unique_ptr<stream_index>(new stream_index(std::move(made)));
}

result<void> stream_index::catch_up() {
  return implementation_->catch_up();
}

log_position stream_index::watermark() const noexcept {
  return implementation_->watermark();
}

log_position stream_index::stored_watermark() const noexcept {
  return implementation_->stored_watermark();
}

result<std::vector<record_view>> stream_index::read(const stream_id& stream,
                                                    const log_snapshot& snapshot,
                                                    stream_version from, std::size_t max,
                                                    direction way) const {
  return implementation_->read(stream, snapshot, from, max, way);
}

result<stream_version> stream_index::version(const stream_id& stream,
                                             const log_snapshot& snapshot) const {
  return implementation_->version(stream, snapshot);
}

result<stream_version> stream_index::first_version(const stream_id& stream,
                                                   const log_snapshot& snapshot) const {
  return implementation_->first_version(stream, snapshot);
}

result<std::vector<stream_info>> stream_index::streams(const log_snapshot& snapshot,
                                                       std::size_t max,
                                                       const std::optional<stream_id>& after,
                                                       category_id category) const {
  return implementation_->streams(snapshot, max, after, category);
}

bool stream_index::surely_absent(const stream_id& stream) const noexcept {
  return implementation_->surely_absent(stream);
}

} // namespace acta::storage
