#include "failures.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace acta::runtime {

namespace {

/// Doubled with each attempt, up to the limit.
[[nodiscard]] std::chrono::nanoseconds backoff(std::uint32_t attempts) noexcept {
  constexpr std::uint32_t most_doublings = 20;
  const auto doubled =
    limits::first_recovery_backoff * (1U << std::min(attempts - 1, most_doublings));
  return std::min<std::chrono::nanoseconds>(doubled, limits::max_recovery_backoff);
}

} // namespace

void failures::handler_failed(const stream_id& stream, const error& why) const {
  if (options_.watch)
    options_.watch({.what = failure_report::part::handler, .stream = stream, .why = why});
}

void failures::commit_failed(const error& why) const {
  if (options_.watch)
    options_.watch({.what = failure_report::part::commit, .stream = {}, .why = why});
}

void failures::recovery_failed(const stream_id& stream, const error& why) {
  std::uint32_t attempts = 0;
  {
    const std::lock_guard guard(mutex_);
    if (troubles_.size() == limits::max_held_back && !troubles_.contains(stream))
      troubles_.erase(troubles_.begin());
    auto& now = troubles_[stream];
    attempts = ++now.attempts;
    now.retry_at_ns = options_.clock->now_ns() + backoff(attempts).count();
    now.why = why;
    ensure(troubles_.size() <= limits::max_held_back, "what is held back is bounded");
    count_.store(troubles_.size(), std::memory_order_relaxed);
  }
  if (options_.watch)
    options_.watch({.what = failure_report::part::recovery,
                    .stream = stream,
                    .why = why,
                    .attempts = attempts,
                    .retry_after = backoff(attempts)});
}

void failures::recovered(const stream_id& stream) {
  if (count_.load(std::memory_order_relaxed) == 0)
    return;
  const std::lock_guard guard(mutex_);
  troubles_.erase(stream);
  count_.store(troubles_.size(), std::memory_order_relaxed);
}

std::optional<error> failures::held_back(const stream_id& stream) const {
  if (count_.load(std::memory_order_relaxed) == 0)
    return std::nullopt;
  const std::lock_guard guard(mutex_);
  const auto found = troubles_.find(stream);
  if (found == troubles_.end())
    return std::nullopt;
  const auto& [attempts, retry_at_ns, why] = found->second;
  ensure(why.has_value() && attempts != 0, "trouble has a reason");
  const auto left = retry_at_ns - options_.clock->now_ns();
  if (left <= 0 || left > backoff(attempts).count()) // more: the clock was set back
    return std::nullopt;
  return error(why->code(), fmt::format("{} (tried {} times; tried again in {} ms)", why->message(),
                                        attempts, left / 1'000'000 + 1));
}

} // namespace acta::runtime
