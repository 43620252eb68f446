#include <acta/projections/projector.hpp>

#include "apply.hpp"

#include <acta/runtime/background_actor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace acta::projections {

/// Concurrency: run() is called by the actor's thread alone. `position_` and `failure_` are written
/// under `mutex_`, so that no waiter misses a step; position_ is atomic to be read without it.
class projector::implementation {
public:
  implementation(runtime::engine& engine, projection& view,
                 std::unique_ptr<storage::log_snapshot> snapshot)
      : view_(view), upcasters_(engine.upcasters()), snapshot_(std::move(snapshot)),
        actor_(engine.system(), [this] { return run(); }),
        subscription_(engine.on_tail([this](log_position) { actor_.wake(); })) {
    actor_.wake();
  }

  [[nodiscard]] const projection& view() const noexcept { return view_; }
  [[nodiscard]] log_position position() const noexcept {
    return log_position(position_.load(std::memory_order_acquire));
  }

  [[nodiscard]] result<void> status() const {
    const std::lock_guard guard(mutex_);
    return status_locked();
  }

  [[nodiscard]] result<void> wait_for(log_position wanted, std::chrono::nanoseconds at_most) const {
    if (position() >= wanted)
      return {};
    constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365); // a clock can add it
    std::unique_lock lock(mutex_);
    ++waiting_;
    const bool met = moved_.wait_for(lock, std::min(at_most, longest),
                                     [&] { return position() >= wanted || failure_.has_value(); });
    --waiting_;
    if (position() >= wanted)
      return {};
    if (met)
      return status_locked();
    return failure(errc::timed_out,
                   std::string(view_.name()) + ": position " + std::to_string(wanted.value())
                     + " is not reached yet; the view is at " + std::to_string(position().value()));
  }

private:
  /// Batches before the snapshot is let go: a long catch-up must not pin old pages of the log.
  static constexpr int batches_per_run = 64;

  [[nodiscard]] result<void> status_locked() const {
    if (failure_)
      return std::unexpected(*failure_);
    return {};
  }

  /// Applies some of what is new; true if there is more.
  bool run() noexcept {
    if (failure_)
      return false;
    auto more = advance();
    if (more)
      return *more;
    const std::lock_guard guard(mutex_);
    failure_.emplace(std::move(more.error()));
    moved_.notify_all();
    return false;
  }

  [[nodiscard]] result<bool> advance() {
    if (auto refreshed = snapshot_->refresh(); !refreshed)
      return failure(refreshed);
    if (snapshot_->tail() <= position())
      return false;
    auto cursor = snapshot_->scan(position().next());
    if (!cursor)
      return failure(cursor);
    for (int i = 0; i < batches_per_run; ++i) {
      auto records = (*cursor)->next();
      if (!records)
        return failure(records);
      if (records->empty())
        return false;
      if (auto applied = apply(view_, upcasters_, *records, memory_); !applied)
        return failure(applied);
      move_to(records->back().position());
    }
    return true;
  }

  void move_to(log_position reached) {
    const std::lock_guard guard(mutex_);
    position_.store(reached.value(), std::memory_order_release);
    if (waiting_ != 0)
      moved_.notify_all();
  }

  projection& view_;
  const runtime::upcasters& upcasters_;
  runtime::upcast_memory memory_;
  std::unique_ptr<storage::log_snapshot> snapshot_;
  std::atomic<std::uint64_t> position_{0};
  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  mutable int waiting_ = 0;
  std::optional<error> failure_;
  // Last: the subscription ends before the actor, and the actor before what it uses.
  runtime::background_actor actor_;
  std::unique_ptr<runtime::engine::tail_subscription> subscription_;
};

projector::projector(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}

projector::~projector() = default;

result<std::unique_ptr<projector>> projector::start(runtime::engine& engine, projection& view) {
  view.attach(engine.log());
  auto snapshot = engine.log().snapshot();
  if (!snapshot)
    return failure(snapshot);
  return std::unique_ptr<projector>(
    new projector(std::make_unique<implementation>(engine, view, std::move(*snapshot))));
}

const projection& projector::view() const noexcept {
  return implementation_->view();
}

log_position projector::position() const noexcept {
  return implementation_->position();
}

result<void> projector::status() const {
  return implementation_->status();
}

result<void> projector::wait_for(log_position position, std::chrono::nanoseconds at_most) const {
  return implementation_->wait_for(position, at_most);
}

} // namespace acta::projections
