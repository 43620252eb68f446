#pragma once

#include <acta/base/ids.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace acta::storage {

/// The part of the index in memory: where the events at consecutive positions of the log are, by
/// stream. 4 bytes an event and 11 to 21 bytes a stream.
///
/// Operation: events whose streams share a hash (38 bits of it) form one chain from newest to
/// oldest; a reader follows the chain and keeps the records whose key is the stream's, so two
/// streams are never taken for one another, whatever their hashes.
///
/// Concurrency: one thread adds; others read what a chain's head, which they took under a shard's
/// lock, leads to: it was added before that lock was released. Chunks of links never move; their
/// addresses are atomic, since chunks that are read and chunks that are added lie side by side.
class index_delta {
public:
  /// Of positions after `base`.
  explicit index_delta(std::uint64_t base);
  ~index_delta();
  index_delta(const index_delta&) = delete;
  index_delta& operator=(const index_delta&) = delete;

  /// The next position, of a stream with this stream_hash().
  void add(std::uint64_t position, std::uint64_t hash);
  /// Asks the processor for what add() will need. The adding thread only.
  void prefetch(std::uint64_t hash) const noexcept;

  /// The newest position of a chain; 0 if there is none.
  [[nodiscard]] std::uint64_t newest(std::uint64_t hash) const;
  /// The one before it in its chain; 0 if there is none.
  [[nodiscard]] std::uint64_t before(std::uint64_t position) const noexcept;

  /// The last position added, `base` if there is none, and memory in bytes. The adding thread only.
  [[nodiscard]] std::uint64_t end() const noexcept { return base_ + size_; }
  [[nodiscard]] std::size_t memory() const noexcept;
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// Events one can have.
  static constexpr std::uint64_t max_size = 0xffff'ffff;

private:
  /// The newest event of each hash, 8 bytes an entry: open addressing with linear probing, grown
  /// when three quarters are taken. An entry is 32 bits of hash and 32 of event, and its place
  /// follows from the hash alone, so that growing needs nothing else.
  class table {
  public:
    [[nodiscard]] std::uint32_t find(std::uint32_t tag) const noexcept {
      return static_cast<std::uint32_t>(entries_[place_of(tag)]);
    }
    void prefetch(std::uint32_t tag) const noexcept {
      __builtin_prefetch(&entries_[tag & (entries_.size() - 1)], 1);
    }
    /// Sets the newest event and returns the one it follows; 0 if there is none.
    std::uint32_t set(std::uint32_t tag, std::uint32_t event);
    [[nodiscard]] std::size_t capacity() const noexcept { return entries_.size(); }

  private:
    [[nodiscard]] std::size_t place_of(std::uint32_t tag) const noexcept {
      const auto mask = entries_.size() - 1;
      auto place = tag & mask;
      while (entries_[place] != 0 && entries_[place] >> 32U != tag)
        place = (place + 1) & mask;
      return place;
    }
    void grow();

    std::vector<std::uint64_t> entries_ = std::vector<std::uint64_t>(64); // a power of two
    std::size_t used_ = 0;
  };
  struct alignas(64) shard {
    mutable std::mutex mutex;
    table newest;
  };
  // The upper 6 bits of a hash choose the shard, the 32 below them are looked for in it.
  static constexpr unsigned shard_bits = 6;
  [[nodiscard]] static std::size_t shard_of(std::uint64_t hash) noexcept {
    return hash >> (64U - shard_bits);
  }
  [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash << shard_bits >> 32U);
  }

  static constexpr std::size_t chunk_size = std::size_t{1} << 18U;
  static constexpr std::size_t max_chunks = (max_size >> 18U) + 1;
  using links = std::array<std::uint32_t, chunk_size>;

  std::uint64_t base_;
  std::uint64_t size_ = 0;
  std::array<shard, std::size_t{1} << shard_bits> shards_;
  std::vector<std::atomic<links*>> chunks_; ///< For each event, the one before it in its chain.
};

} // namespace acta::storage
