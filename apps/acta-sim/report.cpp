#include "report.hpp"

#include "decimal.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <iterator>
#include <string_view>

namespace acta::sim {

namespace {

/// In the currency itself. A double has 15 digits, which the totals of a day do not use up.
[[nodiscard]] double currency(acta::projections::notional_type notional) {
  return static_cast<double>(notional) / static_cast<double>(price_unit);
}

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number) {
  auto text = std::to_string(number);
  for (auto at = text.size(); at > 3;)
    text.insert(at -= 3, 1, ',');
  return text;
}

[[nodiscard]] std::string grouped(double number) {
  return grouped(static_cast<std::uint64_t>(std::llround(number)));
}

class table {
public:
  void row(std::string_view name, std::string_view value, std::string_view note = {}) {
    fmt::format_to(std::back_inserter(text_), "  {:<32}{:>14}", name, value);
    if (!note.empty())
      fmt::format_to(std::back_inserter(text_), "  {}", note);
    text_ += '\n';
  }
  void title(std::string_view text) {
    text_ += text;
    text_ += '\n';
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

private:
  std::string text_;
};

[[nodiscard]] nlohmann::ordered_json to_json(const acta::projections::trade_sum& sum) {
  return {{"count", sum.count}, {"volume", sum.volume}, {"notional", currency(sum.notional)}};
}

[[nodiscard]] nlohmann::ordered_json versions() {
  return {{"acta", ACTA_VERSION},
          {"compiler", ACTA_COMPILER},
          {"caf", ACTA_CAF_VERSION},
          {"lmdb", ACTA_LMDB_VERSION},
          {"flatbuffers", ACTA_FLATBUFFERS_VERSION}};
}

[[nodiscard]] nlohmann::ordered_json to_json(const shop_totals& sum) {
  return {{"items", sum.items}, {"freight", sum.freight}, {"payments", sum.payments}};
}

/// 142860281 -> "1,428,602.81".
[[nodiscard]] std::string money(std::int64_t cents) {
  const auto magnitude =
    cents < 0 ? 0 - static_cast<std::uint64_t>(cents) : static_cast<std::uint64_t>(cents);
  return fmt::format("{}{}.{:02}", cents < 0 ? "-" : "", grouped(magnitude / 100), magnitude % 100);
}

void put_commands(table& out, const report& of) {
  out.row("commands", grouped(of.commands), fmt::format("{}/s", grouped(of.commands_per_s())));
  out.row("  accepted", grouped(of.accepted));
  out.row("  rejected", grouped(of.rejected));
  for (const auto& [name, count] : of.rejections)
    out.row("    " + name, grouped(count));
  if (of.resumed != 0)
    out.row("  left out", grouped(of.resumed), "decided by this store before");
  if (of.unknown_orders != 0)
    out.row("unknown orders", grouped(of.unknown_orders),
            fmt::format("events; the initial book took {} of them", of.taken_by_initial_book));
  out.row("events", grouped(of.events), fmt::format("{}/s", grouped(of.events_per_s())));
  out.row("  per commit",
          of.commits == 0 ? "-"
                          : fmt::format("{:.1f}", static_cast<double>(of.events)
                                                    / static_cast<double>(of.commits)),
          fmt::format("{} commits", grouped(of.commits)));
  out.row("aggregates begun", grouped(of.aggregates));
  out.row("elapsed", fmt::format("{:.3f} s", of.elapsed_s),
          fmt::format("and {:.3f} s until the projections were there", of.catch_up_s));
}

void put_market(table& out, const report& of) {
  out.row("resting orders", grouped(of.resting_orders),
          fmt::format("{} bid levels, {} ask levels", of.bid_levels, of.ask_levels));
  const auto& trades = of.trades.all;
  out.row("trades", grouped(trades.count),
          fmt::format("volume {}, notional {:.2f}", trades.volume, currency(trades.notional)));
  const auto& fills = of.trades.displayed;
  out.row("  of displayed orders", grouped(fills.count),
          fmt::format("volume {}, notional {:.2f}", fills.volume, currency(fills.notional)));
}

void put_shop(table& out, const shop_summary& of) {
  out.title("orders of the feed");
  out.row("all", grouped(of.orders));
  out.row("  accepted", grouped(of.accepted));
  for (const auto& [status, count] : of.statuses)
    out.row("    " + status, grouped(count));
  out.row("  rejected", grouped(of.rejected));
  for (const auto& [name, count] : of.refused_orders)
    out.row("    " + name, grouped(count));
  if (of.not_sent != 0)
    out.row("  not sent", grouped(of.not_sent));
  out.title("amounts");
  const auto sum = [&](std::string_view name, std::int64_t shop_totals::* which) {
    const auto missing = of.in_feed.*which - of.totals.*which;
    out.row(name, money(of.totals.*which),
            missing == 0 ? "all that is in the feed"
                         : fmt::format("and {} that was not accepted", money(missing)));
  };
  sum("items", &shop_totals::items);
  sum("freight", &shop_totals::freight);
  sum("payments", &shop_totals::payments);
  out.title("answers of the read models");
  out.row("customers", grouped(of.answers.customers));
  const auto best = [&](std::string_view name, const std::vector<shop_sales>& which) {
    if (!which.empty())
      out.row(name, money(which.front().cents),
              fmt::format("{}: {} items", which.front().of, which.front().quantity));
  };
  best("best day", of.answers.best_days);
  best("best category", of.answers.best_categories);
}

[[nodiscard]] nlohmann::ordered_json to_json(const std::vector<shop_sales>& sales,
                                             const char* what) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& one : sales)
    all.push_back({{what, one.of}, {"quantity", one.quantity}, {"cents", one.cents}});
  return all;
}

