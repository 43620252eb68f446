#include <acta/projections/orders/customer_dashboard.hpp>

#include <acta/projections/orders/order_number.hpp>

namespace acta::projections::orders {

std::optional<customer_summary> customer_dashboard::of(std::string_view customer) const {
  const auto found = customers_.find(customer);
  return found == customers_.end() ? std::nullopt : std::optional(found->second);
}

void customer_dashboard::on(const domain::orders::order_placed& event,
                            const storage::record_view& record) {
  auto number = order_number(record);
  auto& customer = customers_[event.customer()->str()];
  ++customer.orders;
  customer.newest_order = number;
  customer.newest_ns = record.header().recorded_at_ns;
  orders_.insert_or_assign(std::move(number), open_order{.customer = event.customer()->str()});
}

// An order that is not here was placed before the view began.
void customer_dashboard::on(const domain::orders::payment_received& event,
                            const storage::record_view& record) {
  const auto order = orders_.find(order_number(record));
  if (order == orders_.end())
    return;
  customers_[order->second.customer].spend += event.amount();
  if (order->second.delivered && event.due() == 0)
    orders_.erase(order);
}

void customer_dashboard::on(const domain::orders::order_delivered& event,
                            const storage::record_view& record) {
  const auto order = orders_.find(order_number(record));
  if (order == orders_.end())
    return;
  order->second.delivered = true;
  if (event.due() == 0)
    orders_.erase(order);
}

void customer_dashboard::on(const domain::orders::order_cancelled& event,
                            const storage::record_view& record) {
  const auto order = orders_.find(order_number(record));
  if (order == orders_.end())
    return;
  auto& customer = customers_[order->second.customer];
  ++customer.cancelled;
  customer.spend -= event.paid();
  orders_.erase(order);
}

} // namespace acta::projections::orders
