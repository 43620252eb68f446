#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/trading/trading_generated.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

/// A limit order, and the instrument it is for. The stream key of an order is the exchange's order
/// id, that of an instrument its number. Prices are in 1e-9 of the currency, quantities in units.
namespace acta::domain::trading {

/// The most one command may say of a quantity: so nine million of them can be added up in 64 bits.
inline constexpr std::int64_t max_quantity = 1'000'000'000'000;

/// Why a command is refused. Pinned.
enum class refusal : std::uint16_t {
  unknown_order = 1,    ///< Never submitted.
  order_exists = 2,     ///< Submitted before.
  over_execution = 3,   ///< More than what rests.
  invalid_quantity = 4, ///< Not 1 to max_quantity, or a reduction by more than what rests.
  order_closed = 5,     ///< Cancelled, or nothing left.
};
[[nodiscard]] std::string_view name(refusal code) noexcept;

struct submit {
  std::uint32_t instrument = 0;
  trading::side side = trading::side::none;
  std::int64_t price = 0;
  std::int64_t quantity = 0;
};

/// New price, new resting quantity, or both.
struct modify {
  std::optional<std::int64_t> price;
  std::optional<std::int64_t> quantity;
};

/// An exchange's word on how the order now stands: adds it where it does not rest, and otherwise
/// takes the place of what rests. Refused only for its quantity.
struct replace {
  std::uint32_t instrument = 0;
  trading::side side = trading::side::none;
  std::int64_t price = 0;
  std::int64_t quantity = 0;
};

/// Takes `quantity` away without a trade; the order is closed when nothing is left.
struct reduce {
  std::int64_t quantity = 0;
};

/// Takes all away without a trade.
struct cancel {
  cancel_reason reason = cancel_reason::requested;
};

/// A trade against the order; it is closed when nothing is left. Without a price, at the order's.
struct execute {
  std::int64_t quantity = 0;
  std::optional<std::int64_t> price;
};

struct limit_order {
  static constexpr std::string_view category = "limit_order";

  enum class status : std::uint8_t { unknown, open, closed };
  struct state {
    std::int64_t price = 0;
    std::int64_t quantity = 0; ///< What rests.
    std::uint32_t instrument = 0;
    trading::side side = trading::side::none;
    limit_order::status status = status::unknown;
  };

  using command = std::variant<submit, modify, replace, reduce, cancel, execute>;
  using events =
    event_list<order_submitted, order_modified, order_reduced, order_cancelled, order_executed>;
  using out = emitter<limit_order>;

  [[nodiscard]] static decision decide(const state& now, const submit& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const modify& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const replace& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const reduce& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const cancel& command, out& events);
  [[nodiscard]] static decision decide(const state& now, const execute& command, out& events);

  static void evolve(state& now, const order_submitted& event) noexcept;
  static void evolve(state& now, const order_modified& event) noexcept;
  static void evolve(state& now, const order_reduced& event) noexcept;
  static void evolve(state& now, const order_cancelled& event) noexcept;
  static void evolve(state& now, const order_executed& event) noexcept;

  [[nodiscard]] static bool closed(const state& now) noexcept {
    return now.status == status::closed;
  }
};

/// A trade that no displayed order took part in.
struct print_trade {
  std::int64_t price = 0;
  std::int64_t quantity = 0;
};

/// An instrument: carries the trades that belong to no displayed order.
struct instrument {
  static constexpr std::string_view category = "instrument";

  struct state {
    std::int64_t printed_volume = 0;
  };

  using command = print_trade;
  using events = event_list<trade_printed>;

  [[nodiscard]] static decision decide(const state& now, const print_trade& command,
                                       emitter<instrument>& events);
  static void evolve(state& now, const trade_printed& event) noexcept;
};

} // namespace acta::domain::trading
