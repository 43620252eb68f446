#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/orders/order.hpp>
#include <acta/domain/orders/orders_generated.h>
#include <acta/domain/orders/refusal.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace acta::domain::orders {

struct request_refund {
  std::int64_t amount = 0; ///< 1 to max_total.
  std::string reason;
};

/// The money has gone back.
struct confirm_refund {
  std::string reference; ///< Of the transfer.
};

/// What was paid of a cancelled order goes back, once. The stream key is the order's, in a category
/// of its own: a process manager that hears of order_cancelled requests it, and whoever moves the
/// money confirms it. Both may be repeated and are then refused: there is one refund to an order.
struct refund {
  static constexpr std::string_view category = "refund";

  enum class status : std::uint8_t { none, requested, confirmed };
  struct state {
    std::int64_t amount = 0;
    refund::status status = status::none;

    bool operator==(const state&) const = default;
  };

  using command = std::variant<request_refund, confirm_refund>;
  using events = event_list<refund_requested, refund_confirmed>;
  using out = emitter<refund>;

  [[nodiscard]] static decision decide(const state& now, const request_refund& command,
                                       out& events);
  [[nodiscard]] static decision decide(const state& now, const confirm_refund& command,
                                       out& events);

  static void evolve(state& now, const refund_requested& event) noexcept;
  static void evolve(state& now, const refund_confirmed& event) noexcept;

  [[nodiscard]] static bool closed(const state& now) noexcept {
    return now.status == status::confirmed;
  }
};

} // namespace acta::domain::orders
