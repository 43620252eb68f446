#include <acta/base/date.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace acta::tests {
namespace {

TEST(date, is_text_to_the_nanosecond) {
  EXPECT_EQ(date_text(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(date_text(1'795'265'553'000'000'001), "2026-11-21T12:52:33.000000001Z");
  EXPECT_EQ(date_text(-1), "1969-12-31T23:59:59.999999999Z");
}

TEST(date, comes_back_exactly) {
  constexpr std::int64_t second = 1'000'000'000;
  for (const std::int64_t ns :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, second, -second, second - 1, 1 - second,
        -second - 1, std::int64_t{951'827'696} * second, std::int64_t{1'795'265'553} * second + 7,
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()})
    EXPECT_EQ(parse_date(date_text(ns)), ns) << date_text(ns);
}

TEST(date, is_no_other_text) {
  for (const auto* text :
       {"", "2026-11-21", "2026-11-21T12:52:33Z", "2026-11-21T12:52:33.000000001",
        "2026-11-21 12:52:33.000000001Z", "2026-02-29T00:00:00.000000000Z",
        "2026-13-01T00:00:00.000000000Z", "2026-11-21T24:00:00.000000000Z",
        "2026-11-21T12:60:33.000000001Z", "2026-11-21T12:52:60.000000001Z",
        "2026-11-21T12:52:33.00000000xZ", "9999-01-01T00:00:00.000000000Z",
        "0000-01-01T00:00:00.000000000Z", "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z", "2026-11-21T12:52:33.000000001Z "})
    EXPECT_FALSE(parse_date(text)) << text;
}

} // namespace
} // namespace acta::tests
