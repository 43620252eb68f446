#include <acta/storage/stream_index.hpp>

#include "command_check.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace acta::storage {

namespace {

/// The newest position of each hash of tag_bits, 8 bytes an entry: open addressing with linear
/// probing, grown when three quarters are taken. An entry is the hash and the position, and its
/// place follows from the hash alone, so that growing needs nothing else. Not thread-safe.
class newest_positions {
public:
  static constexpr unsigned tag_bits = 24;
  static constexpr std::uint64_t max_position = (std::uint64_t{1} << 40U) - 1;

  /// 0 if there is none.
  [[nodiscard]] std::uint64_t find(std::uint64_t tag) const noexcept {
    return entries_[place_of(tag)] & max_position;
  }

  void prefetch(std::uint64_t tag) const noexcept {
    __builtin_prefetch(&entries_[tag & (entries_.size() - 1)], 1);
  }

  /// Sets the newest position and returns the one it follows; 0 if there is none.
  std::uint64_t set(std::uint64_t tag, std::uint64_t position) {
    ensure(position != 0 && position <= max_position, "a position has 40 bits");
    auto& entry = entries_[place_of(tag)];
    const auto before = entry & max_position;
    entry = tag << 40U | position;
    if (before == 0 && ++used_ > entries_.size() / 4 * 3)
      grow();
    return before;
  }

private:
  [[nodiscard]] std::size_t place_of(std::uint64_t tag) const noexcept {
    const auto mask = entries_.size() - 1;
    auto place = tag & mask;
    while (entries_[place] != 0 && entries_[place] >> 40U != tag)
      place = (place + 1) & mask;
    return place;
  }

  void grow() {
    auto before = std::exchange(entries_, std::vector<std::uint64_t>(entries_.size() * 2));
    for (const auto entry : before)
      if (entry != 0)
        entries_[place_of(entry >> 40U)] = entry;
    ensure(used_ < entries_.size(), "a search ends at an empty entry");
  }

  std::vector<std::uint64_t> entries_ = std::vector<std::uint64_t>(64); // a power of two
  std::size_t used_ = 0;
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
      if (auto added = add_all(*records, how, commands); !added)
        return added;
    }
  }

  [[nodiscard]] log_position watermark() const noexcept {
    return log_position(watermark_.load(std::memory_order_acquire));
  }

  [[nodiscard]] result<std::vector<record_view>> read(const stream_id& stream,
                                                      const log_snapshot& snapshot,
                                                      stream_version from, std::size_t max,
                                                      direction way) const {
    const bool forward = way == direction::forward;
    if (forward && from == stream_version(0))
      from = stream_version(1);
    std::vector<record_view> found;
    if (max == 0 || (!forward && from == stream_version(0)))
      return found;
    const auto walked = walk(stream, snapshot, [&](const record_view& record) {
      const auto version = record.version();
      const bool wanted =
        forward ? version >= from && version.value() - from.value() < max : version <= from;
      if (wanted)
        found.push_back(record);
      return forward ? version > from : found.size() < max;
    });
    if (!walked)
      return std::unexpected(walked.error());
    if (forward)
      std::ranges::reverse(found);
    return found;
  }

  /// The newest position of a chain; 0 if there is none.
  [[nodiscard]] std::uint64_t newest(std::uint64_t hash) const {
    const auto& in = shard_of(hash);
    const std::lock_guard guard(in.mutex);
    return in.newest.find(tag_of(hash));
  }

