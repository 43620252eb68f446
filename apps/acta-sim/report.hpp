#pragma once

#include "machine.hpp"
#include "olist_feed.hpp"

#include <acta/projections/order_book.hpp>
#include <acta/projections/trade_tape.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace acta::sim {

/// Times from sending a command to its receipt, in microseconds.
struct latencies {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double p99_9 = 0;
  double max = 0;
};

struct projection_state {
  std::string name;
  std::uint64_t position = 0;
  std::uint64_t lag_events = 0;
};

/// What was ordered of something: on a day, say.
struct shop_sales {
  std::string of;
  std::int64_t quantity = 0;
  std::int64_t cents = 0;

  bool operator==(const shop_sales&) const = default;
};

/// What a shop's read models answer at the end, of all that is in the store.
struct shop_answers {
  static constexpr std::size_t most = 5; ///< Of each list.

  std::uint64_t customers = 0;                 ///< customer_dashboard
  std::map<std::string, std::uint64_t> orders; ///< order_list: by status.
  std::uint64_t items = 0;                     ///< item_search: those that it finds.
  std::vector<shop_sales> best_days;           ///< revenue: the best first, "2017-11-24".
  std::vector<shop_sales> best_categories;

  bool operator==(const shop_answers&) const = default;
};

/// What became of a shop's orders. `commands` and `refused_orders` are this run's; the rest is what
/// the whole store has of the feed's orders.
struct shop_summary {
  std::uint64_t orders = 0; ///< In the feed: those below together.
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0; ///< Those that were not placed, with the reason below.
  std::uint64_t not_sent = 0; ///< Of a run that was interrupted.
  std::map<std::string, std::uint64_t> statuses; ///< Of those accepted.
  std::map<std::string, std::uint64_t> refused_orders;
  /// By command: how many were accepted, and rejected with each reason.
  std::map<std::string, std::map<std::string, std::uint64_t>> commands;
  shop_totals totals;  ///< Of the orders accepted, and their payments.
  shop_totals in_feed; ///< Of everything in the feed.
  shop_answers answers;
};

/// What a run did. Counts are this run's, except for book, trades and log_events, which are the
/// whole store's, and what shop_summary says.
struct report {
  std::string feed;
  std::string durability;
  std::string store; ///< Empty if it was temporary or in memory.
  bool interrupted = false;
  std::uint64_t commands = 0; ///< Acknowledged: accepted and rejected.
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::map<std::string, std::uint64_t> rejections;
  std::uint64_t resumed = 0;        ///< Left out: the store had decided them before.
  std::uint64_t unknown_orders = 0; ///< See recorded_feed.
  std::uint64_t taken_by_initial_book = 0;
  std::uint64_t events = 0;
  std::uint64_t commits = 0;
  std::uint64_t log_events = 0;
  std::uint64_t aggregates = 0; ///< Streams begun.
  double elapsed_s = 0;         ///< From the first command to the last receipt.
  double catch_up_s = 0;        ///< From there until every projection had the log's tail.
  latencies latency_us;
  std::vector<projection_state> projections;
  std::size_t resting_orders = 0;
  std::size_t bid_levels = 0;
  std::size_t ask_levels = 0;
  acta::projections::trade_totals trades;
  std::optional<shop_summary> shop; ///< Of a shop's feed, in place of book and trades.
  sim::machine machine;

  [[nodiscard]] double commands_per_s() const { return per_second(commands); }
  [[nodiscard]] double events_per_s() const { return per_second(events); }

private:
  [[nodiscard]] double per_second(std::uint64_t count) const {
    return elapsed_s > 0 ? static_cast<double>(count) / elapsed_s : 0;
  }
};

/// A table for people, with a line feed at its end.
[[nodiscard]] std::string to_table(const report& of);

/// The same for machines: one JSON object, and a line feed.
[[nodiscard]] std::string to_json(const report& of);

} // namespace acta::sim
