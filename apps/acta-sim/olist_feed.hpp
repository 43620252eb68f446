#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/orders/order.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace acta::sim {

namespace orders = domain::orders;

/// A command of the history of an order.
struct shop_step {
  std::uint64_t record = 0; ///< Its number in the feed, from 1: in order of time.
  std::int64_t at_ns = 0;   ///< Its time in the feed, as if in UTC: since 1970-01-01T00:00:00Z.
  std::size_t order = 0;    ///< Its index in shop_feed::orders.
  orders::order::command what;
};

/// Sums of money, in cents.
struct shop_totals {
  std::int64_t items = 0;
  std::int64_t freight = 0;
  std::int64_t payments = 0;

  bool operator==(const shop_totals&) const = default;
};

/// A shop's recorded orders, read whole.
struct shop_feed {
  std::vector<std::string> orders; ///< What the shop calls them, which is their streams' keys.
  std::vector<shop_step> steps;
  shop_totals totals;            ///< Of all that is in the feed.
  std::uint64_t fingerprint = 0; ///< Of the files, for command ids. Never 0.
};

/// The Brazilian marketplace's data set, of whose files these are read, columns by the names in
/// their first lines: olist_orders_dataset.csv, olist_order_items_dataset.csv,
/// olist_order_payments_dataset.csv, olist_products_dataset.csv and olist_customers_dataset.csv.
///
/// Each order is placed, by its customer_unique_id, with one item for each of its rows; paid, once
/// for each of its payments; shipped and delivered, where it has the time of that; and cancelled if
/// it is `canceled` or `unavailable`, which is the reason. All of it in the order of the times that
/// are recorded, those of one order at one time as above. A payment, which has no time, is made at
/// the order's approval, or where there was none at its purchase; a cancellation at the last of the
/// order's times. Nothing is put right: what makes no sense is the aggregate's to refuse.
///
/// Errors name file and line: not_found for a file, malformed for a column that is missing, a
/// number or a time that is none, a row that names an order, a product or a customer that is not
/// there, and an order that is there twice.
[[nodiscard]] result<shop_feed> read_olist(const std::filesystem::path& directory);

} // namespace acta::sim
