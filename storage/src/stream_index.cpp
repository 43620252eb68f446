#include <acta/storage/stream_index.hpp>

#include <acta/base/ensure.hpp>

#include <fmt/format.h>
#include <tsl/robin_map.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

namespace acta::storage {

namespace {

/// The hash of a stream is well mixed already.
struct identity {
  std::size_t operator()(std::uint64_t hash) const noexcept { return hash; }
};

/// For each position, the position before it in the same chain (0: none). One thread appends;
/// others read what a chain's head, which they took under a shard's lock, leads to: it was appended
/// before that lock was released. Chunks never move; their addresses are atomic, since chunks that
/// are read and chunks that are added lie side by side.
class chain_links {
public:
  chain_links() : chunks_(max_chunks) {}
  ~chain_links() {
    for (auto& one : chunks_)
      delete one.load(std::memory_order_relaxed);
  }
  chain_links(const chain_links&) = delete;
  chain_links& operator=(const chain_links&) = delete;

  void set(std::uint64_t position, std::uint64_t before) {
    ensure(position / chunk_size < max_chunks, "the index in memory holds 17 thousand million");
    ensure(before < position, "a chain leads backwards");
    auto& chunk = chunks_[position / chunk_size];
    auto* in = chunk.load(std::memory_order_relaxed);
    if (in == nullptr) {
      in = new links;
      chunk.store(in, std::memory_order_release);
    }
    (*in)[position % chunk_size] = before;
  }

  [[nodiscard]] std::uint64_t before(std::uint64_t position) const noexcept {
    const auto* in = chunks_[position / chunk_size].load(std::memory_order_acquire);
    ensure(in != nullptr, "a chain leads to indexed positions");
    return (*in)[position % chunk_size];
  }

private:
  static constexpr std::size_t chunk_size = std::size_t{1} << 18U;
  static constexpr std::size_t max_chunks = std::size_t{1} << 16U;
  using links = std::array<std::uint64_t, chunk_size>;

  std::vector<std::atomic<links*>> chunks_;
};

/// Checks that the events of a command are adjacent and whole (I3).
class command_check {
public:
  /// At the end of the log.
  [[nodiscard]] result<void> end() const {
    if (last_ == nullptr || last_->remaining == 0)
      return {};
    return failure(errc::corrupt, fmt::format("the log ends within a command, {} of whose events "
                                              "are missing; restore a backup",
                                              last_->remaining));
  }

  [[nodiscard]] result<void> next(const record_view& record) {
    const auto& header = record.header();
    const bool fits = last_ == nullptr || last_->remaining == 0
                      || (header.remaining + 1 == last_->remaining
                          && header.command == last_->command && record.is_of(*stream_));
    if (!fits)
      return failure(errc::corrupt,
                     fmt::format("position {}: the command at the position before it should go on "
                                 "here; the log is damaged: restore a backup",
                                 record.position().value()));
    if (header.remaining != 0)
      stream_ = record.stream();
    copy_ = header;
    last_ = &copy_;
    return {};
  }

private:
  record_header copy_{};
  const record_header* last_ = nullptr;
  std::optional<stream_id> stream_;
};

} // namespace

/// Concurrency: see chain_links. A shard's lock is held for one lookup or one event.
class stream_index::implementation {
public:
  explicit implementation(const event_log& log) : log_(log) {}

  [[nodiscard]] result<void> catch_up(check how) {
    if (log_.tail() <= watermark())
      return {};
    auto snapshot = log_.snapshot();
    if (!snapshot)
      return failure(snapshot);
    auto cursor = (*snapshot)->scan(watermark().next());
    if (!cursor)
      return failure(cursor);
    command_check commands;
    for (;;) {
      auto records = (*cursor)->next();
      if (!records)
        return failure(records);
      if (records->empty())
        return commands.end();
      prefetch(*records);
      for (const auto& record : *records) {
        if (auto sound = how == check::checksum ? verify(record, commands) : result<void>{}; !sound)
          return sound;
        add(record);
      }
    }
  }

