#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/detail/process_type.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/upcasters.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

namespace acta::runtime {

/// An event for a process manager.
struct found_event {
  detail::seen_event seen;
  command_id correlation; ///< For what follows from it; may be empty.
};

/// Finds a process manager's events in an engine's log. One thread at a time.
class process_reader {
public:
  process_reader(const engine& of, const detail::process_type& type,
                 std::unique_ptr<storage::log_snapshot> snapshot);

  /// errc::invalid_argument names an event type that no aggregate of the engine has.
  [[nodiscard]] result<void> check() const;

  /// Moves to the log as it is now. What was found before is invalid.
  [[nodiscard]] result<void> refresh() { return snapshot_->refresh(); }
  [[nodiscard]] log_position tail() const noexcept { return snapshot_->tail(); }

  /// Hands out the events from a position on, upcast, until `take` answers false, or some batches
  /// were read. Returns where to go on: at the event that was not taken, or behind what was read.
  using taker = std::function<result<bool>(const found_event&)>;
  [[nodiscard]] result<log_position> read(log_position from, const taker& take);

  /// Adds the lower halves of all command ids with this upper half, of the records from a position
  /// on. Returns where to go on, as read().
  [[nodiscard]] result<log_position> collect(log_position from, std::uint64_t high,
                                             std::unordered_set<std::uint64_t>& to) const;

private:
  /// Batches before somebody else has a turn: the snapshot must not pin old pages for long.
  static constexpr int batches_per_read = 64;

  /// None if it is not the manager's.
  [[nodiscard]] result<std::optional<found_event>> find(const storage::record_view& record) const;

  const storage::event_log& log_;
  const runtime::upcasters& upcasters_;
  const detail::process_type& type_;
  std::unique_ptr<storage::log_snapshot> snapshot_;
  upcast_memory memory_;
  storage::scan_options wanted_;
  std::vector<std::optional<std::size_t>> indexes_; ///< In Manager::events, by event type.
};

} // namespace acta::runtime
