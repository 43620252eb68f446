#include <acta/projections/trading_bars.hpp>

#include "trading_keys.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace acta::projections {

namespace {

constexpr std::int64_t minute = 60'000'000'000;

/// Of the minute that a time lies in, also before 1970. The first one of all is cut short.
[[nodiscard]] std::int64_t beginning_of_minute(std::int64_t time_ns) noexcept {
  const auto into = (time_ns % minute + minute) % minute;
  return time_ns < std::numeric_limits<std::int64_t>::min() + into
           ? std::numeric_limits<std::int64_t>::min()
           : time_ns - into;
}

void add(trading_bar& to, std::uint64_t position, std::int64_t price, std::int64_t quantity) {
  if (__builtin_add_overflow(to.volume, quantity, &to.volume))
    throw std::overflow_error("the volume of a minute is beyond 64 bits");
  const bool is_new = to.trades == 0;
  if (is_new || position < to.first) {
    to.first = position;
    to.open = price;
  }
  if (is_new || position > to.last) {
    to.last = position;
    to.close = price;
  }
  to.high = is_new ? price : std::max(to.high, price);
  to.low = is_new ? price : std::min(to.low, price);
  ++to.trades;
}

struct sale {
  std::uint32_t instrument = 0;
  std::int64_t price = 0;
  std::int64_t quantity = 0;
};

void note(const sale& one, const storage::record_view& record, table_writer& tables) {
  const std::tuple at(one.instrument, beginning_of_minute(record.header().recorded_at_ns));
  auto bar = tables.get(trading_bars::bars, at).value_or(trading_bar{});
  add(bar, record.position().value(), one.price, one.quantity);
  tables.put(trading_bars::bars, at, bar);
}

} // namespace

std::vector<timed_bar> trading_bars::between(const table_reader& now, std::uint32_t instrument,
                                             std::int64_t from_ns, std::int64_t to_ns) {
  std::vector<timed_bar> found;
  now.each(
    bars.between({instrument, from_ns}, {instrument, to_ns}),
    [&](const auto& key, const trading_bar& bar) { found.push_back({std::get<1>(key), bar}); });
  return found;
}

std::vector<timed_bar> trading_bars::newest(const table_reader& now, std::uint32_t instrument,
                                            std::size_t count) {
  std::vector<timed_bar> found;
  if (count == 0)
    return found;
  now.each(
    bars.with(instrument),
    [&](const auto& key, const trading_bar& bar) {
      found.push_back({std::get<1>(key), bar});
      return found.size() < count;
    },
    storage::direction::backward);
  return found;
}

void trading_bars::on(const domain::trading::order_executed& event,
                      const storage::record_view& record, table_writer& tables) {
  note({event.instrument(), event.price(), event.quantity()}, record, tables);
}

void trading_bars::on(const domain::trading::trade_printed& event,
                      const storage::record_view& record, table_writer& tables) {
  note({instrument_of(record), event.price(), event.quantity()}, record, tables);
}

} // namespace acta::projections
