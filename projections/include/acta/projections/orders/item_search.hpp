#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/orders/order.hpp>
#include <acta/projections/sqlite/database.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace acta::projections::orders {

/// An item of an order. Price in cents, of one.
struct found_item {
  std::string order; ///< See order_number().
  std::string product;
  std::string category;
  std::int64_t quantity = 0;
  std::int64_t price = 0;

  bool operator==(const found_item&) const = default;
};

/// Full-text search over the items of all orders, by product and category (SQLite's FTS5): a read
/// model for sqlite_view.
class item_search {
public:
  static constexpr std::string_view name = "item_search";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<domain::orders::order_placed>;

  /// The most that a search finds.
  static constexpr std::size_t most = 50;

  /// Items that have all of these words, in product or category, newest first. Words are letters
  /// and digits, whatever their case and accents are; all else separates them. One with a star
  /// behind it stands for all that begin with it. Without a word nothing is found.
  [[nodiscard]] static result<std::vector<found_item>>
  find(const sqlite::reader& now, std::string_view words, std::size_t at_most = most);

  [[nodiscard]] static result<void> create(sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_placed& event,
                                       const storage::record_view& record, sqlite::database& to);
};

} // namespace acta::projections::orders
