#include <acta/projections/projector.hpp>

#include "feeder.hpp"
#include "view_hold.hpp"

#include <acta/runtime/background_actor.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

namespace acta::projections {

/// Concurrency: whatever touches the view holds `feeding_`: the actor for one piece of work at a
/// time, and those who control it. Since a mutex is not fair, the actor lets them go first:
/// `visitors_` counts those who wait or are inside.
class projector::implementation final : private clock::listener {
public:
  implementation(runtime::engine& engine, projection& view, projector_options options,
                 storage::scan_options wanted, std::unique_ptr<storage::log_snapshot> snapshot,
                 view_hold held)
      : held_(std::move(held)), engine_(engine), view_(view), paused_(options.paused),
        feeder_(engine, view, std::move(options), std::move(wanted), std::move(snapshot)),
        actor_(engine.system(), [this] { return run(); }),
        subscription_(engine.on_tail([this](log_position) { actor_.wake(); })) {
    is_told_of_moves_.store(engine.clock().add_listener(*this), std::memory_order_relaxed);
    actor_.wake();
  }
  ~implementation() {
    if (is_told_of_moves_.load(std::memory_order_relaxed))
      engine_.clock().remove_listener(*this);
    ending_.store(true, std::memory_order_relaxed);
  }

  [[nodiscard]] const projection& view() const noexcept { return view_; }

  /// Not with feeding_: one wants to know it of a step that hangs, too.
  [[nodiscard]] result<view_lag> lag() const { return feeder_.lag(); }
  void pause() {
    paused_.store(true, std::memory_order_relaxed);
    const visit guard(*this); // the step in hand has ended when this is had
    feeder_.show();
  }
  void resume() {
    const visit guard(*this);
    [[maybe_unused]] const auto possible = feeder_.go_on({}); // if not, status() says so
    go_on();
  }
  [[nodiscard]] result<void> run_to(log_position position) {
    const visit guard(*this);
    if (auto possible = feeder_.go_on(position); !possible)
      return possible;
    go_on();
    return {};
  }
  [[nodiscard]] result<void> reset() {
    const visit guard(*this);
    auto done = feeder_.reset();
    actor_.wake();
    return done;
  }
  [[nodiscard]] result<void> retry(log_position position) {
    const visit guard(*this);
    return feeder_.revive(position, feeder::how::retried);
  }
  [[nodiscard]] result<void> discard(log_position position) {
    const visit guard(*this);
    return feeder_.revive(position, feeder::how::discarded);
  }

private:
  class visit {
  public:
    explicit visit(implementation& of) : of_(of) {
      of_.visitors_.fetch_add(1, std::memory_order_relaxed);
      of_.feeding_.lock();
    }
    ~visit() {
      of_.feeding_.unlock();
      of_.visitors_.fetch_sub(1, std::memory_order_release);
      of_.visitors_.notify_all();
    }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

  private:
    implementation& of_;
  };

  void clock_moved() noexcept override { actor_.wake(); }

  void go_on() {
    paused_.store(false, std::memory_order_relaxed);
    actor_.wake();
  }

  /// Does a piece of work; true if there is more.
  bool run() noexcept {
    for (auto inside = visitors_.load(std::memory_order_acquire); inside != 0;
         inside = visitors_.load(std::memory_order_acquire))
      visitors_.wait(inside, std::memory_order_acquire);
    const bool more = feed();
    if (ending_.load(std::memory_order_relaxed))
      return false;
    feeder_.watch_lag(); // without the lock: the alarm may pause, say
    if (const auto rest = feeder_.watches_again_after())
      look_again_after(*rest);
    return more && !paused_.load(std::memory_order_relaxed);
  }

  bool feed() noexcept {
    const std::lock_guard guard(feeding_);
    if (ending_.load(std::memory_order_relaxed) || paused_.load(std::memory_order_relaxed))
      return false;
    const bool more = feeder_.feed();
    if (feeder_.has_arrived())
      paused_.store(true, std::memory_order_relaxed);
    if (const auto rest = feeder_.rests_for())
      look_again_after(*rest);
    return more;
  }

  void look_again_after(std::chrono::nanoseconds rest) {
    if (!is_told_of_moves_.load(std::memory_order_relaxed))
      actor_.wake_after(rest);
  }

  view_hold held_; // ends last
  runtime::engine& engine_;
  projection& view_;
  std::atomic<bool> paused_;
  std::atomic<bool> ending_{false};
  std::atomic<bool> is_told_of_moves_{false};
  std::atomic<int> visitors_{0};
  std::mutex feeding_;
  feeder feeder_;
  // Last: the subscription ends before the actor, and the actor before what it uses.
  runtime::background_actor actor_;
  std::unique_ptr<runtime::engine::tail_subscription> subscription_;
};

projector::projector(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}

projector::~projector() = default;

namespace {

[[nodiscard]] result<void> check(const projector_options& options) {
  const auto wrong = [](const char* what) {
    return failure(errc::invalid_argument, std::string("projector_options::") + what);
  };
  if (options.batch == 0)
    return wrong("batch is 0: a transaction has one record at least");
  if (options.pause.count() < 0)
    return wrong("pause is negative");
  if (options.alarm_over.time.count() < 0)
    return wrong("alarm_over.time is negative");
  return {};
}

} // namespace

result<std::unique_ptr<projector>> projector::start(runtime::engine& engine, projection& view,
                                                    projector_options options) {
  if (auto sound = check(options); !sound)
    return failure(sound);
  auto held = view_hold::of(view);
  if (!held)
    return failure(held);
  auto wanted = view.attach(engine.log());
  if (!wanted)
    return failure(wanted);
  if (wanted->part >= wanted->parts)
    return failure(errc::invalid_argument,
                   "view '" + std::string(view.name()) + "': part " + std::to_string(wanted->part)
                     + " of " + std::to_string(wanted->parts) + " parts: they count from 0");
  auto snapshot = engine.log().snapshot();
  if (!snapshot)
    return failure(snapshot);
  view.progress().go_on(); // what stopped the one before is not this one's trouble
  auto made = std::make_unique<implementation>(engine, view, std::move(options), std::move(*wanted),
                                               std::move(*snapshot), std::move(*held));
  return std::unique_ptr<projector>(new projector(std::move(made)));
}

const projection& projector::view() const noexcept {
  return implementation_->view();
}

log_position projector::position() const noexcept {
  return view().position();
}

result<void> projector::status() const {
  return view().progress().status();
}

result<void> projector::wait_for(log_position position, std::chrono::nanoseconds at_most) const {
  return view().progress().wait_for(position, at_most, view().name());
}

result<view_lag> projector::lag() const {
  return implementation_->lag();
}

void projector::pause() {
  implementation_->pause();
}

void projector::resume() {
  implementation_->resume();
}

result<void> projector::run_to(log_position position) {
  return implementation_->run_to(position);
}

result<void> projector::reset() {
  return implementation_->reset();
}

result<void> projector::retry(log_position position) {
  return implementation_->retry(position);
}

result<void> projector::discard(log_position position) {
  return implementation_->discard(position);
}

} // namespace acta::projections
