#include <acta/projections/stored_trade_tape.hpp>

#include "trading_keys.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace acta::projections {

namespace {

using tape = stored_trade_tape;

[[nodiscard]] timed_trade shown(std::uint64_t position, const stored_trade& one) {
  return {.at_ns = one.at_ns,
          .what = {.position = log_position(position),
                   .price = one.price,
                   .quantity = one.quantity,
                   .instrument = one.instrument,
                   .displayed = one.is_displayed != 0}};
}

[[nodiscard]] std::uint64_t position_in(std::uint64_t key) noexcept {
  return key;
}
[[nodiscard]] std::uint64_t position_in(const tape::time_key& key) noexcept {
  return std::get<2>(key);
}

template <class Range>
[[nodiscard]] std::vector<timed_trade> newest_of(const table_reader& now, const Range& range,
                                                 std::size_t count) {
  std::vector<timed_trade> found;
  if (count == 0)
    return found;
  now.each(
    range,
    [&](const auto& key, const stored_trade& one) {
      found.push_back(shown(position_in(key), one));
      return found.size() < count;
    },
    storage::direction::backward);
  std::ranges::reverse(found);
  return found;
}

void add_to(trade_sum& sum, const trade_sum& more) noexcept {
  sum.count += more.count;
  sum.volume += more.volume;
  sum.notional += more.notional;
}

void note(const stored_trade& one, const storage::record_view& record, table_writer& tables) {
  const auto position = record.position().value();
  tables.put(tape::trades, position, one);
  tables.put(tape::by_time, {one.instrument, one.at_ns, position}, one);
  auto sums = tables.get(tape::sums, one.instrument).value_or(trade_totals{});
  if (one.quantity > std::numeric_limits<std::int64_t>::max() - sums.all.volume)
    throw std::overflow_error("the volume of an instrument is beyond 64 bits");
  const trade_sum this_one{1, one.quantity, notional_type{one.price} * one.quantity};
  add_to(sums.all, this_one);
  if (one.is_displayed != 0)
    add_to(sums.displayed, this_one);
  tables.put(tape::sums, one.instrument, sums);
}

} // namespace

trade_totals stored_trade_tape::totals(const table_reader& now) {
  trade_totals sum;
  now.each(sums.all(), [&](std::uint32_t, const trade_totals& one) {
    add_to(sum.all, one.all);
    add_to(sum.displayed, one.displayed);
  });
  return sum;
}

trade_totals stored_trade_tape::totals(const table_reader& now, std::uint32_t instrument) {
  return now.get(sums, instrument).value_or(trade_totals{});
}

std::vector<timed_trade> stored_trade_tape::newest(const table_reader& now, std::size_t count) {
  return newest_of(now, trades.all(), count);
}

std::vector<timed_trade> stored_trade_tape::newest(const table_reader& now,
                                                   std::uint32_t instrument, std::size_t count) {
  return newest_of(now, by_time.with(instrument), count);
}

std::vector<timed_trade> stored_trade_tape::between(const table_reader& now,
                                                    std::uint32_t instrument, std::int64_t from_ns,
                                                    std::int64_t to_ns) {
  std::vector<timed_trade> found;
  now.each(by_time.between({instrument, from_ns, 0}, {instrument, to_ns, 0}),
           [&](const auto& key, const stored_trade& one) {
             found.push_back(shown(position_in(key), one));
           });
  return found;
}

void stored_trade_tape::on(const domain::trading::order_executed& event,
                           const storage::record_view& record, table_writer& tables) {
  note({.price = event.price(),
        .quantity = event.quantity(),
        .at_ns = record.header().recorded_at_ns,
        .instrument = event.instrument(),
        .is_displayed = 1},
       record, tables);
}

void stored_trade_tape::on(const domain::trading::trade_printed& event,
                           const storage::record_view& record, table_writer& tables) {
  note({.price = event.price(),
        .quantity = event.quantity(),
        .at_ns = record.header().recorded_at_ns,
        .instrument = instrument_of(record),
        .is_displayed = 0},
       record, tables);
}

} // namespace acta::projections
