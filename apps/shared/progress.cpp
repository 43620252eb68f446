#include "progress.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <unistd.h>

namespace acta::apps {

progress_line::progress_line(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void progress_line::update(double fraction, std::uint64_t done, std::string_view what,
                           std::string_view more) {
  constexpr auto interval = std::chrono::milliseconds(100);
  if (!is_due())
    return;
  const auto now = clock::now();
  next_ = now + interval;
  const std::chrono::duration<double> elapsed = now - started_;
  const auto rate = elapsed.count() > 0 ? static_cast<double>(done) / elapsed.count() : 0;
  const auto left = fraction > 0 ? elapsed.count() * (1 - fraction) / fraction : 0;
  fmt::print(stderr, "\r\x1b[K{:3.0f} %  {} {}  {:.0f}/s{}  ETA {:.0f} s", fraction * 100, done,
             what, rate, more, left);
  std::fflush(stderr);
  dirty_ = true;
}

void progress_line::clear() noexcept {
  if (dirty_)
    std::fputs("\r\x1b[K", stderr);
  dirty_ = false;
}

} // namespace acta::apps
