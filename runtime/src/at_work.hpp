#pragma once

#include <acta/base/error.hpp>

#include <utility>

namespace acta::runtime {

/// While one lives, its thread does an engine's work: it runs actors, commits, answers. Whoever is
/// called from there, like an outcome handler or an aggregate, must not wait for an engine, which
/// waits for him.
class at_work {
public:
  at_work() noexcept : before_(std::exchange(is_here_, true)) {}
  ~at_work() { is_here_ = before_; }
  at_work(const at_work&) = delete;
  at_work& operator=(const at_work&) = delete;

  [[nodiscard]] static bool is_here() noexcept { return is_here_; }

  /// errc::invalid_argument if this thread must not wait.
  [[nodiscard]] static result<void> check_may_wait() {
    if (!is_here_)
      return {};
    return failure(errc::invalid_argument,
                   "called from an outcome handler, an aggregate or an actor, it would wait for "
                   "the thread it is on; nothing was done: use tell() or co_await there, or call "
                   "it from a thread of your own");
  }

private:
  static inline thread_local bool is_here_ = false;
  bool before_;
};

} // namespace acta::runtime
