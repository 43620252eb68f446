#pragma once

#include "acknowledgements.hpp"
#include "source.hpp"

#include <acta/base/error.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/latency_histogram.hpp>
#include <acta/storage/event_log.hpp>

#include <tsl/robin_map.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace acta::sim {

/// Which commands of a source a store has decided already. The commands of one aggregate are
/// decided in order, so the last one in the log also speaks for those before it, which were
/// refused.
class decided_commands {
public:
  /// Reads the whole log, if there is one.
  [[nodiscard]] static result<decided_commands> read(const storage::event_log& log,
                                                     std::uint64_t fingerprint);

  [[nodiscard]] bool contains_order(std::uint64_t key, std::uint64_t record) const {
    return contains(orders_, key, record);
  }
  [[nodiscard]] bool contains_instrument(std::uint64_t key, std::uint64_t record) const {
    return contains(instruments_, key, record);
  }

private:
  using last_records = tsl::robin_map<std::uint64_t, std::uint64_t>; // key -> record
  [[nodiscard]] static bool contains(const last_records& in, std::uint64_t key,
                                     std::uint64_t record) {
    const auto found = in.find(key);
    return found != in.end() && record <= found->second;
  }

  last_records orders_;
  last_records instruments_;
};

/// What came of the commands. Written by the thread that tells outcomes, one at a time; read it
/// after driver::run().
struct tally {
  static constexpr std::size_t codes = 16; ///< Refusals have codes below this.

  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::array<std::uint64_t, codes> rejections{}; ///< By trading::refusal.
  std::uint64_t events = 0;
  std::uint64_t streams = 0; ///< Aggregates that had no event before.
  log_position last;         ///< The newest position in a receipt.
  std::optional<error> failure;
  std::uint64_t failures = 0;
  runtime::latency_histogram latency;
};

/// Sends a source's commands to an engine, at most `window` of them not acknowledged at a time, and
/// counts what comes back. One run, on one thread. The engine must be stopped before it is
/// destroyed.
class driver {
public:
  struct parts {
    runtime::engine& engine;
    source& from;
    const decided_commands& decided;
    /// Asked what rests when a book is cleared.
    const projections::memory_view<projections::order_book>& book;
    const projections::projector& book_projector;
    std::size_t window = 1;
    const std::atomic<bool>& interrupted; ///< When true, no more is sent.
    std::function<void()> on_progress;    ///< Called every now and then.
  };

  explicit driver(const parts& given);

  /// Sends all and waits for every outcome. An error if a command was neither accepted nor refused:
  /// the first one's.
  [[nodiscard]] result<void> run();

  [[nodiscard]] const tally& results() const noexcept { return tally_; }
  /// Commands sent, and those left out because the store has decided them. Also during run(), on
  /// its thread.
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
  [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

private:
  [[nodiscard]] result<void> take(const step& one);
  [[nodiscard]] result<void> clear(const step& one);
  template <class Aggregate>
  [[nodiscard]] result<void> send(std::uint64_t key, typename Aggregate::command command,
                                  std::uint64_t record);
  /// True if it had to wait.
  bool wait_for_room();
  void wait_for_all();
  void settle(const runtime::outcome& end, std::chrono::steady_clock::time_point sent_at) noexcept;

  parts parts_;
  std::uint64_t fingerprint_;
  std::uint64_t sent_ = 0;
  std::uint64_t left_out_ = 0;
  std::uint64_t seen_done_ = 0;
  std::chrono::steady_clock::time_point sent_at_;
  tally tally_;
  acknowledgements acknowledged_;
};

} // namespace acta::sim
