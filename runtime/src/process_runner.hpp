#pragma once

#include "process_reader.hpp"

#include <acta/base/clock.hpp>
#include <acta/runtime/background_actor.hpp>
#include <acta/runtime/process_manager.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace acta::runtime {

/// The actor of a process manager: see process_manager.hpp.
///
/// Concurrency: run() is called by the actor's thread alone, and what is not said to be under
/// `mutex_` is its own. Outcome handlers only note the outcome, under `mutex_`, and wake it.
class process_runner : clock::listener {
public:
  process_runner(engine& on, std::unique_ptr<detail::process_type> type,
                 const process_options& options, process_progress progress,
                 std::unique_ptr<storage::log_snapshot> snapshot);
  virtual ~process_runner();
  process_runner(const process_runner&) = delete;
  process_runner& operator=(const process_runner&) = delete;

  /// Once, when it has been checked.
  void start();
  [[nodiscard]] result<void> check() const { return reader_.check(); }

  [[nodiscard]] log_position position() const noexcept {
    return log_position(position_.load(std::memory_order_acquire));
  }
  [[nodiscard]] result<void> status() const;
  [[nodiscard]] result<void> wait_for(log_position wanted, std::chrono::nanoseconds at_most) const;

private:
  /// On the engine's clock; over, too, where that was set back.
  struct pause {
    std::int64_t since_ns = 0;
    std::int64_t until_ns = 0;
    [[nodiscard]] bool is_over(std::int64_t now_ns) const noexcept {
      return now_ns >= until_ns || now_ns < since_ns;
    }
  };
  /// What an instance does about an event until all of its commands are settled.
  struct response {
    domain::event_origin origin;
    command_id correlation;
    detail::process_type::state next; ///< The instance's state behind it.
    bool is_last = false;             ///< Then the instance is gone.
    std::uint32_t first_index = 0;    ///< Of its first command, among those of the event.
    detail::outgoing_commands commands;
    std::size_t at = 0;    ///< The command in hand.
    unsigned attempts = 0; ///< Of it, that failed.
    unsigned backoffs = 0;
    pause rest{}; ///< While it is in `waiting_`.
    /// What is done about a failure once that is noted.
    std::optional<detail::failure_answer> answer{};
    process_progress::failed_command note{}; ///< The failure.
  };
  struct instance {
    detail::process_type::state state;
    log_position began;             ///< Its first event.
    std::unique_ptr<response> busy; ///< Null if it waits for nothing.
  };
  using instances = std::map<domain::stream_key, instance>;
  /// Of a command of an instance; or of a note of progress.
  struct arrived_outcome {
    std::optional<instances::iterator> of;
    outcome how;
  };

  bool run() noexcept;
  [[nodiscard]] result<bool> work();
  [[nodiscard]] result<void> take_outcomes();
  [[nodiscard]] result<void> send_what_is_due();
  [[nodiscard]] result<bool> read();

  [[nodiscard]] result<bool> take(const found_event& found);
  [[nodiscard]] result<std::vector<domain::route>> routes_of(const found_event& found) const;
  /// Of routes those that are handled.
  [[nodiscard]] result<void> leave_handled(std::vector<domain::route>& routes,
                                           const domain::event_origin& origin) const;
  [[nodiscard]] result<detail::outgoing_commands> handle(instances::iterator of,
                                                         const found_event& found);
  void begin(instances::iterator of, const found_event& found, bool is_last,
             detail::outgoing_commands&& commands, std::uint32_t first_index);

  [[nodiscard]] result<void> go_on(instances::iterator of);
  [[nodiscard]] result<bool> is_settled_already(instance& of);
  [[nodiscard]] result<void> send(instances::iterator of);
  [[nodiscard]] result<void> settle(instances::iterator of, outcome&& how);
  [[nodiscard]] result<void> decide_failure(instances::iterator of, const error& why);
  [[nodiscard]] result<void> act(instances::iterator of, detail::failure_answer&& answer);
  void end(instances::iterator of);
  void forget(instances::iterator of);

  [[nodiscard]] result<detail::failure_answer> ask_policy(const instance& of,
                                                          const error& why) const;
  [[nodiscard]] std::string name_of(const domain::event_origin& event) const;
  [[nodiscard]] error because_of(const response& of, const error& why) const;
  [[nodiscard]] static std::uint32_t index_of(const response& of) noexcept;
  [[nodiscard]] command_id id_of(const response& of) const noexcept;

  [[nodiscard]] log_position settled() const noexcept;
  void publish();
  void forget_the_past();
  [[nodiscard]] bool is_time_to_note() const noexcept;
  void note_progress();
  [[nodiscard]] result<void> settle_note(outcome&& how);

  void clock_moved() noexcept override { actor_->wake(); }
  [[nodiscard]] std::int64_t now_ns() const noexcept { return engine_.clock().now_ns(); }
  [[nodiscard]] pause pause_for(std::chrono::nanoseconds delay) const noexcept;
  [[nodiscard]] pause backoff(unsigned times) const noexcept;
  void set_alarm();

  /// Tells the engine something whose outcome comes to take_outcomes(), or nothing any more at the
  /// end. `tell(handler)` returns what engine::tell() does.
  template <class Tell>
  void tell(std::optional<instances::iterator> of, Tell tell);
  void arrive(std::optional<instances::iterator> of, outcome&& how) noexcept;

  engine& engine_;
  std::unique_ptr<detail::process_type> type_;
  process_options options_;
  stream_id journal_;
  process_reader reader_;

  instances instances_;
  std::multiset<log_position> begun_;        ///< Where the instances began.
  std::multiset<log_position> open_;         ///< Of the events whose commands are not all settled.
  std::vector<instances::iterator> waiting_; ///< To send their command again when it is due.
  log_position next_;                        ///< To be read.

  // Of the time before: what was settled, and what is known of the events behind it.
  log_position silent_until_;
  log_position known_until_; ///< The log's tail at the start.
  log_position collected_;
  std::unordered_set<std::uint64_t> stored_; ///< Lower halves of command ids.
  std::vector<process_progress::failed_command> noted_failures_;

  log_position noted_;
  /// To be written down when all commands up to its position are settled.
  std::optional<settle_process> note_;
  bool is_noting_ = false;
  unsigned note_backoffs_ = 0;
  pause note_rest_;
  // Since the last note:
  bool saw_event_ = false;
  bool stored_nothing_ = false; ///< A command did.

  std::atomic<bool> is_told_of_moves_{false}; ///< By the clock.

  std::atomic<std::uint64_t> position_{0}; ///< Written under `mutex_`.
  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  std::vector<arrived_outcome> arrived_;
  std::size_t under_way_ = 0;
  bool stopping_ = false;
  std::optional<error> failure_;

  // Last: the subscription ends before the actor, and the actor before what it uses.
  std::optional<background_actor> actor_;
  std::unique_ptr<engine::tail_subscription> subscription_;
};

} // namespace acta::runtime
