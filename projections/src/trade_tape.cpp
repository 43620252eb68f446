#include <acta/projections/trade_tape.hpp>

#include "trading_keys.hpp"

namespace acta::projections {

namespace {

void add_to(trade_sum& sum, const trade_sum& more) noexcept {
  sum.count += more.count;
  sum.volume += more.volume;
  sum.notional += more.notional;
}

} // namespace

trade_totals trade_tape::totals() const {
  trade_totals sum;
  for (const auto& [instrument, totals] : totals_) {
    add_to(sum.all, totals.all);
    add_to(sum.displayed, totals.displayed);
  }
  return sum;
}

trade_totals trade_tape::totals(std::uint32_t instrument) const {
  const auto found = totals_.find(instrument);
  return found == totals_.end() ? trade_totals{} : found->second;
}

std::vector<trade> trade_tape::newest() const {
  return {newest_.begin(), newest_.end()};
}

void trade_tape::on(const domain::trading::order_executed& event,
                    const storage::record_view& record) {
  add({.position = record.position(),
       .price = event.price(),
       .quantity = event.quantity(),
       .instrument = event.instrument(),
       .displayed = true});
}

void trade_tape::on(const domain::trading::trade_printed& event,
                    const storage::record_view& record) {
  add({.position = record.position(),
       .price = event.price(),
       .quantity = event.quantity(),
       .instrument = instrument_of(record),
       .displayed = false});
}

void trade_tape::add(const trade& one) {
  const trade_sum this_one{1, one.quantity, notional_type{one.price} * one.quantity};
  auto& totals = totals_[one.instrument];
  add_to(totals.all, this_one);
  if (one.displayed)
    add_to(totals.displayed, this_one);
  newest_.push_back(one);
  if (newest_.size() > kept_)
    newest_.pop_front();
}

} // namespace acta::projections
