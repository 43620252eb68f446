#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/trading/limit_order.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace acta::projections {

/// All that rests at one price. Prices in 1e-9 of the currency.
struct price_level {
  std::int64_t price = 0;
  std::int64_t quantity = 0;
  std::uint32_t orders = 0;

  bool operator==(const price_level&) const = default;
};

/// Both sides of a book, best price first.
struct book_depth {
  std::vector<price_level> bids;
  std::vector<price_level> asks;

  bool operator==(const book_depth&) const = default;
};

/// The best of both sides; empty where nothing rests.
struct book_top {
  std::optional<price_level> bid;
  std::optional<price_level> ask;
};

/// The order book of every instrument, from the events of domain::trading::limit_order: full depth
/// with quantity and number of orders per level; a read model for memory_view. The orders' keys
/// must be integers; another is an event that cannot be handled.
///
///     projections::memory_view<projections::order_book> view;
///     auto top = view.read([](const auto& book) { return book.top(7); });
class order_book {
public:
  static constexpr std::string_view name = "order_book";
  static constexpr std::uint32_t version = 1;
  using events =
    domain::event_list<domain::trading::order_submitted, domain::trading::order_modified,
                       domain::trading::order_reduced, domain::trading::order_cancelled,
                       domain::trading::order_executed>;

  order_book();
  order_book(const order_book& other);
  order_book& operator=(const order_book& other);
  ~order_book();

  /// The instruments seen so far, in ascending order.
  [[nodiscard]] std::vector<std::uint32_t> instruments() const;
  /// At most `levels` levels a side; empty for an instrument never seen.
  [[nodiscard]] book_depth
  depth(std::uint32_t instrument,
        std::size_t levels = std::numeric_limits<std::size_t>::max()) const;
  [[nodiscard]] book_top top(std::uint32_t instrument) const;
  /// The ids of the orders that rest, in ascending order.
  [[nodiscard]] std::vector<std::uint64_t> resting_orders(std::uint32_t instrument) const;
  /// How many orders rest, all instruments together.
  [[nodiscard]] std::size_t resting_count() const;

  void on(const domain::trading::order_submitted& event, const storage::record_view& record);
  void on(const domain::trading::order_modified& event, const storage::record_view& record);
  void on(const domain::trading::order_reduced& event, const storage::record_view& record);
  void on(const domain::trading::order_cancelled& event, const storage::record_view& record);
  void on(const domain::trading::order_executed& event, const storage::record_view& record);

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::projections
