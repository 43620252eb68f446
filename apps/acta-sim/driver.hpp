#pragma once

#include "sender.hpp"
#include "source.hpp"

#include <acta/base/error.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <tsl/robin_map.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

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

/// Sends a market's commands to an engine, as sender does. One run, on one thread. The engine must
/// be stopped before it is destroyed.
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

  [[nodiscard]] const tally& results() const noexcept { return sender_.results(); }
  /// Commands sent, and those left out because the store has decided them. Also during run(), on
  /// its thread.
  [[nodiscard]] std::uint64_t sent() const noexcept { return sender_.sent(); }
  [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

private:
  [[nodiscard]] result<void> take(const step& one);
  [[nodiscard]] result<void> clear(const step& one);

  parts parts_;
  sender sender_;
  std::uint64_t left_out_ = 0;
};

} // namespace acta::sim
