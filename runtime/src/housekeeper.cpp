#include "housekeeper.hpp"

#include "committer.hpp"
#include "registry.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace acta::runtime {

namespace {

/// Finished aggregates worth a visit, and records the index may lag. Waking costs the committer
/// microseconds; until then the actors only wait, as long as the engine is idle at most.
constexpr std::size_t finished_per_visit = 256;
constexpr std::uint64_t worth_indexing = 65'536;

template <class T>
void move_all(std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
  from.clear();
}

} // namespace

housekeeper::housekeeper(core& shared, registry& actors)
    : core_(shared), registry_(actors), passivation_(shared, actors) {}

void housekeeper::end() noexcept {
  const std::lock_guard guard(mutex_);
  ended_ = true;
  indexed_.notify_all();
}

void housekeeper::give(work& from) {
  const auto lag = index_lag();
  const bool behind = lag > worth_indexing;
  if (lag > 2 * worth_indexing + core_.options.index.memory / 64)
    is_behind_.store(true, std::memory_order_relaxed);
  // Without threads a visit costs nothing, and many are what a test is after.
  const auto worth_a_visit = has_no_thread() ? 1 : finished_per_visit;
  const bool is_due = passivation_.is_due();
  if (from.repeats.empty() && from.finished.size() < worth_a_visit && !behind && !is_due)
    return;
  {
    const std::lock_guard guard(mutex_);
    move_all(from.repeats, todo_.repeats);
    move_all(from.finished, todo_.finished);
    index_wanted_ = true;
  }
  wake();
}

bool housekeeper::ready() const noexcept {
  if (passivation_.is_due())
    return true;
  const std::lock_guard guard(mutex_);
  return index_wanted_;
}

std::chrono::nanoseconds housekeeper::look_again_after() const noexcept {
  constexpr int looks = 8; // within the time after which they are idle
  constexpr std::chrono::milliseconds rest{1};
  if (passivation_.is_short_of_memory())
    return rest;
  const auto after = core_.options.passivate_after;
  return after.count() == 0 ? chore::look_again_after() : after / looks;
}

bool housekeeper::step() noexcept {
  // Before the work is taken: what was given in the rounds that this looks at is then among it.
  const bool may_drop = passivation_.may_drop();
  {
    const std::lock_guard guard(mutex_);
    if (!index_wanted_ && !passivation_.is_due())
      return false;
    index_wanted_ = false;
    std::swap(in_hand_, todo_);
  }
  do_work(in_hand_, may_drop);
  in_hand_.repeats.clear();
  in_hand_.finished.clear();
  return true;
}

result<void> housekeeper::index() {
  auto indexed = core_.index->catch_up();
  const std::lock_guard guard(mutex_);
  index_failure_ = indexed ? std::nullopt : std::optional(indexed.error());
  ensure(!ended_, "what ended indexes no more");
  if (indexed && is_behind_.exchange(false, std::memory_order_relaxed))
    core_.committer->made_room();
  indexed_.notify_all();
  return indexed;
}

std::uint64_t housekeeper::index_lag() const noexcept {
  // In this order, as both rise meanwhile, and the index is never ahead of the log.
  const auto indexed = core_.index->watermark();
  return core_.log->tail().value() - indexed.value();
}

/// And tries again, as nothing is committed that would.
result<void> housekeeper::refuse() {
  const std::lock_guard guard(mutex_);
  index_wanted_ = true;
  wake();
  return failure(
    errc::overloaded,
    fmt::format("the index of streams is {} events behind the log{}; try again later", index_lag(),
                index_failure_ ? ": " + index_failure_->message() : ", its disk is too slow"));
}

result<void> housekeeper::index_up_to(log_position position) {
  if (position > core_.log->tail())
    return failure(errc::invalid_argument,
                   fmt::format("the snapshot has {} positions, and the engine's log {}: it is of "
                               "another log",
                               position.value(), core_.log->tail().value()));
  std::unique_lock lock(mutex_);
  const auto reached = [&] { return core_.index->watermark() >= position; };
  while (!reached()) {
    if (ended_) // nobody else touches the index any more, but others who wait here
      return core_.index->catch_up();
    index_wanted_ = true;
    index_failure_.reset(); // of an earlier try
    if (has_no_thread()) {
      lock.unlock();
      ensure(step(), "it is wanted");
      lock.lock();
    } else {
      wake();
      indexed_.wait(lock, [&] { return reached() || index_failure_ || ended_; });
    }
    if (index_failure_ && !reached())
      return std::unexpected(*index_failure_);
  }
  return {};
}

/// `may_drop` was found before the work, and so the index, so that what it is about is in both.
void housekeeper::do_work(work& todo, bool may_drop) {
  auto indexed = index();
  for (auto& one : todo.repeats) {
    settlement end = [&] {
      if (indexed)
        return answer_repeat(std::move(one));
      one.how = settlement::kind::failed;
      one.failure = std::make_unique<error>(indexed.error());
      return std::move(one);
    }();
    core_.committer->stage(std::move(end));
  }
  if (!todo.repeats.empty())
    core_.committer->wake();
  // Last, as the repeats' actors may be among them. Where the log cannot be read they stay in
  // memory: loading them again would fail too.
  if (!indexed)
    return;
  registry_.drop_idle(todo.finished);
  if (may_drop)
    passivation_.drop();
  passivation_.choose();
}

settlement housekeeper::answer_repeat(settlement&& repeat) const {
  const auto stream = repeat.from->stream().get();
  auto found = [&]() -> result<log_position> {
    auto snapshot = core_.log->snapshot();
    if (!snapshot)
      return failure(snapshot);
    ensure(repeat.version.value() != 0, "a command is remembered for its events");
    return core_.index->position(stream, repeat.version, **snapshot);
  }();
  settlement end = std::move(repeat);
  if (found) {
    end.how = settlement::kind::known;
    end.position = *found;
  } else {
    end.how = settlement::kind::failed;
    end.failure = std::make_unique<error>(std::move(found.error()));
  }
  return end;
}

} // namespace acta::runtime
