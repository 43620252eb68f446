#include <acta/base/date.hpp>

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <limits>

namespace acta::inline base {

namespace {

using namespace std::chrono;

constexpr std::string_view form = "dddd-dd-ddTdd:dd:dd.dddddddddZ"; // d: a digit
constexpr std::int64_t second_ns = 1'000'000'000;

[[nodiscard]] bool has_form(std::string_view text) noexcept {
  if (text.size() != form.size())
    return false;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] == 'd' ? !digit : text[i] != form[i])
      return false;
  }
  return true;
}

[[nodiscard]] unsigned number_at(std::string_view text, std::size_t at, std::size_t size) noexcept {
  unsigned number = 0;
  std::from_chars(text.data() + at, text.data() + at + size, number);
  return number;
}

} // namespace

std::string date_text(std::int64_t ns_since_1970) {
  const sys_time<nanoseconds> moment{nanoseconds(ns_since_1970)};
  const auto whole = floor<seconds>(moment); // before 1970 too
  const auto day = floor<days>(whole);
  const year_month_day date(day);
  const hh_mm_ss time(whole - day);
  // What is left of the second, without going below the smallest moment.
  const auto rest = (ns_since_1970 % second_ns + second_ns) % second_ns;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", int{date.year()},
                     unsigned{date.month()}, unsigned{date.day()}, time.hours().count(),
                     time.minutes().count(), time.seconds().count(), rest);
}

std::optional<std::int64_t> parse_date(std::string_view text) noexcept {
  if (!has_form(text))
    return std::nullopt;
  const year_month_day date(year(static_cast<int>(number_at(text, 0, 4))),
                            month(number_at(text, 5, 2)), day(number_at(text, 8, 2)));
  const auto hour = number_at(text, 11, 2);
  const auto minute = number_at(text, 14, 2);
  const auto second = number_at(text, 17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59)
    return std::nullopt;
  const std::int64_t days_s = sys_days(date).time_since_epoch().count() * std::int64_t{86'400};
  const auto whole_s = days_s + std::int64_t{hour} * 3600 + std::int64_t{minute} * 60 + second;
  const std::int64_t rest = number_at(text, 20, 9);
  std::int64_t ns = 0;
  // A negative second is counted up from the one after it, so that the smallest moment fits.
  const bool before = whole_s < 0;
  if (__builtin_mul_overflow(before ? whole_s + 1 : whole_s, second_ns, &ns)
      || __builtin_add_overflow(ns, before ? rest - second_ns : rest, &ns))
    return std::nullopt;
  return ns;
}

} // namespace acta::inline base
