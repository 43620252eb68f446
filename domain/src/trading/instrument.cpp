#include <acta/domain/trading/limit_order.hpp>

#include <fmt/format.h>

namespace acta::domain::trading {

decision instrument::decide(const state&, const print_trade& command, emitter<instrument>& events) {
  if (command.quantity <= 0 || command.quantity > max_quantity)
    return reject(refusal::invalid_quantity, fmt::format("invalid_quantity: {} is not from 1 to {}",
                                                         command.quantity, max_quantity));
  events.emit<trade_printed>([&](flatbuffers::FlatBufferBuilder& builder) {
    return Createtrade_printed(builder, command.price, command.quantity);
  });
  return accept();
}

void instrument::evolve(state& now, const trade_printed& event) noexcept {
  now.printed_volume += event.quantity();
}

} // namespace acta::domain::trading
