#pragma once

#include <acta/domain/orders/order.hpp>
#include <acta/storage/record.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace acta::sim {

namespace orders = domain::orders;

/// A read model: what has become of each of a shop's orders, by their names, which are the keys of
/// their streams.
class shop_ledger {
public:
  static constexpr std::string_view name = "shop_ledger";
  static constexpr std::uint32_t version = 1;
  using events = orders::order::events;

  struct account {
    orders::order::state state;
    std::int64_t items = 0; ///< In cents, as the next.
    std::int64_t freight = 0;
    std::uint64_t last_record = 0; ///< Of the feed: the last one that an event came from; 0: none.
  };

  /// Of the feed with this fingerprint.
  explicit shop_ledger(std::uint64_t fingerprint) : fingerprint_(fingerprint) {}

  /// An empty one if the order was never placed.
  [[nodiscard]] const account& of(std::string_view order) const;
  /// True if a record of the feed was decided: the commands of one order are decided in order, so
  /// the last one in the log also speaks for those before it, which were refused.
  [[nodiscard]] bool has_decided(std::string_view order, std::uint64_t record) const {
    return record <= of(order).last_record;
  }

  void on(const orders::order_placed& event, const storage::record_view& record) {
    auto& to = change(event, record);
    to.freight = event.freight();
    to.items = event.total() - event.freight();
  }
  template <class Event>
  void on(const Event& event, const storage::record_view& record) {
    change(event, record);
  }

private:
  template <class Event>
  account& change(const Event& event, const storage::record_view& record) {
    auto& to = account_of(record);
    orders::order::evolve(to.state, event);
    return to;
  }
  [[nodiscard]] account& account_of(const storage::record_view& record);

  std::uint64_t fingerprint_;
  std::map<std::string, account, std::less<>> accounts_;
};

} // namespace acta::sim
