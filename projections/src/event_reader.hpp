#pragma once

#include <acta/projections/event_batch.hpp>
#include <acta/projections/subscription.hpp>
#include <acta/runtime/upcasters.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace acta::projections {

/// What both forms of a subscription do: reads the next events that are wanted, and looks whether
/// its subscriber is too slow. Knows no thread: one call at a time.
class event_reader {
public:
  [[nodiscard]] static result<event_reader> open(runtime::engine& engine,
                                                 const subscription_options& options);

  /// The next events, or none: of a long log that has none, not all is looked at by one call. On an
  /// error nothing has changed.
  [[nodiscard]] result<event_batch> read();
  /// Behind what was read.
  [[nodiscard]] log_position position() const noexcept { return position_; }
  [[nodiscard]] bool has_more() const noexcept { return engine_->log().tail() > position_; }

  /// Tells of a subscriber that is too slow, and that he is not any more.
  [[nodiscard]] result<void> watch_lag();

private:
  event_reader(runtime::engine& engine, const subscription_options& options, log_position after)
      : engine_(&engine), options_(options), position_(after) {}

  [[nodiscard]] result<void> find_types();
  void find_history(const storage::log_snapshot& snapshot);
  [[nodiscard]] result<log_position> read_history(const storage::log_snapshot& snapshot);
  [[nodiscard]] result<log_position> scan(const storage::log_snapshot& snapshot);
  [[nodiscard]] bool take(const storage::record_view& record);
  [[nodiscard]] event_batch copy(std::span<const storage::record_view> now, log_position reached);

  runtime::engine* engine_;
  subscription_options options_;
  std::vector<event_type_id> types_; ///< As the events are now; sorted. Empty: all.
  storage::scan_options wanted_;     ///< As they are stored.
  log_position position_;
  bool has_caught_up_ = false;
  bool is_over_ = false; ///< The alarm was given.
  /// Of one stream: where its events are up to there, as the index knew it at the beginning.
  std::vector<log_position> history_;
  log_position history_ends_;
  // Of one batch, memory kept.
  std::vector<storage::record_view> taken_;
  std::size_t taken_size_ = 0;
  runtime::upcast_memory memory_;
};

} // namespace acta::projections