private:
  struct alignas(64) shard {
    mutable std::mutex mutex;
    newest_positions newest;
  };

  // The upper 6 bits of a hash choose the shard, the 24 below them are looked for in it.
  static constexpr unsigned shard_bits = 6;
  [[nodiscard]] static constexpr std::uint64_t tag_of(std::uint64_t hash) noexcept {
    return hash << shard_bits >> (64U - newest_positions::tag_bits);
  }

  [[nodiscard]] shard& shard_of(std::uint64_t hash) noexcept {
    return shards_[hash >> (64U - shard_bits)];
  }
  [[nodiscard]] const shard& shard_of(std::uint64_t hash) const noexcept {
    return shards_[hash >> (64U - shard_bits)];
  }

  [[nodiscard]] static result<void> verify(const record_view& record, command_check& commands) {
    if (auto sound = record.verify(); !sound)
      return sound;
    return commands.next(record);
  }

  /// Asks for the entries of a whole batch before it changes any, so that the processor waits for
  /// many cache misses at once. Only this thread changes the shards: finding them needs no lock.
  [[nodiscard]] result<void> add_all(std::span<const record_view> records, check how,
                                     command_check& commands) {
    std::array<std::uint64_t, limits::cursor_batch> hashes;
    for (std::size_t i = 0; i < records.size(); ++i) {
      hashes[i] = records[i].stream_hash();
      shard_of(hashes[i]).newest.prefetch(tag_of(hashes[i]));
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (how == check::full)
        if (auto sound = verify(records[i], commands); !sound)
          return sound;
      add(records[i].position(), hashes[i]);
    }
    return {};
  }

  void add(log_position at, std::uint64_t hash) {
    ensure(at == watermark().next(), "each position is indexed once, in order");
    const auto position = at.value();
    auto& in = shard_of(hash);
    {
      const std::lock_guard guard(in.mutex);
      links_.set(position, in.newest.set(tag_of(hash), position));
    }
    watermark_.store(position, std::memory_order_release);
  }

  /// Shows `look` the records of a stream, newest first, until it returns false; checks that their
  /// versions are consecutive.
  template <class Look>
  [[nodiscard]] result<void> walk(const stream_id& stream, const log_snapshot& snapshot,
                                  Look look) const {
    std::optional<std::uint64_t> expected;
    std::uint64_t oldest = 0;
    for (auto at = newest(stream_hash(stream)); at != 0; at = links_.before(at)) {
      if (log_position(at) > snapshot.tail())
        continue; // indexed since the snapshot was taken
      const auto record = snapshot.at(log_position(at));
      if (!record)
        return std::unexpected(record.error());
      if (!record->is_of(stream))
        continue; // of another stream with this hash
      const auto version = record->version().value();
      if (version == 0 || version != expected.value_or(version))
        return gap(at, stream, version, expected.value_or(1));
      if (!look(*record))
        return {};
      oldest = at;
      expected = version - 1;
    }
    if (expected.value_or(0) != 0)
      return gap(oldest, stream, *expected + 1, 1);
    return {};
  }

  [[nodiscard]] std::unexpected<error> gap(std::uint64_t at, const stream_id& stream,
                                           std::uint64_t version, std::uint64_t expected) const {
    return failure(errc::corrupt,
                   fmt::format("position {}, stream {}: version {} where {} must be; the log is "
                               "damaged: restore a backup",
                               at, stream.to_string(log_.category_name(stream.category())), version,
                               expected));
  }

  const event_log& log_;
  chain_links links_;
  std::array<shard, std::size_t{1} << shard_bits> shards_;
  std::atomic<std::uint64_t> watermark_{0};
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

result<std::vector<record_view>> stream_index::read(const stream_id& stream,
                                                    const log_snapshot& snapshot,
                                                    stream_version from, std::size_t max,
                                                    direction way) const {
  return implementation_->read(stream, snapshot, from, max, way);
}

result<stream_version> stream_index::version(const stream_id& stream,
                                             const log_snapshot& snapshot) const {
  const auto newest =
    implementation_->read(stream, snapshot, stream_version(UINT64_MAX), 1, direction::backward);
  if (!newest)
    return std::unexpected(newest.error());
  return newest->empty() ? stream_version(0) : newest->front().version();
}

bool stream_index::surely_absent(const stream_id& stream) const noexcept {
  return implementation_->newest(stream_hash(stream)) == 0;
}

} // namespace acta::storage
