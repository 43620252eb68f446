#pragma once

#include <acta/domain/orders/order.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace acta::projections::orders {

/// What a customer has done in the shop.
struct customer_summary {
  std::uint64_t orders = 0; ///< Placed, those that were cancelled too.
  std::uint64_t cancelled = 0;
  std::int64_t spend = 0;     ///< Cents paid, but for those of cancelled orders.
  std::string newest_order;   ///< See order_number().
  std::int64_t newest_ns = 0; ///< When it was placed: since 1970-01-01T00:00:00Z.

  bool operator==(const customer_summary&) const = default;
};

/// A customer's dashboard: a read model for memory_view. It keeps customers for ever, and orders
/// until nothing more can happen to them.
///
///     projections::memory_view<projections::orders::customer_dashboard> view;
///     auto ada = view.read([](const auto& now) { return now.of("ada"); });
class customer_dashboard {
public:
  static constexpr std::string_view name = "customer_dashboard";
  static constexpr std::uint32_t version = 1;
  using events =
    domain::event_list<domain::orders::order_placed, domain::orders::payment_received,
                       domain::orders::order_delivered, domain::orders::order_cancelled>;

  /// Empty for one who never placed an order.
  [[nodiscard]] std::optional<customer_summary> of(std::string_view customer) const;
  [[nodiscard]] std::size_t customers() const noexcept { return customers_.size(); }
  [[nodiscard]] std::size_t open_orders() const noexcept { return orders_.size(); }

  void on(const domain::orders::order_placed& event, const storage::record_view& record);
  void on(const domain::orders::payment_received& event, const storage::record_view& record);
  void on(const domain::orders::order_delivered& event, const storage::record_view& record);
  void on(const domain::orders::order_cancelled& event, const storage::record_view& record);

private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  template <class Value>
  using by_text = std::unordered_map<std::string, Value, hash, std::equal_to<>>;

  struct open_order {
    std::string customer;
    bool delivered = false; ///< And not paid in full: it is by invoice.
  };

  by_text<customer_summary> customers_;
  by_text<open_order> orders_; ///< By their number.
};

} // namespace acta::projections::orders