  [[nodiscard]] log_position watermark() const noexcept {
    return log_position(watermark_.load(std::memory_order_acquire));
  }

  [[nodiscard]] result<std::vector<log_position>> positions(const stream_id& stream,
                                                            const log_snapshot& snapshot) const {
    std::vector<log_position> found;
    for (auto at = newest(stream_hash(stream)); at != 0; at = links_.before(at)) {
      if (log_position(at) > snapshot.tail())
        continue; // indexed since the snapshot was taken
      const auto record = snapshot.at(log_position(at));
      if (!record)
        return std::unexpected(record.error());
      if (record->is_of(stream))
        found.emplace_back(at);
    }
    std::ranges::reverse(found);
    return check_versions(stream, snapshot, std::move(found));
  }

  /// The newest position of a chain; 0 if there is none.
  [[nodiscard]] std::uint64_t newest(std::uint64_t hash) const {
    const auto& in = shards_[hash >> 58U];
    const std::lock_guard guard(in.mutex);
    const auto found = in.newest.find(hash);
    return found == in.newest.end() ? 0 : found->second;
  }

private:
  struct alignas(64) shard {
    mutable std::mutex mutex;
    tsl::robin_map<std::uint64_t, std::uint64_t, identity> newest;
  };

  [[nodiscard]] static result<void> verify(const record_view& record, command_check& commands) {
    if (auto sound = record.verify(); !sound)
      return sound;
    return commands.next(record);
  }

  /// Looks all streams of a batch up before any is changed: without the locks in between the
  /// processor waits for many cache misses at once. Only this thread changes the shards, so that
  /// reading them needs no lock.
  void prefetch(std::span<const record_view> records) {
    std::uint64_t found = 0;
    for (const auto& record : records) {
      const auto hash = record.stream_hash();
      found += shards_[hash >> 58U].newest.count(hash);
    }
    found_.store(found, std::memory_order_relaxed); // so that it is not optimised away
  }

  void add(const record_view& record) {
    const auto hash = record.stream_hash();
    const auto position = record.position().value();
    ensure(record.position() == watermark().next(), "each position is indexed once, in order");
    auto& in = shards_[hash >> 58U];
    {
      const std::lock_guard guard(in.mutex);
      auto& newest = in.newest[hash];
      links_.set(position, newest);
      newest = position;
    }
    watermark_.store(position, std::memory_order_release);
  }

  [[nodiscard]] static result<std::vector<log_position>>
  check_versions(const stream_id& stream, const log_snapshot& snapshot,
                 std::vector<log_position> found) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto version = snapshot.at(found[i])->version().value();
      if (version != i + 1)
        return failure(errc::corrupt,
                       fmt::format("position {}, stream {}: version {} where {} must follow; the "
                                   "log is damaged: restore a backup",
                                   found[i].value(), stream.to_string(), version, i + 1));
    }
    return found;
  }

  const event_log& log_;
  chain_links links_;
  std::array<shard, 64> shards_;
  std::atomic<std::uint64_t> watermark_{0};
  std::atomic<std::uint64_t> found_{0}; ///< Of prefetch(); nobody reads it.
};

stream_index::stream_index(const event_log& log)
    : implementation_(std::make_unique<implementation>(log)) {}

stream_index::~stream_index() = default;

result<void> stream_index::catch_up(check how) {
  return implementation_->catch_up(how);
}

log_position stream_index::watermark() const noexcept {
  return implementation_->watermark();
}

result<std::vector<log_position>> stream_index::positions(const stream_id& stream,
                                                          const log_snapshot& snapshot) const {
  return implementation_->positions(stream, snapshot);
}

bool stream_index::surely_absent(const stream_id& stream) const noexcept {
  return implementation_->newest(stream_hash(stream)) == 0;
}

} // namespace acta::storage
