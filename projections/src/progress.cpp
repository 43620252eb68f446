#include <acta/projections/progress.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace acta::projections {

result<void> progress::wait_for(log_position wanted, std::chrono::nanoseconds at_most,
                                std::string_view name) const {
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
                 "view '" + std::string(name) + "': position " + std::to_string(wanted.value())
                   + " is not reached yet; it is at " + std::to_string(position().value()) + ", "
                   + std::to_string(wanted.value() - position().value()) + " behind");
}

result<void> progress::status() const {
  const std::lock_guard guard(mutex_);
  return status_locked();
}

result<void> progress::status_locked() const {
  if (failure_)
    return std::unexpected(*failure_);
  return {};
}

void progress::move_to(log_position reached) {
  const std::lock_guard guard(mutex_);
  position_.store(reached.value(), std::memory_order_release);
  if (waiting_ != 0)
    moved_.notify_all();
  for (auto* one : listeners_)
    one->moved();
}

void progress::add_listener(listener& whom) {
  const std::lock_guard guard(mutex_);
  listeners_.push_back(&whom);
}

void progress::remove_listener(listener& whom) {
  const std::lock_guard guard(mutex_);
  std::erase(listeners_, &whom);
}

void progress::stop(error why) {
  const std::lock_guard guard(mutex_);
  failure_.emplace(std::move(why));
  moved_.notify_all();
  for (auto* one : listeners_)
    one->moved();
}

void progress::go_on() {
  const std::lock_guard guard(mutex_);
  failure_.reset();
}

} // namespace acta::projections
