#include <acta/domain/trading/limit_order.hpp>

#include <fmt/format.h>

#include <utility>

namespace acta::domain::trading {

namespace {

using state = limit_order::state;
using out = limit_order::out;

[[nodiscard]] decision refuse_quantity(std::int64_t quantity) {
  return reject(refusal::invalid_quantity,
                fmt::format("invalid_quantity: {} is not from 1 to {}", quantity, max_quantity));
}

/// Accepts if the order rests.
[[nodiscard]] decision check_open(const state& now) {
  switch (now.status) {
    case limit_order::status::unknown:
      return reject(refusal::unknown_order, "unknown_order: it was never submitted");
    case limit_order::status::closed:
      return reject(refusal::order_closed, "order_closed: nothing of it rests any more");
    case limit_order::status::open: break;
  }
  return accept();
}

[[nodiscard]] decision check_new(side at, std::int64_t quantity) {
  if (quantity <= 0 || quantity > max_quantity)
    return refuse_quantity(quantity);
  if (at != side::buy && at != side::sell)
    return reject(refusal::invalid_quantity,
                  "invalid_quantity: an order without a side rests nothing");
  return accept();
}

/// `command` is a submit or a replace.
template <class Command>
void emit_submitted(const Command& command, out& events) {
  events.emit<order_submitted>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_submitted(builder, command.price, command.quantity, command.instrument,
                                 command.side);
  });
}

void emit_modified(std::int64_t price, std::int64_t quantity, out& events) {
  events.emit<order_modified>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_modified(builder, price, quantity);
  });
}

void emit_cancelled(const state& now, cancel_reason reason, out& events) {
  events.emit<order_cancelled>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_cancelled(builder, now.quantity, reason);
  });
}

void take(state& now, std::int64_t quantity) noexcept {
  now.quantity -= quantity;
  if (now.quantity <= 0) {
    now.quantity = 0;
    now.status = limit_order::status::closed;
  }
}

} // namespace

std::string_view name(refusal code) noexcept {
  switch (code) {
    case refusal::unknown_order: return "unknown_order";
    case refusal::order_exists: return "order_exists";
    case refusal::over_execution: return "over_execution";
    case refusal::invalid_quantity: return "invalid_quantity";
    case refusal::order_closed: return "order_closed";
  }
  return "unknown_refusal";
}

decision limit_order::decide(const state& now, const submit& command, out& events) {
  if (now.status != status::unknown)
    return reject(refusal::order_exists, "order_exists: an order of this id was submitted before");
  if (auto sound = check_new(command.side, command.quantity); !sound)
    return sound;
  emit_submitted(command, events);
  return accept();
}

decision limit_order::decide(const state& now, const modify& command, out& events) {
  if (auto open = check_open(now); !open)
    return open;
  const auto price = command.price.value_or(now.price);
  const auto quantity = command.quantity.value_or(now.quantity);
  if (quantity <= 0 || quantity > max_quantity)
    return refuse_quantity(quantity);
  if (price != now.price || quantity != now.quantity)
    emit_modified(price, quantity, events);
  return accept();
}

decision limit_order::decide(const state& now, const replace& command, out& events) {
  if (auto sound = check_new(command.side, command.quantity); !sound)
    return sound;
  if (now.status != status::open) {
    emit_submitted(command, events);
  } else if (now.side != command.side || now.instrument != command.instrument) {
    emit_cancelled(now, cancel_reason::replaced, events);
    emit_submitted(command, events);
  } else if (now.price != command.price || now.quantity != command.quantity) {
    emit_modified(command.price, command.quantity, events);
  }
  return accept();
}

decision limit_order::decide(const state& now, const reduce& command, out& events) {
  if (auto open = check_open(now); !open)
    return open;
  if (command.quantity <= 0 || command.quantity > max_quantity)
    return refuse_quantity(command.quantity);
  if (command.quantity > now.quantity)
    return reject(refusal::invalid_quantity,
                  fmt::format("invalid_quantity: a reduction by {}, and {} rest", command.quantity,
                              now.quantity));
  events.emit<order_reduced>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_reduced(builder, command.quantity);
  });
  return accept();
}

decision limit_order::decide(const state& now, const cancel& command, out& events) {
  if (auto open = check_open(now); !open)
    return open;
  emit_cancelled(now, command.reason, events);
  return accept();
}

decision limit_order::decide(const state& now, const execute& command, out& events) {
  if (auto open = check_open(now); !open)
    return open;
  if (command.quantity <= 0 || command.quantity > max_quantity)
    return refuse_quantity(command.quantity);
  if (command.quantity > now.quantity)
    return reject(refusal::over_execution, fmt::format("over_execution: {} executed, and {} rest",
                                                       command.quantity, now.quantity));
  events.emit<order_executed>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_executed(builder, command.price.value_or(now.price), command.quantity,
                                now.instrument);
  });
  return accept();
}

void limit_order::evolve(state& now, const order_submitted& event) noexcept {
  now = {.price = event.price(),
         .quantity = event.quantity(),
         .instrument = event.instrument(),
         .side = event.side(),
         .status = status::open};
}

void limit_order::evolve(state& now, const order_modified& event) noexcept {
  now.price = event.price();
  now.quantity = event.quantity();
}

void limit_order::evolve(state& now, const order_reduced& event) noexcept {
  take(now, event.quantity());
}

void limit_order::evolve(state& now, const order_cancelled&) noexcept {
  take(now, now.quantity);
}

void limit_order::evolve(state& now, const order_executed& event) noexcept {
  take(now, event.quantity());
}

} // namespace acta::domain::trading
