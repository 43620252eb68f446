#include <acta/projections/subscription.hpp>

#include "event_reader.hpp"

#include <acta/base/ensure.hpp>
#include <acta/runtime/background_actor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace acta::projections {

/// Concurrency: whoever calls the handlers holds `calling_`, and says so in `caller_`, so that
/// they may call what would wait for them.
class subscription::implementation {
public:
  implementation(runtime::engine& engine, event_reader reader, handler handle, end_handler ended)
      : engine_(engine), reader_(std::move(reader)), handle_(std::move(handle)),
        told_end_(std::move(ended)), position_(reader_.position().value()) {}
  ~implementation() {
    ensure(!is_called_here(), "a subscription is not destroyed by its own handlers");
    stop();
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  void start(subscription& self) {
    self_ = &self;
    actor_.emplace(engine_.system(), [this] { return run(); });
    tail_ = engine_.on_tail([this](log_position) { actor_->wake(); });
    actor_->wake();
  }

  [[nodiscard]] log_position position() const noexcept {
    return log_position(position_.load(std::memory_order_acquire));
  }
  [[nodiscard]] std::uint64_t lag() const noexcept {
    const auto here = position(); // first: the tail is never before it
    return engine_.log().tail().value() - here.value();
  }
  [[nodiscard]] result<void> status() const {
    const std::lock_guard guard(status_mutex_);
    return status_;
  }

  void stop() {
    stopping_.store(true, std::memory_order_release); // else the actor might win the lock for ever
    if (is_called_here())
      return;
    const std::lock_guard guard(calling_);
    end({});
  }

private:
  /// While one is, what the subscriber gave is called, with `calling_` held.
  class calling {
  public:
    explicit calling(implementation& of) noexcept : of_(of) {
      of_.caller_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    ~calling() { of_.caller_.store({}, std::memory_order_relaxed); }
    calling(const calling&) = delete;
    calling& operator=(const calling&) = delete;

  private:
    implementation& of_;
  };

  [[nodiscard]] bool is_called_here() const noexcept {
    return caller_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  /// Hands on some of what is new; true if there is more.
  bool run() noexcept {
    const std::lock_guard guard(calling_);
    if (ended_ || stopping_.load(std::memory_order_acquire))
      return false;
    auto handled = handle_next();
    if (!handled)
      end(std::move(handled));
    else if (stopping_.load(std::memory_order_acquire))
      end({});
    return !ended_ && reader_.has_more();
  }

  [[nodiscard]] result<void> handle_next() {
    auto events = reader_.read();
    if (!events)
      return failure(events);
    const auto reached = events->reached();
    if (!events->empty())
      if (auto handled = call(std::move(*events)); !handled)
        return handled;
    position_.store(reached.value(), std::memory_order_release);
    if (stopping_.load(std::memory_order_acquire))
      return {};
    const calling its_alarm(*this);
    return reader_.watch_lag();
  }

  [[nodiscard]] result<void> call(event_batch events) {
    const auto threw = [&](const char* what) {
      return failure(errc::handler_failed, "subscription: its handler threw behind position "
                                             + std::to_string(position().value()) + ": " + what);
    };
    const calling it(*this);
    try {
      handle_(*self_, std::move(events));
    } catch (const std::exception& thrown) {
      return threw(thrown.what());
    } catch (...) {
      return threw("something that is no std::exception");
    }
    return {};
  }

  void end(result<void> why) {
    if (std::exchange(ended_, true))
      return;
    {
      const std::lock_guard guard(status_mutex_);
      status_ = why;
    }
    if (!told_end_)
      return;
    const calling it(*this);
    told_end_(why);
  }

  runtime::engine& engine_;
  subscription* self_ = nullptr;
  event_reader reader_;
  const handler handle_;
  const end_handler told_end_;
  std::atomic<std::uint64_t> position_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> caller_{};
  std::mutex calling_;
  bool ended_ = false;
  mutable std::mutex status_mutex_;
  result<void> status_;
  // Last: the listener ends before the actor, and the actor before what it uses.
  std::optional<runtime::background_actor> actor_;
  std::unique_ptr<runtime::engine::tail_subscription> tail_;
};

subscription::subscription(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}

subscription::~subscription() = default;

result<std::unique_ptr<subscription>> subscription::open(runtime::engine& engine,
                                                         const subscription_options& options,
                                                         handler handle, end_handler ended) {
  if (!handle)
    return failure(errc::invalid_argument, "subscription: it has no handler");
  auto reader = event_reader::open(engine, options);
  if (!reader)
    return failure(reader);
  std::unique_ptr<subscription> made(new subscription(std::make_unique<implementation>(
    engine, std::move(*reader), std::move(handle), std::move(ended))));
  made->implementation_->start(*made);
  return made;
}

log_position subscription::position() const noexcept {
  return implementation_->position();
}

std::uint64_t subscription::lag() const noexcept {
  return implementation_->lag();
}

result<void> subscription::status() const {
  return implementation_->status();
}

void subscription::stop() {
  implementation_->stop();
}

/// Concurrency: `reader_` and `dropped_` are next()'s; `position_` is for the others.
class pull_subscription::implementation {
public:
  implementation(runtime::engine& engine, event_reader reader)
      : engine_(engine), reader_(std::move(reader)), position_(reader_.position().value()),
        tail_(engine.on_tail([this](log_position) {
          const std::lock_guard guard(mutex_); // else it might move between a look and the wait
          moved_.notify_all();
        })) {}

  [[nodiscard]] result<event_batch> next(std::chrono::nanoseconds within) {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365); // a clock can add it
    const auto deadline = std::chrono::steady_clock::now() + std::min(within, longest);
    if (!dropped_)
      if (auto in_time = reader_.watch_lag(); !in_time)
        dropped_ = std::move(in_time.error());
    if (dropped_)
      return std::unexpected(*dropped_);
    const auto now = engine_.log().tail(); // up to there it looks, however little time it has
    for (;;) {
      auto events = reader_.read();
      if (!events)
        return events;
      position_.store(events->reached().value(), std::memory_order_release);
      if (!events->empty())
        return events;
      std::unique_lock lock(mutex_);
      const bool has_more =
        moved_.wait_until(lock, deadline, [this] { return reader_.has_more(); });
      const bool is_over = std::chrono::steady_clock::now() >= deadline;
      if (!has_more || (is_over && reader_.position() >= now))
        return events;
    }
  }

  [[nodiscard]] log_position position() const noexcept {
    return log_position(position_.load(std::memory_order_acquire));
  }
  [[nodiscard]] std::uint64_t lag() const noexcept {
    const auto here = position(); // first: the tail is never before it
    return engine_.log().tail().value() - here.value();
  }

private:
  runtime::engine& engine_;
  event_reader reader_;
  std::optional<error> dropped_;
  std::atomic<std::uint64_t> position_;
  std::mutex mutex_;
  std::condition_variable moved_;
  std::unique_ptr<runtime::engine::tail_subscription> tail_; // last: it ends before what it uses
};

pull_subscription::pull_subscription(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}

pull_subscription::~pull_subscription() = default;

result<std::unique_ptr<pull_subscription>>
pull_subscription::open(runtime::engine& engine, const subscription_options& options) {
  auto reader = event_reader::open(engine, options);
  if (!reader)
    return failure(reader);
  return std::unique_ptr<pull_subscription>(
    new pull_subscription(std::make_unique<implementation>(engine, std::move(*reader))));
}

result<event_batch> pull_subscription::next(std::chrono::nanoseconds within) {
  return implementation_->next(within);
}

log_position pull_subscription::position() const noexcept {
  return implementation_->position();
}

std::uint64_t pull_subscription::lag() const noexcept {
  return implementation_->lag();
}

} // namespace acta::projections
