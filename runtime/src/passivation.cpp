#include "passivation.hpp"

#include "committer.hpp"
#include "registry.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <algorithm>
#include <limits>

namespace acta::runtime {

namespace {

/// Of passivate_after; what is so old is idle. Aggregates keep the lowest 32 bits of a tick, so an
/// age is the difference of two: right for all that are looked at once in 2^32 ticks.
constexpr std::uint32_t ticks = 8;

/// Clocks may leap: what is over 2^63 ns ahead counts as before.
[[nodiscard]] std::int64_t difference(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left)
                                   - static_cast<std::uint64_t>(right));
}

} // namespace

passivation::passivation(core& shared, registry& actors)
    : core_(shared), registry_(actors), began_ns_(shared.options.clock->now_ns()), age_(ticks) {}

/// One tick, in ns.
std::int64_t passivation::step() const noexcept {
  return std::max<std::int64_t>(1, core_.options.passivate_after.count() / ticks);
}

std::int64_t passivation::tick_now() const noexcept {
  const auto began = began_ns_.load(std::memory_order_relaxed);
  return difference(core_.options.clock->now_ns(), began) / step();
}

bool passivation::is_short_of_memory() const noexcept {
  const auto budget = core_.options.memory_budget;
  return budget != 0
         && core_.aggregate_memory.load(std::memory_order_relaxed)
              > static_cast<std::int64_t>(budget / 64 * limits::passivation_begins_at);
}

bool passivation::is_worth_a_look() const noexcept {
  if (!is_short_of_memory())
    return false;
  return core_.options.deterministic_seed
           ? core_.committer->rounds_done() >= not_before_round_.load(std::memory_order_relaxed)
           : monotonic_ns() >= not_before_ns_.load(std::memory_order_relaxed);
}

bool passivation::may_drop() const noexcept {
  const auto round = wanted_round_.load(std::memory_order_seq_cst);
  return round != 0 && core_.committer->rounds_done() >= round;
}

bool passivation::is_due() const noexcept {
  if (waits_for_round())
    return may_drop();
  return is_worth_a_look()
         || (core_.options.passivate_after.count() != 0
             && tick_now() != looked_at_.load(std::memory_order_relaxed));
}

void passivation::choose() {
  if (waits_for_round())
    return;
  ensure(chosen_.empty(), "those chosen before were dropped");
  if (core_.options.passivate_after.count() != 0)
    look_for_idle();
  if (is_worth_a_look())
    choose_for_memory();
  if (chosen_.empty())
    return;
  // The round that is under way may have passed by what they staged last; the next will not.
  wanted_round_.store(core_.committer->rounds_begun() + 1, std::memory_order_seq_cst);
  core_.committer->want_round();
}

void passivation::look_for_idle() {
  const auto before = looked_at_.load(std::memory_order_relaxed);
  const auto now = tick_now();
  if (now < before) { // the clock was set back: ticks go on from where they were
    began_ns_.store(difference(core_.options.clock->now_ns(), before * step()),
                    std::memory_order_relaxed);
    return;
  }
  const auto tick = static_cast<std::uint32_t>(now);
  core_.tick.store(tick, std::memory_order_relaxed);
  looked_at_.store(now, std::memory_order_relaxed);
  if (now != before)
    registry_.choose_idle(tick, ticks, std::numeric_limits<std::int64_t>::max(), chosen_);
}

/// The least used first, as far as they can be told apart: by the tick of their last command.
void passivation::choose_for_memory() {
  const auto spared = core_.options.memory_budget / 64 * limits::passivation_ends_at;
  const auto began = monotonic_ns();
  auto wanted =
    core_.aggregate_memory.load(std::memory_order_relaxed) - static_cast<std::int64_t>(spared);
  const auto now = core_.tick.load(std::memory_order_relaxed);
  for (age_ = std::min(age_ + 1, ticks);; --age_) {
    const auto before = chosen_.size();
    registry_.choose_idle(now, age_, wanted, chosen_);
    for (auto i = before; i < chosen_.size(); ++i)
      wanted -= chosen_[i].actor->memory_bytes.load(std::memory_order_relaxed);
    if (wanted <= 0 || age_ == 0)
      break;
  }
  if (chosen_.empty())
    rest(monotonic_ns() - began);
  if (core_.options.passivate_after.count() == 0) // or else time alone makes ticks
    core_.tick.store(now + 1, std::memory_order_relaxed);
}

void passivation::rest(std::int64_t after_search_ns) noexcept {
  constexpr std::int64_t shortest = 1'000'000;
  constexpr std::int64_t times =
    10; // so that a tenth of the time at most goes into searches in vain
  not_before_ns_.store(monotonic_ns() + std::max(shortest, times * after_search_ns),
                       std::memory_order_relaxed);
  not_before_round_.store(core_.committer->rounds_done() + 1, std::memory_order_relaxed);
}

void passivation::drop() {
  ensure(may_drop(), "what they staged is committed");
  registry_.drop_chosen(chosen_);
  chosen_.clear();
  wanted_round_.store(0, std::memory_order_seq_cst);
  core_.committer->made_room();
}

} // namespace acta::runtime
