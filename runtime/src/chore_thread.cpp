#include "chore_thread.hpp"

#include "at_work.hpp"
#include "thread_name.hpp"

namespace acta::runtime {

chore_thread::chore_thread(chore& todo, const char* name, std::chrono::milliseconds pause)
    : todo_(todo), name_(name), pause_(pause) {
  todo_.is_done_by(bell_);
  thread_ = std::thread([this] { run(); });
}

chore_thread::~chore_thread() {
  stop();
}

void chore_thread::stop() noexcept {
  if (!thread_.joinable())
    return;
  {
    const std::lock_guard guard(rest_mutex_);
    stopping_.store(true, std::memory_order_seq_cst);
  }
  no_more_rest_.notify_one();
  bell_.ring();
  thread_.join();
}

void chore_thread::run() noexcept {
  name_this_thread(name_);
  const at_work here;
  for (;;) {
    // Before the round: what there was to do before stop() is seen by a round after this.
    const bool last = stopping_.load(std::memory_order_seq_cst);
    if (todo_.step())
      rest();
    else if (last)
      return;
    else
      bell_.park_for(todo_.look_again_after(),
                     [this] { return todo_.ready() || stopping_.load(std::memory_order_seq_cst); });
  }
}

void chore_thread::rest() noexcept {
  if (pause_ == std::chrono::milliseconds{})
    return;
  std::unique_lock lock(rest_mutex_);
  no_more_rest_.wait_for(lock, pause_,
                         [this] { return stopping_.load(std::memory_order_relaxed); });
}

} // namespace acta::runtime
