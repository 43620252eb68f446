#pragma once

#include "settlement.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace acta::runtime {

/// The buffer between the aggregates of one shard and the committer: records are written into it in
/// place, and the committer reads them from there, so an event is copied once on the way in and
/// once on the way out.
///
/// Operation: a chain of blocks, filled with frames: records, and after the records of each command
/// its settlement. seal() makes a whole command visible at once.
///
/// Concurrency: one producer, the worker of the shard, and one consumer, the committer. The only
/// thing they share is the count of sealed
/// commands: the producer raises it (seq_cst, thus release) after everything of the command is
/// written, and the consumer reads (acquire) no more frames than that many commands have, so
/// everything it reads happened before. Blocks the consumer is done with come back through a mutex.
class staging {
public:
  staging();
  ~staging();
  staging(const staging&) = delete;
  staging& operator=(const staging&) = delete;

  // -- producer ---------------------------------------------------------------

  /// Room for a record of `size` bytes (a multiple of 8), 8-byte aligned, as part of the command in
  /// hand. It stays in place until the committer releases it.
  [[nodiscard]] std::byte* reserve(std::size_t size);
  /// The records reserved since the last seal() or discard().
  [[nodiscard]] std::span<const std::span<std::byte>> reserved() const noexcept {
    return reserved_;
  }
  /// Forgets them.
  void discard() noexcept;
  /// Ends the command in hand: its records and settlement become visible to the committer.
  void seal(settlement&& end);
  /// The same of several commands that are taken together, at least one. The events staged are
  /// those of `ends`, in order.
  void seal(std::span<settlement> ends);

  // -- consumer ---------------------------------------------------------------

  /// True if a sealed command has not been taken.
  [[nodiscard]] bool ready() const noexcept {
    return sealed_.load(std::memory_order_seq_cst) != taken_;
  }
  struct block;
  /// What was read to its end, and has to be given back by release().
  using used_blocks = std::vector<std::pair<staging*, block*>>;
  /// Adds the records and settlements of sealed commands, in order, until there are no more or the
  /// records added have reached `max_bytes`. Returns the bytes of the records added. Both stay
  /// where they are until `used` is released; before that, the caller ends the settlements' lives.
  std::size_t take(std::size_t max_bytes, std::vector<std::span<const std::byte>>& records,
                   std::vector<settlement*>& settlements, used_blocks& used);
  /// Commands sealed and not taken, and the bytes of their records. For a consumer that is the
  /// producer too.
  [[nodiscard]] std::size_t commands() const noexcept {
    return sealed_.load(std::memory_order_relaxed) - taken_;
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return sealed_bytes_ - taken_bytes_; }
  /// Gives the blocks of what was taken back to the producers, and forgets them. Any one thread, in
  /// the order they were taken.
  static void release(used_blocks& used);

private:
  struct frame;
  struct place {
    block* in = nullptr;
    std::size_t offset = 0;
  };

  void write(settlement&& end, bool is_last);
  [[nodiscard]] frame* begin_frame(std::size_t content_size);
  [[nodiscard]] std::unique_ptr<block> fresh_block(std::size_t min_size);
  void recycle(std::unique_ptr<block> used);

  place write_;
  place sealed_until_; ///< Where write_ was at the last seal.
  std::vector<std::span<std::byte>> reserved_;
  std::size_t reserved_bytes_ = 0;
  std::size_t sealed_bytes_ = 0;
  std::atomic<std::uint64_t> sealed_{0};

  alignas(64) place read_;
  std::uint64_t taken_ = 0;
  std::size_t taken_bytes_ = 0;

  std::mutex free_mutex_;
  std::vector<std::unique_ptr<block>> free_;
};

} // namespace acta::runtime
