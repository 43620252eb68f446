#pragma once

#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace acta::runtime {

/// A timer, and the time it is due at, in ns since 1970-01-01T00:00:00Z; 0: it is not pending.
struct timer_setting {
  timer_id id;
  std::int64_t due_ns = 0;
};
static_assert(sizeof(timer_setting) == 16, "docs/format.md");

/// What a command did to the timers of its aggregate, for whoever fires them.
struct timer_changes {
  stream_id stream;
  stream_version version; ///< After the command.
  bool removed = false;   ///< The stream was removed, and all its timers with it.
  std::vector<timer_setting> settings{};
};

/// The table's name: the event type of what is stored of timers.
[[nodiscard]] const char* timer_event_name() noexcept;
/// Its schema.
[[nodiscard]] std::span<const std::byte> timer_event_schema() noexcept;
/// What is stored of a timer; valid until this thread makes the next.
[[nodiscard]] std::span<const std::byte> timer_payload(const timer_setting& one);
/// What such a record says; errc::corrupt if it is none.
[[nodiscard]] result<timer_setting> read_timer(const storage::record_view& record);

/// The timers of one aggregate. A pointer, as most have none.
class pending_timers {
public:
  /// 0 if it is not pending.
  [[nodiscard]] std::int64_t due_of(timer_id id) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return all_ == nullptr ? 0 : all_->size(); }
  /// Of the heap, in bytes.
  [[nodiscard]] std::size_t memory() const noexcept {
    return all_ == nullptr
             ? 0
             : sizeof(std::vector<timer_setting>) + all_->capacity() * sizeof(timer_setting);
  }
  [[nodiscard]] bool empty() const noexcept { return all_ == nullptr; }

  void apply(const timer_setting& one);
  void clear() noexcept { all_.reset(); }

  /// Adds them to what recent_commands::saved() made: their number in the upper half of its first
  /// word, and behind the commands 16 bytes each.
  void save(std::vector<std::byte>& with_commands) const;

private:
  std::unique_ptr<std::vector<timer_setting>> all_; ///< Not empty.
};

/// What is kept with a state, taken apart again.
struct saved_memory {
  std::span<const std::byte> commands; ///< For recent_commands::load().
  std::vector<timer_setting> timers{};
};
/// Empty if it does not add up.
[[nodiscard]] std::optional<saved_memory> take_apart(std::span<const std::byte> saved);

} // namespace acta::runtime
