#pragma once

#include <acta/runtime/receipt.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace acta::runtime::detail {

/// That an outcome has arrived, for a caller who waits for it.
///
/// Concurrency: the one who waits, and the one who brings the outcome. That writes it, and then
/// state_ (release); who waits reads them the other way round (acquire), and may destroy this as
/// soon as it has seen state_.
class arrival {
public:
  arrival() = default;
  arrival(const arrival&) = delete;
  arrival& operator=(const arrival&) = delete;

  [[nodiscard]] bool has_arrived() const noexcept {
    return state_.load(std::memory_order_acquire) == arrived;
  }
  /// Sleeps until it has, so long at most.
  void park(std::chrono::nanoseconds at_most) noexcept;

protected:
  ~arrival() = default;
  void arrive() noexcept;

private:
  static constexpr std::uint32_t under_way = 0;
  static constexpr std::uint32_t parked = 1; ///< Under way, and to be woken for.
  static constexpr std::uint32_t arrived = 2;

  std::atomic<std::uint32_t> state_{under_way};
};

/// The outcome of one command for a caller who waits for it.
template <class Outcome>
class pending_outcome final : public arrival {
public:
  /// By who has it. Once.
  void give(Outcome&& how) noexcept {
    answer_.emplace(std::move(how));
    arrive();
  }
  /// Once it has arrived.
  [[nodiscard]] Outcome take() { return std::move(*answer_); }

private:
  std::optional<Outcome> answer_;
};

} // namespace acta::runtime::detail
