#include "output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace acta::tool {

std::string table(const rows& of) {
  std::size_t width = 0;
  for (const auto& [name, value] : of)
    width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, value] : of)
    text += fmt::format("{:<{}}  {}\n", name, width, value);
  return text;
}

result<void> print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0)
    return failure(errc::io, "standard output cannot be written");
  return {};
}

int fail(const error& why) {
  fmt::print(stderr, "acta: {}\n", why.message());
  return failed;
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array units{"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < units.size(); ++unit)
    size /= 1024;
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", size, units[unit]);
}

std::string printable(std::string_view name) {
  std::string text;
  for (const char one : name) {
    const auto code = static_cast<unsigned char>(one);
    if (code < ' ' || code == 0x7f)
      text += fmt::format("\\x{:02x}", code);
    else
      text += one;
  }
  return text;
}

std::function<void(log_position)> progress_to(log_position goal) {
  return [goal, line = std::make_shared<apps::progress_line>(true)](log_position at) {
    const auto all = std::max<std::uint64_t>(1, goal.value());
    line->update(static_cast<double>(at.value()) / static_cast<double>(all), at.value(), "events");
  };
}

} // namespace acta::tool
