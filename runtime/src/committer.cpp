#include "committer.hpp"

#include "answer.hpp"
#include "durability_gate.hpp"
#include "log_errand.hpp"
#include "prefetch.hpp"
#include "shard.hpp"
#include "snapshot_writer.hpp"
#include "timer_service.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace acta::runtime {

namespace {

constexpr std::size_t commands_ahead = 4;
/// After so many commands a worker that commits itself does so even if more wait: by then a commit
/// costs little beside them, and the first has waited some milliseconds.
constexpr std::size_t commands_of_a_commit = 4'096;

} // namespace

committer::committer(core& shared, housekeeper& helper, std::size_t shards)
    : core_(shared), housekeeper_(helper) {
  for (std::size_t i = 0; i < shards + 1; ++i)
    shards_.push_back(std::make_unique<staging>());
}

staging& committer::staging_of(const compact_stream& stream) noexcept {
  return *shards_[shard_of(stream, shards_.size() - 1)];
}

void committer::stage(settlement&& one) {
  const std::lock_guard guard(stage_mutex_);
  shards_.back()->seal(std::move(one));
}

bool committer::ready() const noexcept {
  return round_wanted_.load(std::memory_order_seq_cst)
         || std::ranges::any_of(shards_, [](const auto& shard) { return shard->ready(); });
}

bool committer::urgent() const noexcept {
  ensure(shards_.size() == 2, "the only worker commits");
  const auto& staged = *shards_.front();
  return staged.commands() >= commands_of_a_commit || staged.bytes() >= limits::max_commit_size;
}

bool committer::step() noexcept {
  const bool wanted = round_wanted_.exchange(false, std::memory_order_seq_cst);
  const auto round = rounds_begun_.fetch_add(1, std::memory_order_acq_rel) + 1;
  const bool all = take();
  const bool any = !settlements_.empty();
  if (any)
    commit();
  if (all)
    rounds_done_.store(round, std::memory_order_seq_cst);
  housekeeper_.after_round();
  return any || wanted;
}

bool committer::admit() noexcept {
  const auto limit = static_cast<std::int64_t>(core_.options.max_in_flight);
  if (in_flight_.fetch_add(1, std::memory_order_seq_cst) < limit)
    return true;
  undo_admission();
  return false;
}

void committer::admit_parts(std::size_t parts) noexcept {
  const auto before =
    in_flight_.fetch_add(static_cast<std::int64_t>(parts), std::memory_order_seq_cst);
  ensure(before >= 1, "the command they belong to is not answered");
}

// As with a bell: drain() says that it waits and then looks at the count, and this changes the
// count and then looks whether somebody waits, all seq_cst.
void committer::dismiss(std::int64_t commands) noexcept {
  ensure(in_flight_.fetch_sub(commands, std::memory_order_seq_cst) >= commands,
         "no more outcomes than commands");
  wake_drain();
  made_room();
}

// As with draining_: who waits says so, and then tries; what makes room changes a count, and then
// looks whether somebody waits. An attempt that fails makes no room.
void committer::made_room() noexcept {
  if (waiting_for_room_.load(std::memory_order_seq_cst) == 0)
    return;
  const std::lock_guard guard(room_mutex_);
  ++room_made_;
  room_.notify_all();
}

void committer::undo_admission() noexcept {
  ensure(in_flight_.fetch_sub(1, std::memory_order_seq_cst) >= 1, "it was admitted");
  wake_drain();
}

void committer::wake_drain() noexcept {
  if (draining_.load(std::memory_order_seq_cst) == 0)
    return;
  draining_.store(0, std::memory_order_seq_cst);
  draining_.notify_all();
}

result<void> committer::try_while_full(std::chrono::nanoseconds at_most,
                                       const std::function<result<void>()>& attempt) {
  constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365);
  const auto until = std::chrono::steady_clock::now() + std::min(at_most, longest);
  waiting_for_room_.fetch_add(1, std::memory_order_seq_cst);
  std::unique_lock lock(room_mutex_);
  for (bool in_time = true;;) {
    const auto seen = room_made_;
    lock.unlock();
    auto done = attempt();
    if (done || done.error().code() != errc::overloaded || !in_time) {
      waiting_for_room_.fetch_sub(1, std::memory_order_seq_cst);
      return done;
    }
    lock.lock();
    in_time = room_.wait_until(lock, until, [&] { return room_made_ != seen; });
  }
}

