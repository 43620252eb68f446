#pragma once

#include <chrono>
#include <cstdint>

namespace acta::sim {

/// One line on standard error that says how far a run is, if that is a terminal. Single-threaded.
class progress_line {
public:
  explicit progress_line(bool wanted);
  ~progress_line() { clear(); }
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;

  /// `fraction` is how much of the run is done, 0 to 1; `lag` how many events the slowest
  /// projection is behind. Prints at most ten times a second.
  void update(double fraction, std::uint64_t commands, std::uint64_t lag);
  /// Wipes the line.
  void clear() noexcept;

private:
  using clock = std::chrono::steady_clock;

  bool shown_;
  bool dirty_ = false;
  clock::time_point started_ = clock::now();
  clock::time_point next_ = started_;
};

} // namespace acta::sim
