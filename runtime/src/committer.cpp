#include "committer.hpp"

#include "log_errand.hpp"
#include "shard.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace acta::runtime {

namespace {

/// After so many commands a worker that commits itself does so even if more wait: by then a commit
/// costs little beside them, and the first has waited some milliseconds.
constexpr std::size_t commands_of_a_commit = 4'096;

} // namespace

committer::committer(core& shared, housekeeper& helper, std::size_t shards)
    : core_(shared), answers_(shared, helper) {
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
  round_.number = rounds_begun_.fetch_add(1, std::memory_order_acq_rel) + 1;
  take();
  if (!round_.took_all) // or nobody might come for what may be left, and end a whole round
    round_wanted_.store(true, std::memory_order_seq_cst);
  const bool any = !round_.settlements.empty();
  if (any)
    commit();
  answers_.end(round_);
  return any || wanted;
}

bool committer::admit() noexcept {
  if (try_to_admit())
    return true;
  // Some places may be of commands that are not sent after all: see undo_admission().
  found_full_.store(true, std::memory_order_seq_cst);
  return try_to_admit();
}

bool committer::try_to_admit() noexcept {
  const auto limit = static_cast<std::int64_t>(core_.options.max_in_flight);
  auto now = in_flight_.load(std::memory_order_seq_cst);
  do // not counted and uncounted: others could take that for a full engine, and wait
    if (now >= limit)
      return false;
  while (!in_flight_.compare_exchange_weak(now, now + 1, std::memory_order_seq_cst));
  return true;
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
// looks whether somebody waits.
void committer::made_room() noexcept {
  if (waiting_for_room_.load(std::memory_order_seq_cst) == 0)
    return;
  const std::lock_guard guard(room_mutex_);
  ++room_made_;
  room_.notify_all();
}

void committer::undo_admission() noexcept {
  const auto before = in_flight_.fetch_sub(1, std::memory_order_seq_cst);
  ensure(before >= 1, "it was admitted");
  wake_drain();
  // If somebody found all places taken it may be for this one. Not else: those who wait for
  // something other than a place would wake each other, and themselves, with each vain attempt.
  if (found_full_.load(std::memory_order_seq_cst)
      && found_full_.exchange(false, std::memory_order_seq_cst))
    made_room();
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

void committer::take() {
  std::size_t bytes = 0;
  for (auto& shard : shards_) {
    own_ = round_.settlements.size();
    if (bytes < limits::max_commit_size)
      bytes += shard->take(limits::max_commit_size - bytes, round_.records, round_.settlements,
                           round_.used);
  }
  round_.took_all = bytes < limits::max_commit_size;
}

void committer::commit() {
  round_.before = core_.log->tail();
  round_.failure = failed();
  if (round_.failure)
    return;
  const bool sampled = core_.options.latency_sample != 0;
  round_.times.taken = sampled ? monotonic_ns() : 0;
  const auto appended = core_.log->append(round_.records, core_.options.clock->now_ns());
  round_.times.committed = sampled ? monotonic_ns() : 0;
  if (!appended) {
    fail_with(appended.error());
    round_.failure = failed();
    return;
  }
  ensure(appended->value() == round_.before.value() + round_.records.size(),
         "the log gives the positions it was asked for");
  commits_.fetch_add(round_.records.empty() ? 0 : 1, std::memory_order_relaxed);
  events_.fetch_add(round_.records.size(), std::memory_order_relaxed);
  run_errands();
}

/// Here, as nobody else may write the log. They come from stage() alone.
void committer::run_errands() {
  for (auto i = own_; i < round_.settlements.size(); ++i) {
    auto& one = *round_.settlements[i];
    if (one.how != settlement::kind::errand)
      continue;
    if (auto done = static_cast<log_errand&>(*one.command).run(*core_.log); done) {
      one.how = settlement::kind::known;
      one.position = core_.log->tail();
    } else {
      one.how = settlement::kind::failed;
      one.failure = std::make_unique<error>(std::move(done.error()));
    }
  }
}

void committer::fail_with(const error& why) {
  {
    const std::lock_guard guard(failure_mutex_);
    failure_.emplace(errc::commit_failed, why.message());
    has_failed_.store(true, std::memory_order_release);
  }
  core_.failures.commit_failed(why);
  made_room(); // for an answer: nothing else may come to wake those who wait
}

std::optional<error> committer::failed() const {
  const std::lock_guard guard(failure_mutex_);
  return failure_;
}

} // namespace acta::runtime
