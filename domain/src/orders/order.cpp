#include <acta/domain/orders/order.hpp>

#include "refuse.hpp"

namespace acta::domain::orders {

namespace {

using state = order::state;
using out = order::out;

[[nodiscard]] decision refuse_unknown() {
  return refuse(refusal::order_not_found, "it was never placed");
}

[[nodiscard]] decision check_item(const item& one, std::size_t index) {
  if (one.quantity <= 0 || one.quantity > max_quantity)
    return refuse(refusal::invalid_item, "item {} has quantity {}, which must be 1 to {}",
                  index + 1, one.quantity, max_quantity);
  if (one.price <= 0 || one.price > max_price)
    return refuse(refusal::invalid_item, "item {} costs {} cents, which must be 1 to {}", index + 1,
                  one.price, max_price);
  if (one.product.empty() || one.product.size() > max_text || one.category.size() > max_text)
    return refuse(refusal::invalid_item,
                  "item {} has a product of {} bytes, which must be 1 to "
                  "{}, and a category of {}, which must be no more",
                  index + 1, one.product.size(), max_text, one.category.size());
  return accept();
}

[[nodiscard]] decision check_place(const place& command) {
  if (auto sound = check_text(command.customer, refusal::invalid_customer, "a customer"); !sound)
    return sound;
  if (command.items.empty())
    return refuse(refusal::empty_order, "it has no items");
  if (command.items.size() > max_items)
    return refuse(refusal::too_many_items, "{} items, {} at most", command.items.size(), max_items);
  for (std::size_t i = 0; i < command.items.size(); ++i)
    if (auto sound = check_item(command.items[i], i); !sound)
      return sound;
  if (command.freight < 0 || command.freight > max_price)
    return refuse(refusal::invalid_freight, "{} cents are not from 0 to {}", command.freight,
                  max_price);
  if (command.pay_within.count() < 0 || command.pay_within > max_pay_within)
    return refuse(refusal::invalid_time_limit, "{} ns to pay are not from 0 (no limit) to {}",
                  command.pay_within.count(), max_pay_within.count());
  return accept();
}

[[nodiscard]] std::int64_t total_of(const place& command) noexcept {
  std::int64_t total = command.freight;
  for (const auto& one : command.items)
    total += one.quantity * one.price;
  return total;
}

[[nodiscard]] decision check_payable(const state& now) {
  if (now.status == order_status::none)
    return refuse_unknown();
  if (now.status == order_status::cancelled)
    return refuse(refusal::already_cancelled, "a cancelled order is not paid");
  if (now.due() <= 0)
    return refuse(refusal::order_already_paid, "all of its {} cents", now.total);
  return accept();
}

} // namespace

decision order::decide(const state& now, const place& command, out& events) {
  if (now.status != order_status::none)
    return refuse(refusal::order_already_exists, "it is {}", EnumNameorder_status(now.status));
  if (auto sound = check_place(command); !sound)
    return sound;
  const auto limit = command.pay_within.count();
  const auto pay_until = limit == 0 ? 0 : events.now_ns() + limit;
  events.emit<order_placed>([&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<order_item>> items;
    items.reserve(command.items.size());
    for (const auto& one : command.items) {
      const auto product = builder.CreateString(one.product);
      const auto category = builder.CreateSharedString(one.category);
      items.push_back(Createorder_item(builder, product, category, one.quantity, one.price));
    }
    const auto all_items = builder.CreateVector(items);
    const auto customer = builder.CreateString(command.customer);
    return Createorder_placed(builder, customer, all_items, command.freight, total_of(command),
                              pay_until);
  });
  if (limit != 0)
    events.set_timer(timer::payment, pay_until);
  return accept();
}

decision order::decide(const state& now, const pay& command, out& events) {
  if (auto payable = check_payable(now); !payable)
    return payable;
  if (command.amount <= 0 || command.method.size() > max_text)
    return refuse(refusal::invalid_payment,
                  "{} cents, which must be positive, by a method of {} bytes, {} at most",
                  command.amount, command.method.size(), max_text);
  if (command.amount > now.due())
    return refuse(refusal::over_payment, "{} cents are due, and {} were paid", now.due(),
                  command.amount);
  const auto due = now.due() - command.amount;
  events.emit<payment_received>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto method = builder.CreateString(command.method);
    return Createpayment_received(builder, command.amount, due, method);
  });
  if (due == 0) {
    events.emit<order_paid>([&](flatbuffers::FlatBufferBuilder& builder) {
      return Createorder_paid(builder, now.total);
    });
    events.cancel_timer(timer::payment);
  }
  return accept();
}

decision order::decide(const state& now, const ship&, out& events) {
  if (now.status == order_status::none)
    return refuse_unknown();
  if (now.status != order_status::placed && now.status != order_status::paid)
    return refuse(refusal::invalid_status_for_shipping, "it is {}",
                  EnumNameorder_status(now.status));
  events.emit<order_shipped>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_shipped(builder, now.due());
  });
  events.cancel_timer(timer::payment); // unpaid, it is by invoice from now on
  return accept();
}

decision order::decide(const state& now, const deliver&, out& events) {
  if (now.status == order_status::none)
    return refuse_unknown();
  if (now.status != order_status::shipped)
    return refuse(refusal::invalid_status_for_delivery, "it is {}",
                  EnumNameorder_status(now.status));
  events.emit<order_delivered>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_delivered(builder, now.due());
  });
  return accept();
}

decision order::decide(const state& now, const cancel& command, out& events) {
  switch (now.status) {
    case order_status::none: return refuse_unknown();
    case order_status::cancelled: return refuse(refusal::already_cancelled, "it was cancelled");
    case order_status::shipped:
    case order_status::delivered:
      return refuse(refusal::cannot_cancel_shipped_order, "it is {}",
                    EnumNameorder_status(now.status));
    case order_status::placed:
    case order_status::paid: break;
  }
  if (auto sound = check_text(command.reason, refusal::invalid_reason, "a reason"); !sound)
    return sound;
  events.emit<order_cancelled>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto reason = builder.CreateString(command.reason);
    return Createorder_cancelled(builder, reason, now.paid);
  });
  events.cancel_timer(timer::payment);
  return accept();
}

// It is pending only while the order is placed, and neither paid nor shipped.
decision order::on_timer(const state& now, timer_id, out& events) {
  return decide(now, cancel{std::string(not_paid_in_time)}, events);
}

void order::evolve(state& now, const order_placed& event) noexcept {
  now = {.total = event.total(), .paid = 0, .status = order_status::placed};
}

void order::evolve(state& now, const payment_received& event) noexcept {
  now.paid += event.amount();
}

void order::evolve(state& now, const order_paid&) noexcept {
  if (now.status == order_status::placed)
    now.status = order_status::paid;
}

void order::evolve(state& now, const order_shipped&) noexcept {
  now.status = order_status::shipped;
}

void order::evolve(state& now, const order_delivered&) noexcept {
  now.status = order_status::delivered;
}

void order::evolve(state& now, const order_cancelled&) noexcept {
  now.status = order_status::cancelled;
}

bool order::closed(const state& now) noexcept {
  return now.status == order_status::cancelled
         || (now.status == order_status::delivered && now.due() == 0);
}

flatbuffers::Offset<order_state> order::save(const state& now,
                                             flatbuffers::FlatBufferBuilder& builder) {
  return Createorder_state(builder, now.total, now.paid, now.status);
}

order::state order::load(const order_state& saved) noexcept {
  return {.total = saved.total(), .paid = saved.paid(), .status = saved.status()};
}

} // namespace acta::domain::orders
