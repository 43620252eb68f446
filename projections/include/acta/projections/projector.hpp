#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/projection.hpp>
#include <acta/runtime/engine.hpp>

#include <chrono>
#include <memory>

namespace acta::projections {

/// Applies a log, upcast, to a projection from `from` (0: the first there is) to its tail on the
/// calling thread, and returns the tail. For rebuilding a view without an engine.
[[nodiscard]] result<log_position> replay(const storage::event_log& log, projection& view,
                                          log_position from = log_position(1),
                                          const runtime::upcasters& upcasters = {});

/// An actor that keeps a projection up to date with an engine's log, through the engine's
/// upcasters, on a thread of its own. It is told "the log reaches P", at most once until it has
/// looked, and pulls the records itself: catching up and following are the same code, and a slow
/// projection holds nobody back.
///
/// Lifecycle: start() begins at position 1, and stops there with errc::not_found if that was
/// archived; the destructor stops it after the batch in hand. The engine and the projection must
/// outlive it. All functions may be called from any thread.
/// Errors: when the projection or the log fails, the projector stops where it is: see status().
class projector {
public:
  [[nodiscard]] static result<std::unique_ptr<projector>> start(runtime::engine& engine,
                                                                projection& view);
  ~projector();
  projector(const projector&) = delete;
  projector& operator=(const projector&) = delete;

  [[nodiscard]] const projection& view() const noexcept;
  /// The last position applied.
  [[nodiscard]] log_position position() const noexcept;
  /// The error that stopped it, if one did.
  [[nodiscard]] result<void> status() const;
  /// Waits until the view contains `position`: with a receipt's position, one reads one's own
  /// writes. errc::timed_out says how far behind it is; or the error that stopped it. Of an engine
  /// with deterministic_seed nothing happens meanwhile: call engine::run_until_idle() before.
  [[nodiscard]] result<void> wait_for(log_position position,
                                      std::chrono::nanoseconds at_most) const;

private:
  class implementation;
  explicit projector(std::unique_ptr<implementation> made) noexcept;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::projections
