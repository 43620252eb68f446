#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/tables.hpp>
#include <acta/storage/record.hpp>

#include <cstdint>
#include <string_view>
#include <tuple>
#include <vector>

namespace acta::projections {

/// The trades of an instrument in one minute. Prices in 1e-9 of the currency.
struct trading_bar {
  std::int64_t open = 0;
  std::int64_t high = 0;
  std::int64_t low = 0;
  std::int64_t close = 0;
  std::int64_t volume = 0;
  std::uint64_t trades = 0;
  std::uint64_t first = 0; ///< Positions of the trades that `open` and `close` are of: so they are
  std::uint64_t last = 0;  ///< right too where a dead letter is retried later.

  bool operator==(const trading_bar&) const = default;
};

/// A bar, and the beginning of its minute: ns since 1970-01-01T00:00:00Z, a multiple of 60 s.
struct timed_bar {
  std::int64_t minute_ns = 0;
  trading_bar bar;

  bool operator==(const timed_bar&) const = default;
};

/// One-minute bars of every instrument, from all trades, by the time they were recorded; a read
/// model for lmdb_view. A minute without a trade has no bar. Instruments must have integers as
/// keys.
///
///     projections::lmdb_view<projections::trading_bars> view;
///     auto hour = view.read([&](const auto& now) {
///       return projections::trading_bars::between(now, 7, from_ns, from_ns + hour_ns);
///     });
class trading_bars {
public:
  static constexpr std::string_view name = "trading_bars";
  static constexpr std::uint32_t version = 1;
  using events =
    domain::event_list<domain::trading::order_executed, domain::trading::trade_printed>;

  /// By instrument and minute.
  static constexpr ordered_table<std::tuple<std::uint32_t, std::int64_t>, trading_bar> bars{1};

  /// Those of the minutes that begin in [from_ns, to_ns), in the order of time.
  [[nodiscard]] static std::vector<timed_bar> between(const table_reader& now,
                                                      std::uint32_t instrument,
                                                      std::int64_t from_ns, std::int64_t to_ns);
  /// The newest `count`, newest first.
  [[nodiscard]] static std::vector<timed_bar> newest(const table_reader& now,
                                                     std::uint32_t instrument, std::size_t count);

  void on(const domain::trading::order_executed& event, const storage::record_view& record,
          table_writer& tables);
  void on(const domain::trading::trade_printed& event, const storage::record_view& record,
          table_writer& tables);
};

} // namespace acta::projections
