#pragma once

#include <acta/base/limits.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/domain/orders/orders_generated.h>
#include <acta/domain/orders/refusal.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// A shop's order. The stream key is the order's number, or whatever the shop calls it. Amounts are
/// in cents; when something happened is in the event's record.
namespace acta::domain::orders {

/// The most items (lines) an order has.
inline constexpr std::size_t max_items = 100;
/// The most of one item.
inline constexpr std::int32_t max_quantity = 10'000;
/// The most that one of an item, or the freight, costs.
inline constexpr std::int64_t max_price = 100'000'000'000;
/// The most that an order costs, which fits 64 bits with room for sums of many orders.
inline constexpr std::int64_t max_total =
  static_cast<std::int64_t>(max_items) * max_quantity * max_price + max_price;
/// The longest text of a command, in bytes: a largest order is a fifth of a largest event.
inline constexpr std::size_t max_text = 1'000;
static_assert(4 * max_items * max_text < limits::max_payload_size);
/// The longest time to pay. Added to any time of this century it fits 64 bits of nanoseconds.
inline constexpr std::chrono::nanoseconds max_pay_within = std::chrono::days(366);
/// The reason of an order that its time limit cancelled. Pinned: read models may look for it.
inline constexpr std::string_view not_paid_in_time = "not paid in time";

struct item {
  std::string product;  ///< What the shop calls it; not empty.
  std::string category; ///< May be empty.
  std::int32_t quantity = 1;
  std::int64_t price = 0; ///< Of one.
};

struct place {
  std::string customer;
  std::vector<item> items;
  std::int64_t freight = 0;
  std::chrono::nanoseconds pay_within{}; ///< 0: no limit; max_pay_within at most.
};

/// All or a part of what is due, also behind shipping (on delivery, or by invoice). More than is
/// due is refused: what to do with the rest is for whoever has the money.
struct pay {
  std::int64_t amount = 0;
  std::string method; ///< "voucher", say; may be empty.
};

/// Before it is paid, too: by invoice. The time limit has no meaning then, and ends.
struct ship {};
struct deliver {};

struct cancel {
  std::string reason;
};

/// The order goes from placed, by way of paid or not, to shipped and delivered; or it is cancelled
/// before it is shipped. What was paid of a cancelled order is a refund's business (refund.hpp).
///
/// An order with a time limit (place::pay_within) that is neither paid in full nor shipped by then
/// is cancelled by its timer, with the reason not_paid_in_time. A payment of a part moves nothing.
struct order {
  static constexpr std::string_view category = "order";

  struct state {
    std::int64_t total = 0;
    std::int64_t paid = 0;
    order_status status = order_status::none;

    /// What is still to be paid.
    [[nodiscard]] std::int64_t due() const noexcept { return total - paid; }
    bool operator==(const state&) const = default;
  };

  using command = std::variant<place, pay, ship, deliver, cancel>;
  using events = event_list<order_placed, payment_received, order_paid, order_shipped,
                            order_delivered, order_cancelled>;
  using out = emitter<order>;
  enum class timer : std::uint64_t { payment = 1 };

  [[nodiscard]] static decision decide(const state& now, const place& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const pay& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const ship& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const deliver& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const cancel& command, out& events);
  [[nodiscard]] static decision on_timer(const state& now, timer_id which, out& events);

  static void evolve(state& now, const order_placed& event) noexcept;
  static void evolve(state& now, const payment_received& event) noexcept;
  static void evolve(state& now, const order_paid& event) noexcept;
  static void evolve(state& now, const order_shipped& event) noexcept;
  static void evolve(state& now, const order_delivered& event) noexcept;
  static void evolve(state& now, const order_cancelled& event) noexcept;

  /// Cancelled, or delivered and paid.
  [[nodiscard]] static bool closed(const state& now) noexcept;

  using snapshot = order_state;
  [[nodiscard]] static flatbuffers::Offset<snapshot> save(const state& now,
                                                          flatbuffers::FlatBufferBuilder& builder);
  [[nodiscard]] static state load(const snapshot& saved) noexcept;
};

} // namespace acta::domain::orders
