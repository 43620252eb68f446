#pragma once

#include "chore.hpp"
#include "core.hpp"
#include "pending_timers.hpp"
#include "timer_command.hpp"

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/timer_checkpoint.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acta::runtime {

/// True if an aggregate of the engine has on_timer().
[[nodiscard]] bool handles_timers(const core& shared) noexcept;
/// The event type of timers, registered where some are handled. Elsewhere an older program's
/// aggregates may have set some, whose events are passed over; 0 if not. Errors: the log's.
[[nodiscard]] result<event_type_id> timer_event_of(const core& shared);

struct loaded_timers {
  std::vector<storage::pending_timer> pending;
  log_position through;       ///< The log's tail.
  log_position saved_through; ///< The checkpoint's; 0 without one.
};
/// What is pending in a log: what the checkpoint beside it and the events since say; or, without
/// one that can be used, all events, and the kept states of truncated streams. Errors: the log's.
[[nodiscard]] result<loaded_timers> load_timers(const core& shared);

/// Sends timers that are due to their aggregates, which fire them, or find that there is nothing to
/// fire. So what this knows need not be exact: a timer too many costs a message. None may be
/// missing: it has what the log has.
///
/// Concurrency: a thread of its own does this chore; give() is called by the answerer,
/// timer_ended() by whoever answers, clock_moved() by whoever moves the clock.
/// Durability: the log's. The checkpoint saves time when a store is opened.
class timer_service final : public chore, public timer_sender, public clock::listener {
public:
  /// Sends a command; or else leaves it: false if its aggregate alone has no room for it, an error
  /// if the engine takes none.
  using sender = std::function<result<bool>(const category_entry&, const stream_id&,
                                            std::unique_ptr<detail::envelope>&)>;

  timer_service(core& shared, sender send);
  ~timer_service();

  /// Learns what is pending. Before anything else.
  [[nodiscard]] result<void> open();
  /// Once somebody does this chore.
  void listen_to_clock();

  bool step() noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  [[nodiscard]] std::chrono::nanoseconds look_again_after() const noexcept override;

  /// Takes over what commands did that are committed now, up to `through`, in their order.
  void give(std::vector<std::unique_ptr<timer_changes>>& from, log_position through);
  void timer_ended(const stream_id& stream, timer_id id, std::int64_t due_ns,
                   const outcome& how) noexcept override;
  void clock_moved() noexcept override { wake(); }

  /// Saves a checkpoint, when nothing more is to be given, and nobody does this chore any more.
  void end() noexcept;

private:
  struct queue_place {
    std::int64_t at_ns; ///< When it is to be sent: when it is due, or tried again.
    std::uint64_t number;
    auto operator<=>(const queue_place&) const = default;
  };
  struct entry {
    explicit entry(timer_id of, std::int64_t due = 0, stream_version set_by = {}) noexcept
        : id(of), due_ns(due), version(set_by) {}

    timer_id id;
    std::int64_t due_ns;
    stream_version version; ///< Of the command that set it.
    bool is_queued = false;
    bool is_under_way = false;
    std::uint32_t attempts = 0; ///< That failed.
    queue_place place{};        ///< If it is queued.
  };
  struct hash_of {
    std::size_t operator()(const stream_id& stream) const noexcept { return stream_hash(stream); }
  };
  using entries = std::unordered_map<stream_id, std::vector<entry>, hash_of>;
  struct queued {
    const stream_id* stream; ///< The key in all_.
    timer_id id;
  };
  struct ended {
    stream_id stream;
    timer_id id;
    std::int64_t due_ns;
    std::optional<error> why; ///< It has not fired.
  };

  bool take_given();
  void apply(const timer_changes& changes);
  void apply(const ended& end);
  void set(const stream_id& stream, const timer_setting& to, stream_version version);
  void forget(const stream_id& stream);
  void put_aside(entry& one);
  void enqueue(const stream_id& stream, entry& one, std::int64_t at_ns);
  void try_again(const stream_id& stream, entry& one, const error& why);
  [[nodiscard]] const category_entry* type_of(const stream_id& stream) const noexcept;
  [[nodiscard]] bool has_due() const noexcept;
  [[nodiscard]] bool send_due();
  [[nodiscard]] result<void> send_all_due();
  [[nodiscard]] result<bool> send_first();
  [[nodiscard]] bool wants_checkpoint() const noexcept;
  [[nodiscard]] bool wants_checkpoint_now() const noexcept;
  void save_checkpoint();
  void ignore_clock() noexcept;

  core& core_;
  sender send_;

  // Of the thread that does this chore.
  entries all_;
  std::map<queue_place, queued> queue_;
  std::uint64_t next_number_ = 0;
  std::size_t under_way_ = 0;
  bool stopped_ = false; ///< The engine takes no more commands.
  log_position through_; ///< all_ has what the log has up to there.
  std::atomic<bool> is_told_of_moves_{false};

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<timer_changes>> given_;
  std::vector<ended> ended_;
  log_position given_through_;
  log_position saved_through_; ///< Of the checkpoint on disk.
};

} // namespace acta::runtime
