#pragma once

#include <cstdint>
#include <string_view>

namespace acta::domain::orders {

/// Why a command to an order, or to its refund, is refused. Pinned.
enum class refusal : std::uint16_t {
  order_not_found = 1, ///< Never placed.
  order_already_exists = 2,
  empty_order = 3,
  too_many_items = 4,
  order_already_paid = 5,
  invalid_status_for_shipping = 6, ///< Neither placed nor paid: shipped before, or cancelled.
  cannot_cancel_shipped_order = 7,
  already_cancelled = 8,
  invalid_customer = 9, ///< None, or longer than max_text.
  invalid_item = 10,    ///< Quantity, price or text out of bounds; the reason tells which item.
  invalid_freight = 11,
  invalid_payment = 12,             ///< Not positive, or its method longer than max_text.
  over_payment = 13,                ///< More than is due.
  invalid_status_for_delivery = 14, ///< Not shipped, or delivered before.
  invalid_reason = 15,              ///< None, or longer than max_text.
  refund_not_found = 16,            ///< Never requested.
  refund_already_requested = 17,
  refund_already_confirmed = 18,
  invalid_refund = 19,     ///< Not positive, or more than an order can cost.
  invalid_reference = 20,  ///< None, or longer than max_text.
  invalid_time_limit = 21, ///< Negative, or longer than max_pay_within.
};
[[nodiscard]] std::string_view name(refusal code) noexcept;

} // namespace acta::domain::orders
