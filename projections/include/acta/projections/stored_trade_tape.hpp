#pragma once

#include <acta/projections/tables.hpp>
#include <acta/projections/trade_tape.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <vector>

namespace acta::projections {

/// A trade, and when it was recorded: ns since 1970-01-01T00:00:00Z.
struct timed_trade {
  std::int64_t at_ns = 0;
  trade what;

  bool operator==(const timed_trade&) const = default;
};

/// A trade as stored_trade_tape keeps it.
struct stored_trade {
  std::int64_t price = 0; ///< 1e-9 of the currency
  std::int64_t quantity = 0;
  std::int64_t at_ns = 0;
  std::uint32_t instrument = 0;
  std::uint32_t is_displayed = 0;
};

/// What trade_tape has, in tables on disk: totals by instrument, and all trades, about 150 bytes
/// each; a read model for lmdb_view. Instruments must have integers as keys.
///
///     projections::lmdb_view<projections::stored_trade_tape> view;
///     auto hour = view.read([&](const auto& now) {
///       return projections::stored_trade_tape::between(now, 7, from_ns, from_ns + hour_ns);
///     });
class stored_trade_tape {
public:
  static constexpr std::string_view name = "trade_tape";
  static constexpr std::uint32_t version = 1;
  using events = trade_tape::events;

  static constexpr ordered_table<std::uint64_t, stored_trade> trades{1}; ///< By position.
  /// By instrument, time and position.
  using time_key = std::tuple<std::uint32_t, std::int64_t, std::uint64_t>;
  static constexpr ordered_table<time_key, stored_trade> by_time{2};
  static constexpr ordered_table<std::uint32_t, trade_totals> sums{3}; ///< By instrument.

  [[nodiscard]] static trade_totals totals(const table_reader& now);
  [[nodiscard]] static trade_totals totals(const table_reader& now, std::uint32_t instrument);
  /// The newest `count`, oldest first; of all instruments, or of one.
  [[nodiscard]] static std::vector<timed_trade> newest(const table_reader& now, std::size_t count);
  [[nodiscard]] static std::vector<timed_trade> newest(const table_reader& now,
                                                       std::uint32_t instrument, std::size_t count);
  /// Those recorded in [from_ns, to_ns), oldest first.
  [[nodiscard]] static std::vector<timed_trade> between(const table_reader& now,
                                                        std::uint32_t instrument,
                                                        std::int64_t from_ns, std::int64_t to_ns);

  void on(const domain::trading::order_executed& event, const storage::record_view& record,
          table_writer& tables);
  void on(const domain::trading::trade_printed& event, const storage::record_view& record,
          table_writer& tables);
};

} // namespace acta::projections