[[nodiscard]] nlohmann::ordered_json to_json(const shop_answers& of) {
  return {{"customers", of.customers},
          {"orders_by_status", of.orders},
          {"items", of.items},
          {"best_days", to_json(of.best_days, "day")},
          {"best_categories", to_json(of.best_categories, "category")}};
}

[[nodiscard]] nlohmann::ordered_json to_json(const shop_summary& of) {
  return {{"orders",
           {{"in_feed", of.orders},
            {"accepted", of.accepted},
            {"rejected", of.rejected},
            {"rejections", of.refused_orders},
            {"not_sent", of.not_sent},
            {"statuses", of.statuses}}},
          {"outcomes", of.commands},
          {"totals_cents", to_json(of.totals)},
          {"feed_totals_cents", to_json(of.in_feed)},
          {"answers", to_json(of.answers)}};
}

[[nodiscard]] nlohmann::ordered_json market_json(const report& of) {
  return {{"unknown_orders", of.unknown_orders},
          {"taken_by_initial_book", of.taken_by_initial_book},
          {"book",
           {{"resting_orders", of.resting_orders},
            {"bid_levels", of.bid_levels},
            {"ask_levels", of.ask_levels}}},
          {"trades", to_json(of.trades.all)},
          {"fills", to_json(of.trades.displayed)}};
}

} // namespace

std::string to_table(const report& of) {
  table out;
  out.title(fmt::format("{} · durability {}{}", of.feed, of.durability,
                        of.interrupted ? " · interrupted" : ""));
  put_commands(out, of);
  out.title("command to receipt");
  const auto& times = of.latency_us;
  out.row("p50, p90", fmt::format("{:.0f} µs", times.p50), fmt::format("{:.0f} µs", times.p90));
  out.row("p99, p99.9", fmt::format("{:.0f} µs", times.p99), fmt::format("{:.0f} µs", times.p99_9));
  out.row("max", fmt::format("{:.0f} µs", times.max));
  out.title("read models");
  for (const auto& one : of.projections)
    out.row(one.name, grouped(one.position), fmt::format("{} behind", grouped(one.lag_events)));
  if (of.shop)
    put_shop(out, *of.shop);
  else
    put_market(out, of);
  out.title("machine");
  out.title(
    fmt::format("  {}, {} cores, {}", of.machine.cpu, of.machine.cores, of.machine.filesystem));
  return out.take();
}

std::string to_json(const report& of) {
  const auto& times = of.latency_us;
  nlohmann::ordered_json projections = nlohmann::ordered_json::array();
  for (const auto& one : of.projections)
    projections.push_back(
      {{"name", one.name}, {"position", one.position}, {"lag_events", one.lag_events}});
  nlohmann::ordered_json all{
    {"feed", of.feed},
    {"durability", of.durability},
    {"store", of.store},
    {"interrupted", of.interrupted},
    {"commands", of.commands},
    {"accepted", of.accepted},
    {"rejected", of.rejected},
    {"rejections", of.rejections},
    {"resumed", of.resumed},
    {"events", of.events},
    {"commits", of.commits},
    {"log_events", of.log_events},
    {"aggregates", of.aggregates},
    {"elapsed_s", of.elapsed_s},
    {"catch_up_s", of.catch_up_s},
    {"commands_per_s", of.commands_per_s()},
    {"events_per_s", of.events_per_s()},
    {"latency_us",
     {{"p50", times.p50},
      {"p90", times.p90},
      {"p99", times.p99},
      {"p99_9", times.p99_9},
      {"max", times.max}}},
    {"projections", std::move(projections)},
  };
  all.update(of.shop ? to_json(*of.shop) : market_json(of));
  all["machine"] = {{"cpu", of.machine.cpu},
                    {"cores", of.machine.cores},
                    {"filesystem", of.machine.filesystem},
                    {"versions", versions()}};
  // A path need not be UTF-8; what is not is replaced, and the run is not lost for it.
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace acta::sim
