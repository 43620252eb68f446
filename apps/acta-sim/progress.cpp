#include "progress.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <unistd.h>

namespace acta::sim {

progress_line::progress_line(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void progress_line::update(double fraction, std::uint64_t commands, std::uint64_t lag) {
  constexpr auto interval = std::chrono::milliseconds(100);
  const auto now = clock::now();
  if (!shown_ || now < next_)
    return;
  next_ = now + interval;
  const std::chrono::duration<double> elapsed = now - started_;
  const auto rate = elapsed.count() > 0 ? static_cast<double>(commands) / elapsed.count() : 0;
  const auto left = fraction > 0 ? elapsed.count() * (1 - fraction) / fraction : 0;
  fmt::print(stderr, "\r\x1b[K{:3.0f} %  {} commands  {:.0f}/s  lag {} events  ETA {:.0f} s",
             fraction * 100, commands, rate, lag, left);
  std::fflush(stderr);
  dirty_ = true;
}

void progress_line::clear() noexcept {
  if (dirty_)
    std::fputs("\r\x1b[K", stderr);
  dirty_ = false;
}

} // namespace acta::sim
