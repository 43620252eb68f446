#pragma once

#include "source.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace acta::sim {

/// Makes order flow from a seed: orders are submitted, changed, reduced, executed and cancelled,
/// about 3.5 commands each, with at most max_live of them resting at a time; now and then a trade
/// is printed, and two commands in a thousand must be refused. The same settings give the same
/// steps on every machine. What is answered has no influence.
class generator final : public source {
public:
  /// Orders that rest at most, all instruments together, and that are left at the end.
  static constexpr std::size_t max_live = 8'192;
  static constexpr std::size_t left_at_end = 1'024;

  /// `instruments` must be at least 1.
  generator(std::uint64_t orders, std::uint64_t seed, std::uint32_t instruments);

  [[nodiscard]] bool next(step& next) override;
  [[nodiscard]] double progress() const override;
  [[nodiscard]] std::uint64_t fingerprint() const override { return fingerprint_; }

private:
  struct live_order {
    std::uint64_t id = 0;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::uint32_t instrument = 0;
    trading::side side = trading::side::none;
  };

  [[nodiscard]] std::uint64_t random() noexcept;
  /// Uniform in [0, below).
  [[nodiscard]] std::uint64_t random(std::uint64_t below) noexcept;
  [[nodiscard]] std::int64_t random_price(std::uint32_t instrument, trading::side side) noexcept;
  void submit(step& next);
  void change(step& next);
  void take(std::size_t index, std::int64_t quantity);
  void print(step& next);
  void misbehave(step& next);

  std::uint64_t orders_;
  std::uint32_t instruments_;
  std::uint64_t fingerprint_;
  std::uint64_t state_;
  std::uint64_t submitted_ = 0;
  std::uint64_t record_ = 0;
  std::vector<live_order> live_;
};

} // namespace acta::sim
