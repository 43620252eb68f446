#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>
#include <acta/projections/event_batch.hpp>
#include <acta/runtime/engine.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace acta::projections {

/// Which events: those that fit all that is set. Of others no more than the header is read, and of
/// one stream's history, where it is short and the log long, nothing but its events.
struct event_filter {
  std::optional<stream_id> stream{};
  category_id category{}; ///< As engine::category<order>() has it; 0: all.
  /// As they are called now, behind upcasters: order_placed::GetFullyQualifiedName(). Empty: all,
  /// Acta's own ("acta. ...") too.
  std::vector<std::string> event_types{};
};

struct subscription_options {
  event_filter filter{};
  /// Events behind this position: what position() was, to go on from there; 0: all there are.
  /// Empty: those that are committed from now on.
  std::optional<log_position> after{};
  /// Events handed out at a time, at most; fewer if they are large: limits::max_buffer_size.
  std::size_t buffer = limits::subscription_buffer;
  /// Called when the subscriber is more than so many events behind the log (0: no matter), and
  /// again, with false, when he is not any more. Must be quick and not throw; may stop() it.
  std::uint64_t alarm_over = 0;
  std::function<void(std::uint64_t lag, bool over)> alarm{};
  /// The subscription ends with errc::overloaded when its subscriber is more behind than that. 0:
  /// never. Neither counts before the subscriber has caught up with the log for the first time.
  std::uint64_t drop_over = 0;
};

/// Hands events to a function as they are committed, on a thread of its own: history and what comes
/// live are the same code, which pulls from the log, so there is no gap and no repeat between them.
///
/// A slow subscriber: the log is the buffer. While the handler is busy, the subscription falls
/// behind, as lag() says, and then catches up; it holds nobody back, loses nothing and repeats
/// nothing. Who would rather be told, or be dropped, says so in the options.
///
/// Acknowledging: a batch is handled when the handler returns, and then position() is behind it,
/// and behind events that are not wanted. Kept and given as `after`, it resumes without gap or
/// repeat; a subscription keeps nothing itself.
///
/// Errors: a handler that throws ends the subscription with errc::handler_failed, and so does the
/// log with its errors, and an upcaster; position() is before the batch then. The engine, and other
/// subscriptions, never notice.
/// Lifecycle: the engine must outlive it. When the engine stops, it hands out what there is, and
/// waits. The destructor is stop(), and must not be called by the handlers.
/// Threads: everything but the destructor may be called from any thread.
///
///     auto orders = subscription::open(*engine,
///       {.filter = {.category = engine->category<order>()}, .after = last_seen},
///       [&](subscription&, event_batch events) {
///         for (const auto& record : events.records()) show(record);
///         last_seen = events.reached();
///       });
class subscription {
public:
  /// Not called again before it returns. May stop() the subscription: this batch counts as handled.
  using handler = std::function<void(subscription& from, event_batch events)>;
  /// Called once, behind the last call of the handler: with the error that ended the subscription,
  /// or none if it was stop(). On its thread, or on that of who stops it. Must not throw.
  using end_handler = std::function<void(const result<void>& why)>;

  /// Errors: not_found where events behind `after` were archived; invalid_argument for `after`
  /// beyond the log's tail, which is another log's or was lost with the power, and for what the
  /// store does not know, naming it. Of a stream not from an outcome handler: see engine::read().
  [[nodiscard]] static result<std::unique_ptr<subscription>>
  open(runtime::engine& engine, const subscription_options& options, handler handle,
       end_handler ended = {});
  ~subscription();
  subscription(const subscription&) = delete;
  subscription& operator=(const subscription&) = delete;

  /// Everything up to here was handled, or is not wanted.
  [[nodiscard]] log_position position() const noexcept;
  /// Positions of the log behind that.
  [[nodiscard]] std::uint64_t lag() const noexcept;
  /// The error that ended it, if one did.
  [[nodiscard]] result<void> status() const;
  /// When this returns, no call is under way, and none follows; called by the handler, none follows
  /// this one. Safe to call twice.
  void stop();

private:
  class implementation;
  explicit subscription(std::unique_ptr<implementation> made) noexcept;
  std::unique_ptr<implementation> implementation_;
};

/// The same for who has a thread, or a loop, of his own: he asks for the next events when he is
/// ready for them. No thread, and no memory but what he holds. The same options, which are looked
/// at by next().
///
/// Threads: next() by one at a time, the others by any. The engine must outlive it.
///
///     auto trades = pull_subscription::open(*engine, {.after = log_position(0)});
///     for (auto some = (*trades)->next(100ms); some; some = (*trades)->next(100ms))
///       for (const auto& record : some->records()) show(record);
class pull_subscription {
public:
  /// As subscription::open().
  [[nodiscard]] static result<std::unique_ptr<pull_subscription>>
  open(runtime::engine& engine, const subscription_options& options);
  ~pull_subscription();
  pull_subscription(const pull_subscription&) = delete;
  pull_subscription& operator=(const pull_subscription&) = delete;

  /// The next events, as soon as there are some, or none when the time is over; 0: what there is.
  /// Of an engine with deterministic_seed nothing is committed meanwhile. An error comes in the
  /// place of the events it is about, again and again; errc::overloaded as drop_over has it.
  [[nodiscard]] result<event_batch> next(std::chrono::nanoseconds within);

  /// Everything up to here was handed out, or is not wanted. Who handles what he is given later
  /// keeps event_batch::reached() instead.
  [[nodiscard]] log_position position() const noexcept;
  [[nodiscard]] std::uint64_t lag() const noexcept;

private:
  class implementation;
  explicit pull_subscription(std::unique_ptr<implementation> made) noexcept;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::projections
