// Durations counted in buckets.
#include <acta/runtime/latency_histogram.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace acta::tests {

namespace {

/// Against sorted values, within the promised 0.8 %.
TEST(latency_histogram, has_the_percentiles_of_what_was_recorded) {
  std::mt19937_64 random(7);
  runtime::latency_histogram histogram;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    const auto value = random() >> (20 + random() % 44);
    all.push_back(value);
    histogram.record(static_cast<std::int64_t>(value));
  }
  std::ranges::sort(all);
  for (const double percent : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::max(1.0, percent / 100 * 100'000));
    const auto exact = static_cast<double>(all[rank - 1]);
    const auto found = static_cast<double>(histogram.percentile_ns(percent));
    EXPECT_GE(found, exact) << percent;
    EXPECT_LE(found, exact * 1.008 + 1) << percent;
  }
  EXPECT_EQ(histogram.max_ns(), all.back());
  EXPECT_EQ(histogram.count(), 100'000U);
}

TEST(latency_histogram, takes_every_duration) {
  runtime::latency_histogram histogram;
  EXPECT_EQ(histogram.percentile_ns(50), 0U);
  histogram.record(-5);
  histogram.record(INT64_MAX);
  EXPECT_EQ(histogram.percentile_ns(100), static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_EQ(histogram.percentile_ns(1), 0U);
}

TEST(latency_histogram, is_read_while_it_is_recorded) {
  constexpr std::uint64_t durations = 20'000;
  runtime::shared_latency_histogram shared;
  std::thread recording([&] {
    for (std::uint64_t i = 1; i <= durations; ++i)
      shared.record(static_cast<std::int64_t>(i));
  });
  std::uint64_t seen = 0;
  while (seen != durations) {
    const auto now = shared.read().count();
    ASSERT_GE(now, seen);
    seen = now;
  }
  recording.join();
  EXPECT_EQ(shared.read().max_ns(), durations);
}

} // namespace

} // namespace acta::tests
