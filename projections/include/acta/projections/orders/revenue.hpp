#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/orders/order.hpp>
#include <acta/projections/sqlite/database.hpp>
#include <acta/storage/record.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace acta::projections::orders {

/// What was ordered of a category on a day.
struct day_revenue {
  std::chrono::sys_days day; ///< In UTC.
  std::string category;      ///< May be empty, as an item's.
  std::int64_t quantity = 0;
  std::int64_t cents = 0;

  bool operator==(const day_revenue&) const = default;
};

/// Revenue a day and category: quantity times price of the items of all orders that were placed on
/// that day and are not cancelled. Without freight, which has no category. The day is that of the
/// order's record. A read model for sqlite_view.
class revenue {
public:
  static constexpr std::string_view name = "revenue";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<domain::orders::order_placed, domain::orders::order_shipped,
                                    domain::orders::order_cancelled>;

  /// By day, and then by category; both days are within.
  [[nodiscard]] static result<std::vector<day_revenue>>
  between(const sqlite::reader& now, std::chrono::sys_days first, std::chrono::sys_days last);

  [[nodiscard]] static result<void> create(sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_placed& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_shipped& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_cancelled& event,
                                       const storage::record_view& record, sqlite::database& to);
};

} // namespace acta::projections::orders
