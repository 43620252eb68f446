#include "sender.hpp"

#include <algorithm>

namespace acta::sim {

/// A time is that of the first of so many commands sent at once: latencies are over, never under,
/// by the microseconds the others take.
static constexpr std::uint64_t commands_between_clock_reads = 8;

void sender::time_next() {
  const bool waited = wait_for_room();
  if (waited || sent_ % commands_between_clock_reads == 0)
    sent_at_ = std::chrono::steady_clock::now();
}

/// When the window is full, waits until half of it is free: few wake-ups, and the engine stays fed.
bool sender::wait_for_room() {
  if (sent_ - seen_done_ < parts_.window)
    return false;
  seen_done_ = acknowledged_.done();
  if (sent_ - seen_done_ < parts_.window)
    return false;
  acknowledged_.wait_for(sent_ - parts_.window / 2);
  seen_done_ = acknowledged_.done();
  parts_.on_progress();
  return true;
}

void sender::wait_for_all() noexcept {
  acknowledged_.wait_for(sent_);
  seen_done_ = sent_;
}

result<void> sender::status() const {
  if (tally_.failure)
    return std::unexpected(*tally_.failure);
  return {};
}

void sender::settle(const runtime::outcome& end,
                    std::chrono::steady_clock::time_point sent_at) noexcept {
  if (end) {
    tally_.latency.record((std::chrono::steady_clock::now() - sent_at).count());
    ++tally_.accepted;
    tally_.events += end->events;
    tally_.streams += end->events != 0 && end->version.value() == end->events ? 1U : 0U;
    tally_.last = std::max(tally_.last, end->position);
  } else if (end.error().code() == errc::rejected && end.error().rejection() < tally::codes) {
    ++tally_.rejected;
    ++tally_.rejections[end.error().rejection()];
  } else {
    ++tally_.failures;
    if (!tally_.failure)
      tally_.failure = end.error();
  }
}

} // namespace acta::sim
