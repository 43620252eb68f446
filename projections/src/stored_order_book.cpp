#include <acta/projections/stored_order_book.hpp>

#include "trading_keys.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

namespace acta::projections {

using domain::trading::side;

namespace {

using book = stored_order_book;

/// Backward, as the best bid is the highest.
constexpr auto way_of(side which) noexcept {
  return which == side::buy ? storage::direction::backward : storage::direction::forward;
}

[[nodiscard]] price_level shown(std::int64_t price, const stored_level& level) {
  return {price, level.quantity, static_cast<std::uint32_t>(level.orders)};
}

[[nodiscard]] std::vector<price_level> best(const table_reader& now, std::uint32_t instrument,
                                            side which, std::size_t count) {
  std::vector<price_level> found;
  if (count == 0)
    return found;
  now.each(
    book::levels.with(instrument, which),
    [&](const auto& key, const stored_level& level) {
      found.push_back(shown(std::get<2>(key), level));
      return found.size() < count;
    },
    way_of(which));
  return found;
}

[[nodiscard]] std::optional<price_level> best(const table_reader& now, std::uint32_t instrument,
                                              side which) {
  const auto found = best(now, instrument, which, 1);
  return found.empty() ? std::nullopt : std::optional(found.front());
}

/// Adds `quantity` and `orders`, both of which may be negative, to a level.
[[nodiscard]] result<void> change(table_writer& tables, const stored_order& order,
                                  std::int64_t quantity, int orders) {
  const book::level_key at(order.instrument, static_cast<side>(order.side), order.price);
  auto level = tables.get(book::levels, at).value_or(stored_level{});
  if (__builtin_add_overflow(level.quantity, quantity, &level.quantity))
    throw std::overflow_error("the quantity of a level is beyond 64 bits");
  if (level.quantity < 0 || (orders < 0 && level.orders == 0))
    return failure(errc::corrupt, "a level at price " + std::to_string(order.price)
                                    + " does not hold what its orders hold: the view is damaged; "
                                      "reset() its projector");
  level.orders += static_cast<std::uint64_t>(std::int64_t{orders});
  if (level.orders == 0)
    tables.erase(book::levels, at);
  else
    tables.put(book::levels, at, level);
  return {};
}

/// Takes an order out, or some of it. Events of orders that are not in the book, which a log that
/// began elsewhere may have, change nothing.
[[nodiscard]] result<void> take(table_writer& tables, std::uint64_t id, std::int64_t quantity) {
  auto order = tables.get(book::orders, id);
  if (!order)
    return {};
  const bool gone = quantity >= order->quantity;
  auto changed = change(tables, *order, -std::min(quantity, order->quantity), gone ? -1 : 0);
  order->quantity -= quantity;
  if (gone)
    tables.erase(book::orders, id);
  else
    tables.put(book::orders, id, *order);
  return changed;
}

} // namespace

std::vector<std::uint32_t> stored_order_book::instruments(const table_reader& now) {
  std::vector<std::uint32_t> all;
  auto from = levels.all();
  while (
    now.first(from, [&](const auto& key, const stored_level&) { all.push_back(std::get<0>(key)); }))
    from.from = levels.with(all.back()).to; // behind all of it
  return all;
}

book_depth stored_order_book::depth(const table_reader& now, std::uint32_t instrument,
                                    std::size_t count) {
  return {best(now, instrument, side::buy, count), best(now, instrument, side::sell, count)};
}

book_top stored_order_book::top(const table_reader& now, std::uint32_t instrument) {
  return {best(now, instrument, side::buy), best(now, instrument, side::sell)};
}

std::vector<price_level> stored_order_book::between(const table_reader& now,
                                                    std::uint32_t instrument, side of,
                                                    std::int64_t from, std::int64_t to) {
  std::vector<price_level> found;
  now.each(levels.between({instrument, of, from}, {instrument, of, to}),
           [&](const auto& key, const stored_level& one) {
             found.push_back(shown(std::get<2>(key), one));
           });
  return found;
}

result<void> stored_order_book::on(const domain::trading::order_submitted& event,
                                   const storage::record_view& record, table_writer& tables) {
  const auto id = order_of(record);
  if (auto taken = take(tables, id, std::numeric_limits<std::int64_t>::max()); !taken)
    return taken;
  const stored_order order{.price = event.price(),
                           .quantity = event.quantity(),
                           .instrument = event.instrument(),
                           .side = static_cast<std::uint32_t>(event.side())};
  tables.put(orders, id, order);
  return change(tables, order, order.quantity, 1);
}

result<void> stored_order_book::on(const domain::trading::order_modified& event,
                                   const storage::record_view& record, table_writer& tables) {
  const auto id = order_of(record);
  auto order = tables.get(orders, id);
  if (!order)
    return {};
  if (order->price == event.price()) {
    if (auto changed = change(tables, *order, event.quantity() - order->quantity, 0); !changed)
      return changed;
    order->quantity = event.quantity();
    tables.put(orders, id, *order);
    return {};
  }
  if (auto left = change(tables, *order, -order->quantity, -1); !left)
    return left;
  order->price = event.price();
  order->quantity = event.quantity();
  tables.put(orders, id, *order);
  return change(tables, *order, order->quantity, 1);
}

result<void> stored_order_book::on(const domain::trading::order_reduced& event,
                                   const storage::record_view& record, table_writer& tables) {
  return take(tables, order_of(record), event.quantity());
}

result<void> stored_order_book::on(const domain::trading::order_cancelled& event,
                                   const storage::record_view& record, table_writer& tables) {
  return take(tables, order_of(record), event.quantity());
}

result<void> stored_order_book::on(const domain::trading::order_executed& event,
                                   const storage::record_view& record, table_writer& tables) {
  return take(tables, order_of(record), event.quantity());
}

} // namespace acta::projections
