#include "background_sync.hpp"

#include <acta/base/ensure.hpp>

#include <pthread.h>

#include <utility>

namespace acta::storage {

namespace {

constexpr int nothing = 0;
constexpr int something = 1;
constexpr int stop = 2;

} // namespace

result<std::unique_ptr<background_sync>>
background_sync::start(const lmdb_environment& of, std::chrono::milliseconds every,
                       std::function<void(MDB_txn*)> synced,
                       std::function<void(const error&)> failed) {
  auto point = synced_point::start(of);
  if (!point)
    return failure(point);
  ensure(every.count() > 0, "the interval of a background sync was checked");
  synced(point->reader());
  return std::unique_ptr<background_sync>(
    new background_sync(std::move(*point), every, std::move(synced), std::move(failed)));
}

background_sync::background_sync(synced_point from, std::chrono::milliseconds every,
                                 std::function<void(MDB_txn*)> synced,
                                 std::function<void(const error&)> failed)
    : point_(std::move(from)), every_(every), synced_(std::move(synced)),
      on_failure_(std::move(failed)), thread_([this] { run(); }) {}

background_sync::~background_sync() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.store(stop, std::memory_order_seq_cst);
  changed_.notify_one();
  stop_asked_.notify_one();
  thread_.join();
  if (has_failed_.load(std::memory_order_relaxed))
    return;
  // Where it fails, the file stays, and opening the store goes by it.
  [[maybe_unused]] const auto finished = point_.finish();
}

// The thread clears `changed_` before it syncs, so a commit after that sets it again, and one
// before it is part of what is synced.
void background_sync::changed() noexcept {
  if (changed_.load(std::memory_order_relaxed) != nothing)
    return;
  int expected = nothing;
  if (changed_.compare_exchange_strong(expected, something, std::memory_order_seq_cst))
    changed_.notify_one();
}

std::optional<error> background_sync::failed() const {
  if (!has_failed_.load(std::memory_order_acquire))
    return std::nullopt;
  const std::lock_guard guard(mutex_);
  return failure_;
}

/// False when it is to stop.
bool background_sync::wait_for_change() noexcept {
  changed_.wait(nothing, std::memory_order_seq_cst);
  std::unique_lock lock(mutex_);
  return !stop_asked_.wait_for(lock, every_, [this] { return stopping_; });
}

void background_sync::run() noexcept {
  ::pthread_setname_np(::pthread_self(), "acta.sync");
  while (wait_for_change()) {
    int expected = something;
    const bool was = changed_.compare_exchange_strong(expected, nothing, std::memory_order_seq_cst);
    ensure(was || expected == stop, "only this thread clears what others set");
    auto synced = point_.sync();
    if (!synced) {
      {
        const std::lock_guard guard(mutex_);
        failure_ = synced.error();
        has_failed_.store(true, std::memory_order_release);
      }
      on_failure_(synced.error());
      return;
    }
    synced_(point_.reader());
  }
}

} // namespace acta::storage
