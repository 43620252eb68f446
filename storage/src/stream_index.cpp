#include <acta/storage/stream_index.hpp>

#include "command_check.hpp"
#include "index_delta.hpp"
#include "index_file.hpp"
#include "index_view.hpp"
#include "retention.hpp"

#include <acta/base/ensure.hpp>

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace acta::storage {

namespace {

/// Memory of a flush for each of its events: to sort them.
constexpr std::size_t sorting_memory = 16;

} // namespace

/// Concurrency: `mutex_` guards which deltas there are and what is on disk. The catching-up thread
/// adds to newer_, and moves it to older_ when it is full; the indexer's thread writes older_ to
/// the disk, raises stored_ and lets older_ go, in one step. So whoever takes all three under the
/// lock has every indexed event: see index_view.
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
    auto base = stored_;
    if (file_ == nullptr) {
      const auto now = log_.snapshot();
      if (!now)
        return std::unexpected(now.error());
      base = (*now)->first().value() - 1;
    }
    newer_ = std::make_shared<index_delta>(base);
    watermark_.store(base, std::memory_order_release);
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

  /// All that is indexed, as it is now.
  [[nodiscard]] index_view view() const {
    const std::lock_guard guard(mutex_);
    return {log_, retention_, file_.get(), older_, newer_, stored_};
  }

private:
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

  /// Hands the full delta to the indexer and begins another, when the one before it is on disk. A
  /// failure of the indexer is returned once; then it tries again.
  [[nodiscard]] result<void> rotate() {
    std::unique_lock lock(mutex_);
    if (std::exchange(is_failure_told_, false)) {
      flush_failure_.reset();
      changed_.notify_all();
    }
    changed_.wait(lock, [this] { return older_ == nullptr || flush_failure_; });
    if (flush_failure_) {
      is_failure_told_ = true;
      return std::unexpected(*flush_failure_);
    }
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

  const event_log& log_;
  stream_index_options options_;
  retention_categories retention_;
  std::unique_ptr<index_file> file_; ///< Null for a log in memory. flush() is the indexer's.

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<index_delta> older_; ///< On its way to the disk.
  std::shared_ptr<index_delta> newer_; ///< Replaced by the catching-up thread only.
  std::uint64_t stored_ = 0;
  std::optional<error> flush_failure_; ///< Until it is tried again.
  bool is_failure_told_ = false;       ///< By rotate().
  std::atomic<bool> stopping_{false};  ///< Set under the mutex; a flush looks without it.
  std::atomic<std::uint64_t> watermark_{0};
  std::thread indexer_;
};

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
  return implementation_->view().read(stream, snapshot, from, max, way);
}

result<stream_version> stream_index::version(const stream_id& stream,
                                             const log_snapshot& snapshot) const {
  return implementation_->view().version(stream, snapshot);
}

result<truncation> stream_index::truncated(const stream_id& stream,
                                           const log_snapshot& snapshot) const {
  return implementation_->view().truncated(stream, snapshot);
}

result<log_position> stream_index::position(const stream_id& stream, stream_version version,
                                            const log_snapshot& snapshot) const {
  return implementation_->view().position(stream, version, snapshot);
}

result<std::vector<stream_info>> stream_index::streams(const log_snapshot& snapshot,
                                                       std::size_t max,
                                                       const std::optional<stream_id>& after,
                                                       category_id category) const {
  return implementation_->view().streams(snapshot, max, after, category);
}

bool stream_index::surely_absent(const stream_id& stream) const noexcept {
  return implementation_->view().surely_absent(stream);
}

} // namespace acta::storage
