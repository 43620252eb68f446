#pragma once

#include <acta/domain/orders/order.hpp>
#include <acta/domain/orders/orders_generated.h>
#include <acta/domain/orders/refund.hpp>
#include <acta/domain/process_manager.hpp>

#include <cstdint>
#include <string_view>

namespace acta::domain::orders {

/// Asks for what was paid of a cancelled order to go back, and waits until it has. One instance to
/// an order, with its key.
struct refunds {
  static constexpr std::string_view name = "refunds";

  struct state {
    std::int64_t asked = 0; ///< In cents.
    bool operator==(const state&) const = default;
  };
  using events = event_list<order_cancelled, refund_confirmed>;
  using targets = aggregate_list<refund>;
  using origin = event_origin;
  using out = commands<refunds>;

  [[nodiscard]] static domain::route route(const order_cancelled& event, const origin& from) {
    return event.paid() > 0 ? start(from.key) : ignore();
  }
  [[nodiscard]] static domain::route route(const refund_confirmed&, const origin& from) {
    return stop(from.key);
  }

  static void handle(const state&, const order_cancelled& event, const origin& from, out& to) {
    to.send<refund>(from.key,
                    request_refund{.amount = event.paid(), .reason = event.reason()->str()});
  }
  static void handle(const state&, const refund_confirmed&, const origin&, out&) {}

  static void evolve(state& now, const order_cancelled& event, const origin&) noexcept {
    now.asked += event.paid();
  }
  static void evolve(state&, const refund_confirmed&, const origin&) noexcept {}

  /// A refund that somebody asked for already is as good.
  [[nodiscard]] static on_failure<refunds> failed(const state&,
                                                  const failed_command<refunds>& what) {
    const auto code = what.why.rejection();
    if (code == static_cast<std::uint16_t>(refusal::refund_already_requested)
        || code == static_cast<std::uint16_t>(refusal::refund_already_confirmed))
      return on_failure<refunds>::skip();
    return on_failure<refunds>::stop();
  }
};

} // namespace acta::domain::orders
