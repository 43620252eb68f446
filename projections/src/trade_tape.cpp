#include <acta/projections/trade_tape.hpp>

#include <acta/storage/record.hpp>

namespace acta::projections {

namespace {

void add_to(trade_totals& sum, const trade_totals& more) noexcept {
  sum.count += more.count;
  sum.volume += more.volume;
  sum.notional += more.notional;
  sum.displayed_count += more.displayed_count;
  sum.displayed_volume += more.displayed_volume;
}

} // namespace

trade_totals trade_tape::totals() const {
  const std::lock_guard guard(mutex());
  trade_totals sum;
  for (const auto& [instrument, totals] : totals_)
    add_to(sum, totals);
  return sum;
}

trade_totals trade_tape::totals(std::uint32_t instrument) const {
  const std::lock_guard guard(mutex());
  const auto found = totals_.find(instrument);
  return found == totals_.end() ? trade_totals{} : found->second;
}

std::vector<trade> trade_tape::newest() const {
  const std::lock_guard guard(mutex());
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
       .instrument = static_cast<std::uint32_t>(record.stream().integer()),
       .displayed = false});
}

void trade_tape::add(const trade& one) {
  add_to(totals_[one.instrument],
         {.count = 1,
          .volume = one.quantity,
          .notional = notional_type{one.price} * one.quantity,
          .displayed_count = one.displayed ? 1U : 0U,
          .displayed_volume = one.displayed ? one.quantity : 0});
  newest_.push_back(one);
  if (newest_.size() > kept_)
    newest_.pop_front();
}

} // namespace acta::projections
