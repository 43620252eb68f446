#pragma once

#include <acta/runtime/receipt.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace acta::runtime::detail {

/// The outcome of one command for a caller who waits for it. Lies on the caller's stack: nothing is
/// allocated.
///
/// Concurrency: the one who waits, and the one who brings the outcome. That writes answer_, and
/// then state_ (release); who waits reads them the other way round (acquire), and may destroy this
/// as soon as it has seen state_.
class pending_outcome {
public:
  pending_outcome() = default;
  pending_outcome(const pending_outcome&) = delete;
  pending_outcome& operator=(const pending_outcome&) = delete;

  /// To be called once. This must be there until then.
  [[nodiscard]] outcome_handler handler() {
    return [this](outcome&& how) { arrive(std::move(how)); };
  }

  [[nodiscard]] bool has_arrived() const noexcept {
    return state_.load(std::memory_order_acquire) == arrived;
  }
  /// Sleeps until it has.
  void park() noexcept;
  /// Once it has.
  [[nodiscard]] outcome take();

private:
  static constexpr std::uint32_t under_way = 0;
  static constexpr std::uint32_t parked = 1; ///< Under way, and to be woken for.
  static constexpr std::uint32_t arrived = 2;

  void arrive(outcome&& how) noexcept;

  std::optional<outcome> answer_;
  std::atomic<std::uint32_t> state_{under_way};
};

} // namespace acta::runtime::detail
