#pragma once

#include "bell.hpp"

#include <acta/base/ensure.hpp>

#include <chrono>

namespace acta::runtime {

/// One of an engine's standing works: committing, keeping house, saving snapshots. It is done in
/// rounds, and does not know by whom: a thread of its own, the worker, or a test.
///
/// Concurrency: one thread does it, and calls everything but wake(), which any may call.
class chore {
public:
  chore() = default;
  chore(const chore&) = delete;
  chore& operator=(const chore&) = delete;

  /// Does one round; false if there was nothing to do.
  virtual bool step() noexcept = 0;
  /// True if step() would find something. Reads with seq_cst, or under a mutex: see bell.
  [[nodiscard]] virtual bool ready() const noexcept = 0;
  /// True if so much is to be done that nothing else should come before it.
  [[nodiscard]] virtual bool urgent() const noexcept { return false; }

  /// Whoever does it looks after so long, though nobody woke him.
  [[nodiscard]] virtual std::chrono::nanoseconds look_again_after() const noexcept {
    return std::chrono::nanoseconds::max();
  }

  /// Who does it waits there. Before anything is to be done.
  void is_done_by(bell& whose) noexcept { bell_ = &whose; }
  /// Makes whoever does it look, after there is something to do.
  void wake() noexcept {
    ensure(bell_ != nullptr, "somebody does the work");
    bell_->ring();
  }

protected:
  ~chore() = default;

private:
  bell* bell_ = nullptr;
};

} // namespace acta::runtime
