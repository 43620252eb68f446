#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace acta::runtime {

/// Counts durations in buckets that are at most 0.8 % wide, from 0 ns to 292 years, in 59 KiB: the
/// layout of HdrHistogram (Gil Tene) with 128 buckets to each power of two. Not thread-safe.
class latency_histogram {
public:
  void record(std::int64_t nanoseconds) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, nanoseconds));
    ++buckets_[bucket_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_; }

  /// The smallest recorded duration that `percent` of all do not exceed, rounded up to its bucket's
  /// end; 0 if nothing was recorded.
  [[nodiscard]] std::uint64_t percentile_ns(double percent) const noexcept {
    const auto wanted = percent / 100 * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen != 0 && static_cast<double>(seen) >= wanted)
        return std::min(last_of(i), max_);
    }
    return max_;
  }

private:
  friend class shared_latency_histogram;
  static constexpr unsigned exact_bits = 7; ///< Values below 2^(7+1) have a bucket each.
  static constexpr std::size_t buckets_per_power = std::size_t{1} << exact_bits;
  static constexpr std::size_t bucket_count = (64 - exact_bits + 1) * buckets_per_power;

  [[nodiscard]] static std::size_t bucket_of(std::uint64_t value) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const auto shift = width <= exact_bits + 1 ? 0U : width - exact_bits - 1;
    return shift * buckets_per_power + static_cast<std::size_t>(value >> shift);
  }
  /// The largest value of a bucket.
  [[nodiscard]] static std::uint64_t last_of(std::size_t bucket) noexcept {
    const auto shift = bucket < 2 * buckets_per_power ? 0 : bucket / buckets_per_power - 1;
    const auto first = std::uint64_t{bucket - shift * buckets_per_power} << shift;
    return first + (std::uint64_t{1} << shift) - 1;
  }

  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

/// The same, recorded by one thread while others read: none waits. What is read is what was
/// recorded before, and perhaps some of what is being recorded.
class shared_latency_histogram {
public:
  /// By one thread at a time, which the caller sees to.
  void record(std::int64_t nanoseconds) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, nanoseconds));
    auto& bucket = buckets_[latency_histogram::bucket_of(value)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (value > max_.load(std::memory_order_relaxed))
      max_.store(value, std::memory_order_relaxed);
  }
  [[nodiscard]] latency_histogram read() const noexcept {
    latency_histogram now;
    for (std::size_t i = 0; i < buckets_.size(); ++i)
      now.count_ += now.buckets_[i] = buckets_[i].load(std::memory_order_relaxed);
    now.max_ = max_.load(std::memory_order_relaxed);
    return now;
  }

private:
  std::array<std::atomic<std::uint64_t>, latency_histogram::bucket_count> buckets_{};
  std::atomic<std::uint64_t> max_{0};
};

} // namespace acta::runtime
