#include <acta/domain/orders/refusal.hpp>

namespace acta::domain::orders {

std::string_view name(refusal code) noexcept {
  switch (code) {
    case refusal::order_not_found: return "order_not_found";
    case refusal::order_already_exists: return "order_already_exists";
    case refusal::empty_order: return "empty_order";
    case refusal::too_many_items: return "too_many_items";
    case refusal::order_already_paid: return "order_already_paid";
    case refusal::invalid_status_for_shipping: return "invalid_status_for_shipping";
    case refusal::cannot_cancel_shipped_order: return "cannot_cancel_shipped_order";
    case refusal::already_cancelled: return "already_cancelled";
    case refusal::invalid_customer: return "invalid_customer";
    case refusal::invalid_item: return "invalid_item";
    case refusal::invalid_freight: return "invalid_freight";
    case refusal::invalid_payment: return "invalid_payment";
    case refusal::over_payment: return "over_payment";
    case refusal::invalid_status_for_delivery: return "invalid_status_for_delivery";
    case refusal::invalid_reason: return "invalid_reason";
    case refusal::refund_not_found: return "refund_not_found";
    case refusal::refund_already_requested: return "refund_already_requested";
    case refusal::refund_already_confirmed: return "refund_already_confirmed";
    case refusal::invalid_refund: return "invalid_refund";
    case refusal::invalid_reference: return "invalid_reference";
    case refusal::invalid_time_limit: return "invalid_time_limit";
  }
  return "unknown_refusal";
}

} // namespace acta::domain::orders
