#pragma once

#include <acta/base/error.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace acta::runtime::detail {

/// Where a thread waits for the outcome of what it sent.
template <class Outcome>
class waiting_caller {
public:
  /// By whoever has the outcome. Held over the notification: this may be on the caller's stack.
  void give(Outcome&& how) {
    const std::lock_guard guard(mutex_);
    outcome_.emplace(std::move(how));
    arrived_.notify_one();
  }
  [[nodiscard]] Outcome wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return outcome_.has_value(); });
    return std::move(*outcome_);
  }
  /// Empty if it did not come in time.
  [[nodiscard]] std::optional<Outcome> wait_for(std::chrono::nanoseconds at_most) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, at_most, [this] { return outcome_.has_value(); });
    return std::move(outcome_);
  }

private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<Outcome> outcome_;
};

/// Waits for what `start` sends to call its handler, so long at most; where nothing was sent, says
/// why.
template <class Outcome, class Start>
[[nodiscard]] Outcome wait_for_outcome(std::chrono::nanoseconds at_most, Start start) {
  if (at_most == std::chrono::nanoseconds::max()) {
    waiting_caller<Outcome> here;
    if (auto sent = start([&here](Outcome&& how) { here.give(std::move(how)); }); !sent)
      return failure(sent);
    return here.wait();
  }
  const auto there = std::make_shared<waiting_caller<Outcome>>(); // it may come when we are gone
  if (auto sent = start([there](Outcome&& how) { there->give(std::move(how)); }); !sent)
    return failure(sent);
  if (auto how = there->wait_for(at_most))
    return std::move(*how);
  return failure(errc::timed_out, "the outcome did not come within "
                                  "command_options::wait_for_outcome; it is not known what becomes "
                                  "of the command: send it again with the same id");
}

} // namespace acta::runtime::detail