void committer::drain() noexcept {
  for (;;) {
    draining_.store(1, std::memory_order_seq_cst);
    if (is_idle())
      return;
    draining_.wait(1, std::memory_order_seq_cst);
  }
}

/// False if some may be left.
bool committer::take() {
  std::size_t bytes = 0;
  for (auto& shard : shards_)
    if (bytes < limits::max_commit_size)
      bytes += shard->take(limits::max_commit_size - bytes, records_, settlements_);
  return bytes < limits::max_commit_size;
}

void committer::commit() {
  auto last = core_.log->tail();
  const auto expected = log_position(last.value() + records_.size());
  const bool sampled = core_.options.latency_sample != 0;
  if (!has_failed()) {
    times_.taken = sampled ? monotonic_ns() : 0;
    auto appended = core_.log->append(records_, core_.options.clock->now_ns());
    times_.committed = sampled ? monotonic_ns() : 0;
    if (appended) {
      ensure(*appended == expected, "the log gives the positions it was asked for");
      commits_.fetch_add(records_.empty() ? 0 : 1, std::memory_order_relaxed);
      events_.fetch_add(records_.size(), std::memory_order_relaxed);
    } else {
      fail_with(appended.error());
    }
  }
  const auto answered = static_cast<std::int64_t>(settlements_.size());
  std::int64_t handed_on = 0;
  for (std::size_t i = 0; i < settlements_.size(); ++i) {
    // Others had the commands in hand last: they are asked for while those before are answered.
    if (i + commands_ahead < settlements_.size())
      prefetch(settlements_[i + commands_ahead]->command.get(), 1);
    handed_on += settle(*settlements_[i], last) ? 0 : 1;
    std::destroy_at(settlements_[i]);
  }
  settlements_.clear();
  ensure(has_failed() || last == expected, "the receipts' positions are those of the records");
  const bool stored = !records_.empty() && !has_failed();
  records_.clear();
  for (auto& shard : shards_)
    shard->release();
  if (stored) {
    const std::lock_guard guard(listeners_mutex_);
    for (auto& listener : listeners_)
      listener(last);
  }
  if (stored && core_.timers != nullptr)
    core_.timers->give(for_timers_, last);
  housekeeper_.give(for_housekeeper_);
  dismiss(answered - handed_on); // last, so that whoever drains finds all of the above done
}

/// Answers one command; `last` is the position of the record before this command's. False if
/// somebody else will, or if it was answered before.
bool committer::settle(settlement& one, log_position& last) {
  ensure(one.command != nullptr, "an answer is to a command");
  if (has_failed()) {
    finish(one, failure(errc::commit_failed, failed()->message()));
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
  if (one.how == settlement::kind::failed)
    finish(one, std::unexpected(std::move(*one.failure)));
  else if (one.how == settlement::kind::errand)
    run_errand(one, last);
  else
    finish(one, receipt{.version = one.version,
                        .position = one.position,
                        .events = one.events,
                        .repeat = one.repeat});
  return true;
}

/// Counts how a command ended, and tells the caller, unless he knows.
void committer::finish(settlement& one, outcome&& how) {
  if (auto* command = one.command->as_command()) {
    auto& telemetry = *core_.categories[one.category].telemetry;
    if (!how)
      telemetry.count_failure(how.error().code());
    else
      (how->repeat ? telemetry.repeats : telemetry.accepted).add();
    if (command->times().sent != 0 && !one.answered)
      record(telemetry, command->times(), times_);
  }
  if (!one.answered)
    answer(core_, one, std::move(how));
}

void committer::run_errand(settlement& one, log_position last) const {
  auto done = static_cast<log_errand&>(*one.command).run(*core_.log);
  if (done)
    one.command->settle(receipt{.version = {}, .position = last});
  else
    one.command->settle(failure(done));
}

void committer::fail_with(const error& why) {
  {
    const std::lock_guard guard(failure_mutex_);
    failure_.emplace(errc::commit_failed, why.message());
    has_failed_.store(true, std::memory_order_release);
  }
  core_.failures.commit_failed(why);
}

std::optional<error> committer::failed() const {
  const std::lock_guard guard(failure_mutex_);
  return failure_;
}

committer::listener_handle committer::add_listener(tail_listener listener) {
  const std::lock_guard guard(listeners_mutex_);
  return listeners_.insert(listeners_.end(), std::move(listener));
}

void committer::remove_listener(listener_handle which) {
  const std::lock_guard guard(listeners_mutex_);
  listeners_.erase(which);
}

} // namespace acta::runtime
