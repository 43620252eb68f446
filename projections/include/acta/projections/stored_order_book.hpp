#pragma once

#include <acta/base/error.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/tables.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <vector>

namespace acta::projections {

/// An order that rests, as stored_order_book keeps it.
struct stored_order {
  std::int64_t price = 0; ///< 1e-9 of the currency
  std::int64_t quantity = 0;
  std::uint32_t instrument = 0;
  std::uint32_t side = 0; ///< domain::trading::side
};

/// What rests at a price, as stored_order_book keeps it.
struct stored_level {
  std::int64_t quantity = 0;
  std::uint64_t orders = 0;
};

/// What order_book has, in tables on disk: full depth with quantity and number of orders per level;
/// a read model for lmdb_view. The best levels are the first of their keys: a query reads those it
/// shows, however deep the book is. The orders' keys must be integers; another is an event that
/// cannot be handled, and so is a quantity of one level beyond 64 bits.
///
///     projections::lmdb_view<projections::stored_order_book> view;
///     auto top = view.read([](const auto& now) {
///       return projections::stored_order_book::top(now, 7);
///     });
class stored_order_book {
public:
  static constexpr std::string_view name = "order_book";
  static constexpr std::uint32_t version = 1;
  using events = order_book::events;

  static constexpr ordered_table<std::uint64_t, stored_order> orders{1}; ///< By id.
  /// By instrument, side and price.
  using level_key = std::tuple<std::uint32_t, domain::trading::side, std::int64_t>;
  static constexpr ordered_table<level_key, stored_level> levels{2};

  /// The instruments of which something rests, in ascending order.
  [[nodiscard]] static std::vector<std::uint32_t> instruments(const table_reader& now);
  /// At most `count` levels a side, best first.
  [[nodiscard]] static book_depth
  depth(const table_reader& now, std::uint32_t instrument,
        std::size_t count = std::numeric_limits<std::size_t>::max());
  [[nodiscard]] static book_top top(const table_reader& now, std::uint32_t instrument);
  /// The levels of a side with prices in [from, to), in ascending order of price.
  [[nodiscard]] static std::vector<price_level> between(const table_reader& now,
                                                        std::uint32_t instrument,
                                                        domain::trading::side of, std::int64_t from,
                                                        std::int64_t to);

  result<void> on(const domain::trading::order_submitted& event, const storage::record_view& record,
                  table_writer& tables);
  result<void> on(const domain::trading::order_modified& event, const storage::record_view& record,
                  table_writer& tables);
  result<void> on(const domain::trading::order_reduced& event, const storage::record_view& record,
                  table_writer& tables);
  result<void> on(const domain::trading::order_cancelled& event, const storage::record_view& record,
                  table_writer& tables);
  result<void> on(const domain::trading::order_executed& event, const storage::record_view& record,
                  table_writer& tables);
};

} // namespace acta::projections
