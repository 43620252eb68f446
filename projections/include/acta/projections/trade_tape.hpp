#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/trading/limit_order.hpp>
#include <acta/storage/record.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

namespace acta::projections {

/// One trade: an execution of a displayed order, or a print without one.
struct trade {
  log_position position;
  std::int64_t price = 0; ///< 1e-9 of the currency
  std::int64_t quantity = 0;
  std::uint32_t instrument = 0;
  bool displayed = false; ///< True for the execution of a displayed order.

  bool operator==(const trade&) const = default;
};

/// Wide enough for any sum of price times quantity.
__extension__ using notional_type = __int128;

/// A sum over trades. Notional is price times quantity in 1e-9 of the currency.
struct trade_sum {
  std::uint64_t count = 0;
  std::int64_t volume = 0;
  notional_type notional = 0;

  bool operator==(const trade_sum&) const = default;
};

/// Sums over all trades, and over the executions of displayed orders among them.
struct trade_totals {
  trade_sum all;
  trade_sum displayed;

  bool operator==(const trade_totals&) const = default;
};

/// The trade tape: totals by instrument, and the newest trades; a read model for memory_view.
/// Instruments must have integers as keys.
class trade_tape {
public:
  static constexpr std::string_view name = "trade_tape";
  static constexpr std::uint32_t version = 1;
  using events =
    domain::event_list<domain::trading::order_executed, domain::trading::trade_printed>;

  /// Keeps the newest `kept` trades, 32 bytes each.
  explicit trade_tape(std::size_t kept = 1000) : kept_(kept) {}

  [[nodiscard]] trade_totals totals() const;
  [[nodiscard]] trade_totals totals(std::uint32_t instrument) const;
  /// The newest trades, oldest first.
  [[nodiscard]] std::vector<trade> newest() const;

  void on(const domain::trading::order_executed& event, const storage::record_view& record);
  void on(const domain::trading::trade_printed& event, const storage::record_view& record);

private:
  void add(const trade& one);

  std::size_t kept_;
  std::deque<trade> newest_;
  std::map<std::uint32_t, trade_totals> totals_;
};

} // namespace acta::projections
