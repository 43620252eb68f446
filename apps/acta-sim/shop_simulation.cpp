#include "shop_simulation.hpp"

#include "olist_feed.hpp"
#include "progress.hpp"
#include "run.hpp"
#include "shop_driver.hpp"
#include "shop_ledger.hpp"

#include <acta/base/clock.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/orders/customer_dashboard.hpp>
#include <acta/projections/orders/item_search.hpp>
#include <acta/projections/orders/order_list.hpp>
#include <acta/projections/orders/revenue.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/runtime/engine.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::sim {

namespace {

[[nodiscard]] shop_summary summary_of(const shop_feed& feed, const shop_ledger& ledger,
                                      const shop_driver& drive) {
  shop_summary made;
  made.orders = feed.orders.size();
  made.in_feed = feed.totals;
  tally::by_code refused{};
  for (std::size_t order = 0; order < feed.orders.size(); ++order) {
    const auto& account = ledger.of(feed.orders[order]);
    if (account.state.status != orders::order_status::none) {
      ++made.accepted;
      ++made.statuses[orders::EnumNameorder_status(account.state.status)];
    } else if (const auto code = drive.refusal_of(order); code != 0) {
      ++refused.at(code);
    } else {
      ++made.not_sent;
    }
    made.totals.items += account.items;
    made.totals.freight += account.freight;
    made.totals.payments += account.state.paid;
  }
  made.rejected = made.orders - made.accepted - made.not_sent;
  made.refused_orders = names_of<orders::refusal>(refused);
  for (std::size_t command = 0; command < shop_driver::command_names.size(); ++command) {
    auto outcomes = drive.outcomes(command);
    const auto accepted = std::exchange(outcomes[0], 0);
    auto& named = made.commands[std::string(shop_driver::command_names.at(command))];
    named = names_of<orders::refusal>(outcomes);
    named["accepted"] = accepted;
  }
  return made;
}

using projections::sqlite::reader;
using projections::sqlite::row;

[[nodiscard]] result<std::vector<shop_sales>> best(const reader& now, std::string_view sql) {
  return now.all(sql, {shop_answers::most}, [](const row& found) {
    return shop_sales{
      .of = std::string(found.text(0)), .quantity = found.integer(1), .cents = found.integer(2)};
  });
}

/// The read models of domain::orders.
struct shop_models {
  projections::sqlite_view<projections::orders::order_list> list;
  projections::sqlite_view<projections::orders::item_search> search;
  projections::sqlite_view<projections::orders::revenue> revenue;
  projections::memory_view<projections::orders::customer_dashboard> dashboard;

  [[nodiscard]] result<shop_answers> answers() const {
    shop_answers made;
    made.customers = dashboard.read([](const auto& now) { return now.customers(); });
    auto counted = list.read([&](const reader& now) {
      return now.each("select status, count(*) from orders group by status", {},
                      [&](const row& found) {
                        const auto status = static_cast<orders::order_status>(found.integer(0));
                        made.orders[orders::EnumNameorder_status(status)] =
                          static_cast<std::uint64_t>(found.integer(1));
                      });
    });
    if (counted)
      counted = search.read([&](const reader& now) {
        return now.each("select count(*) from items", {}, [&](const row& found) {
          made.items = static_cast<std::uint64_t>(found.integer(0));
        });
      });
    if (counted)
      counted = revenue.read([&](const reader& now) -> result<void> {
        auto days = best(now, "select date(day * 86400, 'unixepoch'), sum(quantity), sum(cents) "
                              "from revenue group by day order by 3 desc, 1 limit ?1");
        if (!days)
          return failure(days);
        auto categories = best(now, "select category, sum(quantity), sum(cents) from revenue "
                                    "group by category order by 3 desc, 1 limit ?1");
        if (!categories)
          return failure(categories);
        made.best_days = std::move(*days);
        made.best_categories = std::move(*categories);
        return {};
      });
    if (!counted)
      return failure(counted);
    return made;
  }
};

/// An engine, what follows it, and the run on them. Members are destroyed in the reverse order: the
/// projectors before the engine, the engine before the store.
class shop_simulation {
public:
  shop_simulation(const options& chosen, const shop_feed& feed,
                  const std::atomic<bool>& interrupted)
      : chosen_(chosen), feed_(feed), interrupted_(interrupted), progress_(!chosen.quiet),
        ledger_(shop_ledger(feed.fingerprint)) {}

