#include "shop_simulation.hpp"

#include "olist_feed.hpp"
#include "progress.hpp"
#include "run.hpp"
#include "shop_driver.hpp"
#include "shop_ledger.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

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

/// An engine, the ledger that follows it, and the run on them. Members are destroyed in the reverse
/// order: the projector before the engine, the engine before the store.
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
    auto engine = runtime::engine::open<orders::order>(std::move(store_.log), with);
    if (!engine)
      return failure(engine);
    engine_ = std::move(*engine);
    auto follower = projections::projector::start(*engine_, ledger_);
    if (!follower)
      return failure(follower);
    follower_ = std::move(*follower);
    return catch_up([] {});
  }

  [[nodiscard]] result<report> run() {
    const auto before = ledger();
    shop_driver drive({.engine = *engine_,
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
    made.projections.push_back(state_of(*follower_, made.log_events));
    made.shop = summary_of(feed_, ledger(), drive);
    return made;
  }

private:
  [[nodiscard]] shop_ledger ledger() const {
    return ledger_.read([](const shop_ledger& now) { return now; });
  }
  [[nodiscard]] result<void> catch_up(const std::function<void()>& meanwhile) const {
    return sim::catch_up(*follower_, engine_->log().tail(), meanwhile);
  }
  void show_progress(const shop_driver& drive) {
    if (progress_.is_due())
      progress_.update(drive.progress(), drive.sent(), "commands",
                       fmt::format("  lag {} events",
                                   state_of(*follower_, engine_->log().tail().value()).lag_events));
  }

  const options& chosen_;
  const shop_feed& feed_;
  const std::atomic<bool>& interrupted_;
  apps::progress_line progress_;
  run_store store_;
  projections::memory_view<shop_ledger> ledger_;
  std::unique_ptr<runtime::engine> engine_;
  std::unique_ptr<projections::projector> follower_;
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
