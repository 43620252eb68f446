#include "answerer.hpp"

#include "answer.hpp"
#include "committer.hpp"
#include "durability_gate.hpp"
#include "prefetch.hpp"
#include "snapshot_writer.hpp"
#include "timer_service.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

namespace {

constexpr std::size_t commands_ahead = 4;
constexpr std::size_t settlements_ahead = 8;

} // namespace

void answerer::end(commit_round& round) {
  auto last = round.before;
  const auto expected = log_position(last.value() + round.records.size());
  auto& settlements = round.settlements;
  const auto answered = static_cast<std::int64_t>(settlements.size());
  std::int64_t handed_on = 0;
  for (std::size_t i = 0; i < settlements.size(); ++i) {
    // Others had both in hand last: they are asked for while those before are answered.
    if (i + settlements_ahead < settlements.size())
      prefetch(settlements[i + settlements_ahead], 2);
    if (i + commands_ahead < settlements.size())
      prefetch(settlements[i + commands_ahead]->command.get(), 5);
    handed_on += settle(*settlements[i], round, last) ? 0 : 1;
    std::destroy_at(settlements[i]);
  }
  settlements.clear();
  ensure(round.failure || last == expected, "the receipts' positions are those of the records");
  const bool stored = !round.records.empty() && !round.failure;
  round.records.clear();
  staging::release(round.used);
  if (stored) {
    const std::lock_guard guard(listeners_mutex_);
    for (auto& listener : listeners_)
      listener(last);
  }
  if (stored && core_.timers != nullptr)
    core_.timers->give(for_timers_, last);
  if (answered != 0) {
    housekeeper_.give(for_housekeeper_);
    // Last, so that whoever drains finds all of the above done.
    core_.committer->dismiss(answered - handed_on);
  }
  if (round.took_all)
    rounds_done_.store(round.number, std::memory_order_seq_cst);
  housekeeper_.after_round();
}

/// Answers one command; `last` is the position of the record before this command's. False if
/// somebody else will, or if it was answered before.
bool answerer::settle(settlement& one, const commit_round& round, log_position& last) {
  ensure(one.command != nullptr, "an answer is to a command");
  // What is known was stored in an earlier round.
  if (round.failure && one.how != settlement::kind::known) {
    finish(one, round, std::unexpected(*round.failure));
    return true;
  }
  // In the order of the aggregate's commands, and once each: a number that came late could be taken
  // for one of the actor that followed.
  if (const auto handled = std::exchange(one.finished_after, 0); handled != 0)
    for_housekeeper_.finished.push_back({one.from, handled});
  if (one.how == settlement::kind::accepted) {
    one.position = last = log_position(last.value() + one.events);
    if (one.snapshot != nullptr)
      core_.snapshots->give(std::move(one.snapshot), last);
    if (one.timers != nullptr)
      for_timers_.push_back(std::move(one.timers));
  }
  if (one.how == settlement::kind::repeat) {
    for_housekeeper_.repeats.push_back(std::move(one));
    return false;
  }
  const bool stored = one.how == settlement::kind::accepted || one.how == settlement::kind::known;
  if (stored && core_.gate != nullptr && core_.gate->hold(one, one.position))
    return false;
  ensure(one.how != settlement::kind::errand, "the committer has run it");
  if (one.how == settlement::kind::failed)
    finish(one, round, std::unexpected(std::move(*one.failure)));
  else
    finish(one, round,
           receipt{.version = one.version,
                   .position = one.position,
                   .events = one.events,
                   .repeat = one.repeat});
  return true;
}

/// Counts how a command ended, and tells the caller, unless he knows.
void answerer::finish(settlement& one, const commit_round& round, outcome&& how) const {
  if (auto* command = one.command->as_command()) {
    auto& telemetry = *core_.categories[one.category].telemetry;
    if (!how)
      telemetry.count_failure(how.error().code());
    else
      (how->repeat ? telemetry.repeats : telemetry.accepted).add();
    if (command->times().sent != 0 && !one.answered && !round.failure)
      record(telemetry, command->times(), round.times);
  }
  if (!one.answered)
    runtime::answer(core_, one, std::move(how));
}

answerer::listener_handle answerer::add_listener(tail_listener listener) {
  const std::lock_guard guard(listeners_mutex_);
  return listeners_.insert(listeners_.end(), std::move(listener));
}

void answerer::remove_listener(listener_handle which) {
  const std::lock_guard guard(listeners_mutex_);
  listeners_.erase(which);
}

} // namespace acta::runtime