  [[nodiscard]] result<void> open() {
    auto store = open_store(chosen_);
    if (!store)
      return failure(store);
    store_ = std::move(*store);
    auto with = chosen_.engine;
    with.max_in_flight = 2 * chosen_.window;
    with.clock = &clock_;
    auto engine = runtime::engine::open<orders::order>(std::move(store_.log), with);
    if (!engine)
      return failure(engine);
    engine_ = std::move(*engine);
    const std::initializer_list<projections::projection*> views{
      &ledger_, &models_.list, &models_.search, &models_.revenue, &models_.dashboard};
    for (auto* view : views) {
      auto started = projections::projector::start(*engine_, *view);
      if (!started)
        return failure(started);
      projectors_.push_back(std::move(*started));
    }
    return catch_up([] {});
  }

  [[nodiscard]] result<report> run() {
    const auto before = ledger();
    shop_driver drive({.engine = *engine_,
                       .clock = clock_,
                       .feed = feed_,
                       .before = before,
                       .window = chosen_.window,
                       .interrupted = interrupted_,
                       .on_progress = [&] { show_progress(drive); }});
    const auto started = std::chrono::steady_clock::now();
    auto ran = drive.run();
    const auto sent = std::chrono::steady_clock::now();
    auto current = ran ? catch_up([&] { show_progress(drive); }) : result<void>{};
    const auto caught_up = std::chrono::steady_clock::now();
    progress_.clear();
    engine_->stop(); // the committer may still be on its way out of `drive`
    if (!ran)
      return add_receipted(ran.error(), drive.results(), chosen_);
    if (!current)
      return failure(current);
    auto made = begin_report(chosen_, fmt::format("olist:{}", chosen_.feed_file.string()),
                             drive.results(), *engine_, store_.directory);
    made.interrupted = interrupted_.load();
    made.rejections = names_of<orders::refusal>(drive.results().rejections);
    made.resumed = drive.left_out();
    made.elapsed_s = seconds(sent - started).count();
    made.catch_up_s = seconds(caught_up - sent).count();
    for (const auto& one : projectors_)
      made.projections.push_back(state_of(*one, made.log_events));
    made.shop = summary_of(feed_, ledger(), drive);
    auto answers = models_.answers();
    if (!answers)
      return failure(answers);
    made.shop->answers = std::move(*answers);
    return made;
  }

private:
  [[nodiscard]] shop_ledger ledger() const {
    return ledger_.read([](const shop_ledger& now) { return now; });
  }
  [[nodiscard]] result<void> catch_up(const std::function<void()>& meanwhile) const {
    const auto tail = engine_->log().tail();
    for (const auto& one : projectors_)
      if (auto there = sim::catch_up(*one, tail, meanwhile); !there)
        return there;
    return {};
  }
  [[nodiscard]] std::uint64_t lag() const {
    const auto tail = engine_->log().tail().value();
    std::uint64_t most = 0;
    for (const auto& one : projectors_)
      most = std::max(most, state_of(*one, tail).lag_events);
    return most;
  }
  void show_progress(const shop_driver& drive) {
    if (progress_.is_due())
      progress_.update(drive.progress(), drive.sent(), "commands",
                       fmt::format("  lag {} events", lag()));
  }

  const options& chosen_;
  const shop_feed& feed_;
  const std::atomic<bool>& interrupted_;
  apps::progress_line progress_;
  manual_clock clock_; ///< Goes by the feed.
  run_store store_;
  projections::memory_view<shop_ledger> ledger_;
  shop_models models_;
  std::unique_ptr<runtime::engine> engine_;
  std::vector<std::unique_ptr<projections::projector>> projectors_;
};

} // namespace

result<report> simulate_shop(const options& chosen, const std::atomic<bool>& interrupted) {
  const auto feed = read_olist(chosen.feed_file);
  if (!feed)
    return std::unexpected(feed.error());
  shop_simulation job(chosen, *feed, interrupted);
  if (auto opened = job.open(); !opened)
    return failure(opened);
  return job.run();
}

} // namespace acta::sim
