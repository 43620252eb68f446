#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/orders/order.hpp>
#include <acta/projections/sqlite/database.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace acta::projections::orders {

/// An order as a list shows it. Amounts in cents.
struct listed_order {
  std::string number; ///< See order_number().
  std::string customer;
  domain::orders::order_status status{};
  std::int64_t items = 0; ///< Lines of it.
  std::int64_t total = 0;
  std::int64_t paid = 0;
  std::int64_t placed_ns = 0;     ///< Since 1970-01-01T00:00:00Z, as the other.
  std::int64_t changed_ns = 0;    ///< Its newest event.
  log_position placed_position{}; ///< Of order_placed: orders are listed by it.

  bool operator==(const listed_order&) const = default;
};

/// Newest first.
struct order_page {
  static constexpr std::size_t size = 50;

  std::vector<listed_order> orders;
  /// What the next page is asked for with; empty: this is the last.
  std::optional<log_position> next;
};

/// A customer's orders, and the orders in a status: a read model for sqlite_view. Pages begin where
/// the one before ended, so that orders that are placed meanwhile move none.
///
///     projections::sqlite_view<projections::orders::order_list> view;
///     auto page = view.read([](const sqlite::reader& now) {
///       return order_list::of_customer(now, "ada");
///     });
class order_list {
public:
  static constexpr std::string_view name = "order_list";
  static constexpr std::uint32_t version = 1;
  using events = domain::orders::order::events;

  [[nodiscard]] static result<order_page> of_customer(const sqlite::reader& now,
                                                      std::string_view customer,
                                                      std::optional<log_position> from = {});
  [[nodiscard]] static result<order_page> in_status(const sqlite::reader& now,
                                                    domain::orders::order_status status,
                                                    std::optional<log_position> from = {});

  [[nodiscard]] static result<void> create(sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_placed& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::payment_received& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_paid& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_shipped& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_delivered& event,
                                       const storage::record_view& record, sqlite::database& to);
  [[nodiscard]] static result<void> on(const domain::orders::order_cancelled& event,
                                       const storage::record_view& record, sqlite::database& to);
};

} // namespace acta::projections::orders
