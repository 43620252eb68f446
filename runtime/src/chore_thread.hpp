#pragma once

#include "bell.hpp"
#include "chore.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace acta::runtime {

/// A thread that does one chore: round after round while there is something to do, and sleeps.
class chore_thread {
public:
  /// `name` as in name_this_thread(). After each round it rests for `pause`.
  chore_thread(chore& todo, const char* name, std::chrono::milliseconds pause = {});
  ~chore_thread();
  chore_thread(const chore_thread&) = delete;
  chore_thread& operator=(const chore_thread&) = delete;

  /// Ends it, after what there was to do before. Safe to call twice.
  void stop() noexcept;

private:
  void run() noexcept;
  void rest() noexcept;

  chore& todo_;
  const char* name_;
  std::chrono::milliseconds pause_;
  bell bell_;
  std::atomic<bool> stopping_{false};
  std::mutex rest_mutex_; ///< So that stop() does not slip in before a rest.
  std::condition_variable no_more_rest_;
  std::thread thread_;
};

} // namespace acta::runtime
