#pragma once

#include <acta/runtime/receipt.hpp>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace acta::runtime {

/// Waits for what `start` sends to call its handler; where nothing was sent, says why.
[[nodiscard]] inline outcome
wait_for_outcome(const std::function<result<void>(outcome_handler)>& start) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<outcome> answer;
  auto sent = start([&](outcome&& how) {
    const std::lock_guard guard(mutex); // held over notify: `arrived` is on the caller's stack
    answer.emplace(std::move(how));
    arrived.notify_one();
  });
  if (!sent)
    return failure(sent);
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return std::move(*answer);
}

} // namespace acta::runtime
