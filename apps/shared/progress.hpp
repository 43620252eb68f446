#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace acta::apps {

/// One line on standard error that says how far a run is, if that is a terminal. Single-threaded.
class progress_line {
public:
  explicit progress_line(bool wanted);
  ~progress_line() { clear(); }
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;

  /// True if update() would show something: ten times a second on a terminal.
  [[nodiscard]] bool is_due() const noexcept { return shown_ && clock::now() >= next_; }
  /// `fraction` is how much of the run is done, 0 to 1; `done` how many of `what`.
  void update(double fraction, std::uint64_t done, std::string_view what,
              std::string_view more = {});
  /// Wipes the line.
  void clear() noexcept;

private:
  using clock = std::chrono::steady_clock;

  bool shown_;
  bool dirty_ = false;
  clock::time_point started_ = clock::now();
  clock::time_point next_ = started_;
};

} // namespace acta::apps
