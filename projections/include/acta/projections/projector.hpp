#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>
#include <acta/projections/projection.hpp>
#include <acta/runtime/engine.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace acta::projections {

/// Applies a log, upcast, to a view on the calling thread, from `from` (0: the first there is), or
/// from behind where the view was left if that is further, to the log's tail, which it returns. For
/// building a view without an engine; errc::store_in_use while a projector feeds it. An error
/// leaves the view some events before the one it names.
[[nodiscard]] result<log_position> replay(const storage::event_log& log, projection& view,
                                          log_position from = log_position(1),
                                          const runtime::upcasters& upcasters = {});

/// What happens to an event that a handler has failed with as often as it may.
enum class failure_policy : std::uint8_t {
  stop,        ///< The projector stops before it: see status().
  dead_letter, ///< It is kept as a dead letter, and the view goes on without it.
  /// The same, and later events of its stream are kept behind it, in order.
  hold_stream,
};

/// How far a view is behind the log.
struct view_lag {
  std::uint64_t events = 0;        ///< Positions in the log that it has not looked at.
  std::chrono::nanoseconds time{}; ///< Since the first of them was recorded; 0 if there is none.
};

struct projector_options {
  /// Records in one transaction of the view, at most.
  std::size_t batch = limits::view_batch;
  /// Of an empty view: where it begins; 0: at the first position there is.
  log_position from = log_position(1);
  /// How often an event, or a commit of the view, is tried again when it fails.
  unsigned retries = 0;
  /// Before the first of these; doubled for each further one, up to limits::max_view_pause. By the
  /// engine's clock.
  std::chrono::nanoseconds pause = std::chrono::milliseconds(100);
  failure_policy on_failure = failure_policy::stop;
  /// It does nothing before resume().
  bool paused = false;
  /// Called on the projector's thread when the view is more behind than one of these (0: no
  /// matter), and again, with false, when it is not any more. Must be quick, must not throw, and
  /// may control the projector, but not end it.
  view_lag alarm_over{};
  std::function<void(const view_lag& lag, bool over)> alarm{};
};

/// An actor that keeps a view up to date with an engine's log, through the engine's upcasters, on a
/// thread of its own. It is told "the log reaches P", at most once until it has looked, and pulls
/// the records itself: catching up and following are the same code, and a slow view holds nobody
/// back. What the view does not want is passed over by the log's cursor.
///
/// Exactly once: the view keeps its checkpoint in the transaction of its data.
/// Lifecycle: the destructor stops it after the step in hand. Engine and view must outlive it. All
/// functions may be called from any thread, but not from the view's handlers.
/// Errors: when the view or the log fails, the projector stops where it is (see status()) and goes
/// on with resume(). The write side never notices.
class projector {
public:
  /// Errors: those of projection::attach(); errc::store_in_use where another projector feeds the
  /// view; errc::invalid_argument, naming the option.
  [[nodiscard]] static result<std::unique_ptr<projector>>
  start(runtime::engine& engine, projection& view, projector_options options = {});
  ~projector();
  projector(const projector&) = delete;
  projector& operator=(const projector&) = delete;

  [[nodiscard]] const projection& view() const noexcept;
  /// The last position the view looked at.
  [[nodiscard]] log_position position() const noexcept;
  /// The error that stopped it, if one did.
  [[nodiscard]] result<void> status() const;
  /// As progress::wait_for(). Of an engine with deterministic_seed nothing happens meanwhile: call
  /// engine::run_until_idle() before.
  [[nodiscard]] result<void> wait_for(log_position position,
                                      std::chrono::nanoseconds at_most) const;
  /// Does not wait for the step in hand.
  [[nodiscard]] result<view_lag> lag() const;

  /// When this returns, no step is under way, and none follows until resume().
  void pause();
  /// Goes on, also past the position of run_to(). The event that failed is tried again; after an
  /// error of the view's store the view is attached anew; where that cannot be, status() says why.
  void resume();
  /// Goes on as resume() does, and pauses at `position`, which it waits for before it goes further
  /// where the log is not there yet. errc::invalid_argument if the view is behind it already.
  [[nodiscard]] result<void> run_to(log_position position);
  /// Empties the view and begins at projector_options::from. A pause stays one.
  [[nodiscard]] result<void> reset();

  /// Tries a dead letter again, with the upcasters there are now: then it is one no more, or stays
  /// as it is. Behind one of a held stream those that wait for it follow, up to the next that
  /// fails. errc::not_found if there is none at `position`; invalid_argument if it waits for
  /// another, which the message names; or why it failed.
  [[nodiscard]] result<void> retry(log_position position);
  /// Gives a dead letter up; those that wait for it follow. Errors as above.
  [[nodiscard]] result<void> discard(log_position position);

private:
  class implementation;
  explicit projector(std::unique_ptr<implementation> made) noexcept;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::projections
