#pragma once

#include "mailbox.hpp"

#include <acta/base/ensure.hpp>
#include <acta/runtime/engine_options.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace acta::runtime {

/// Lets so many aggregates load at a time: the others are paused, and go on in the order they came.
///
/// Concurrency: any worker. A permit is held while a worker loads, and by nobody who waits, so it
/// always comes back.
class recovery_limit {
public:
  explicit recovery_limit(std::size_t at_most) noexcept : left_(at_most) {
    ensure(at_most != 0, "somebody may load");
  }
  /// Null where each worker may load at any time.
  [[nodiscard]] static std::unique_ptr<recovery_limit> make(const engine_options& options) {
    if (options.workers <= options.max_recoveries)
      return nullptr;
    return std::make_unique<recovery_limit>(options.max_recoveries);
  }

  /// True if the actor has a permit, one it was given or one that was left. False: it is to pause,
  /// and goes on with mailbox::proceed() once it has one.
  [[nodiscard]] bool enter(mailbox& actor) {
    const std::lock_guard guard(mutex_);
    if (std::erase(granted_, &actor) != 0)
      return true;
    if (left_ == 0) {
      waiting_.push_back(&actor);
      return false;
    }
    --left_;
    return true;
  }

  /// True if enter() will let it in, as it waited.
  [[nodiscard]] bool has_granted(const mailbox& actor) {
    const std::lock_guard guard(mutex_);
    return std::ranges::find(granted_, &actor) != granted_.end();
  }

  /// Gives the permit to who waits longest.
  void leave() {
    mailbox* next = nullptr;
    {
      const std::lock_guard guard(mutex_);
      if (waiting_.empty()) {
        ++left_;
        return;
      }
      next = waiting_.front();
      waiting_.pop_front();
      granted_.push_back(next);
    }
    next->proceed(); // it has something to handle, so it is there
  }

private:
  std::mutex mutex_;
  std::size_t left_;
  std::deque<mailbox*> waiting_;
  std::vector<mailbox*> granted_; ///< A permit, and not at work again.
};

/// That an actor may handle its next message, which may load the aggregate. Gives the permit back,
/// however that ends.
class loading_permit {
public:
  /// Nothing needs to be loaded.
  loading_permit() = default;
  loading_permit(recovery_limit& of, mailbox& actor)
      : of_(of.enter(actor) ? &of : nullptr), granted_(of_ != nullptr) {}
  loading_permit(const loading_permit&) = delete;
  loading_permit& operator=(const loading_permit&) = delete;
  ~loading_permit() {
    if (of_ != nullptr)
      of_->leave();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return granted_; }

private:
  recovery_limit* of_ = nullptr;
  bool granted_ = true;
};

} // namespace acta::runtime
