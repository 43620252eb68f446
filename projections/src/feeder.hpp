#pragma once

#include <acta/projections/projector.hpp>
#include <acta/runtime/upcasters.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace acta::projections {

/// What a projector does: gathers records, has the view handle them in steps, and knows what to do
/// about those that fail. Knows no thread: one call at a time.
class feeder {
public:
  /// `snapshot` is of the engine's log, `wanted` what the view wants of it.
  feeder(runtime::engine& engine, projection& view, projector_options options,
         storage::scan_options wanted, std::unique_ptr<storage::log_snapshot> snapshot);

  /// Does some of what there is to do; true if there is more to do now.
  [[nodiscard]] bool feed() noexcept;
  /// Forgets what failed, and goes as far as `to` (empty: on and on).
  result<void> go_on(std::optional<log_position> to);
  /// True if it is where go_on() was to lead.
  [[nodiscard]] bool has_arrived() const noexcept { return to_ && next_ > *to_; }
  [[nodiscard]] result<void> reset();

  enum class how : std::uint8_t { retried, discarded };
  [[nodiscard]] result<void> revive(log_position position, how what);

  /// How long until it tries again what failed, though nothing is committed.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> rests_for() const noexcept;

  // At any time, also while it feeds; watch_lag() by one at a time.
  [[nodiscard]] result<view_lag> lag() const;
  void watch_lag() noexcept;
  /// How long until the view may be too far behind, though nothing is committed.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> watches_again_after() const noexcept;

private:
  /// What fails since the last move, and how often it did.
  struct trouble {
    log_position at; ///< The event; 0: none.
    unsigned attempts = 0;
    unsigned of_store = 0; ///< Attempts that the view's store, or the log, has failed.
    std::int64_t since_ns = 0;
    std::chrono::nanoseconds rest{};
  };
  using records = std::span<const storage::record_view>;

  void want(storage::scan_options wanted);
  [[nodiscard]] result<bool> advance();
  [[nodiscard]] result<log_position> gather(log_position last);
  [[nodiscard]] bool handle_without_one();
  [[nodiscard]] bool handle(records all, log_position reached);
  [[nodiscard]] records split(records all);
  [[nodiscard]] step_result apply(const view_step& step);
  void move_to(log_position reached);
  /// The next one of the view, whatever was looked at since it was last moved.
  [[nodiscard]] log_position next_of_view() const noexcept;
  [[nodiscard]] bool go_on_after(log_position at, const error& why);
  [[nodiscard]] bool bury(const storage::record_view& record, const error& why);
  [[nodiscard]] dead_letter letter_of(const storage::record_view& record, const error& why,
                                      std::uint32_t attempts) const;
  void stop(const error& why);
  [[nodiscard]] std::string stream_of(const storage::record_view& record) const;
  [[nodiscard]] result<void> handle_again(const dead_letter& letter);
  [[nodiscard]] result<void> follow(const std::string& stream);
  [[nodiscard]] result<void> forget_letters();
  void remember(const dead_letter& letter);

  runtime::engine& engine_;
  projection& view_;
  const projector_options options_;
  storage::scan_options wanted_;
  std::unique_ptr<storage::log_snapshot> snapshot_;
  log_position next_;              ///< To be looked at.
  std::optional<log_position> to_; ///< The last one to be.
  std::optional<trouble> trouble_;
  bool stopped_ = false;
  bool is_sound_ = false; ///< It stopped for an event, and its view is as it was.
  bool is_over_ = false;                              ///< The alarm was given.
  std::map<log_position, dead_letter> letters_;       ///< As they are kept with the view.
  std::unordered_map<std::string, std::size_t> held_; ///< Letters by stream, with hold_stream.
  // Of one step, memory kept.
  std::vector<storage::record_view> gathered_;
  std::vector<storage::record_view> live_;
  std::vector<dead_letter> dead_;
  runtime::upcast_memory memory_;
};

} // namespace acta::projections
