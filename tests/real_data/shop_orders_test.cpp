// The orders of a real marketplace (Olist), each as the commands that its history says: met by the
// aggregate alone, and by an engine. What must come out is computed again from the files, plainly.
#include "../support/recorded_data.hpp"
#include "../support/scratch_directory.hpp"

#include "olist_feed.hpp"
#include "shop_driver.hpp"
#include "simulation.hpp"

#include <acta/domain/orders/order.hpp>
#include <acta/domain/testing.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::orders;
using domain::testing::given;
using counts = std::map<std::string, std::uint64_t>;

using cents = std::int64_t;

/// What the orders' events and refusals add up to.
struct ledger {
  std::map<std::string, int> answers; ///< "ship: order_not_found", and how often.
  std::map<order_status, int> statuses;
  cents items = 0, freight = 0, received = 0;
  cents refused = 0; ///< Of payments.
  int paid_to_the_cent = 0, paid_in_parts = 0;
  std::size_t most_payments = 0;
};

void enter(ledger& into, const order::command& command,
           const domain::testing::outcome<order>& after) {
  EXPECT_TRUE(after.problems().empty()) << after;
  const auto* payment = std::get_if<pay>(&command);
  std::string answer(sim::shop_driver::command_names.at(command.index()));
  if (after.rejection())
    answer += ": " + std::string(name(static_cast<refusal>(after.rejection()->code)));
  ++into.answers[answer];
  if (after.rejection() && payment != nullptr)
    into.refused += payment->amount;
  for (const auto& event : after.events()) {
    if (const auto* placed = event.as<order_placed>()) {
      for (const auto* one : *placed->items())
        into.items += one->price() * one->quantity();
      into.freight += placed->freight();
    } else if (const auto* received = event.as<payment_received>()) {
      into.received += received->amount();
    }
  }
}

ledger replay(const sim::shop_feed& feed) {
  std::vector<std::vector<const order::command*>> histories(feed.orders.size());
  for (const auto& step : feed.steps)
    histories[step.order].push_back(&step.what);
  ledger all;
  for (const auto& history : histories) {
    auto now = given<order>();
    std::size_t payments = 0;
    for (const auto* command : history) {
      const auto after = now.when(*command);
      enter(all, *command, after);
      payments += std::holds_alternative<pay>(*command) ? 1U : 0U;
      now = after.history();
    }
    ++all.statuses[now.state().status];
    const bool exists = now.state().status != order_status::none;
    all.paid_to_the_cent += exists && now.state().due() == 0 ? 1 : 0;
    all.paid_in_parts += payments > 1 ? 1 : 0;
    all.most_payments = std::max(all.most_payments, payments);
  }
  return all;
}

std::filesystem::path marketplace() {
  return recorded_data() / "olist";
}

/// Skips where the data is not.
class marketplace_test : public ::testing::Test {
protected:
  void SetUp() override {
    if (!std::filesystem::exists(marketplace() / "olist_orders_dataset.csv"))
      GTEST_SKIP() << "no recorded orders in " << marketplace() << "; set ACTA_DATA_DIR";
  }
};

class shop_orders : public marketplace_test {
protected:
  void SetUp() override {
    marketplace_test::SetUp();
    if (IsSkipped())
      return;
    const auto feed = sim::read_olist(marketplace());
    ASSERT_TRUE(feed) << feed.error().message();
    all = replay(*feed);
  }
  ledger all;
};

TEST_F(shop_orders, add_up_to_the_marketplaces_own_totals) {
  EXPECT_EQ(all.items, 109'326'435);
  EXPECT_EQ(all.freight, 17'228'839);
  EXPECT_EQ(all.received + all.refused, 142'860'281);
  EXPECT_EQ(all.paid_to_the_cent, 7'318);
  EXPECT_EQ(all.paid_in_parts, 274);
  EXPECT_EQ(all.most_payments, 29U);
}

TEST_F(shop_orders, meet_a_decision_each_also_where_the_record_is_in_disorder) {
  const std::map<std::string, int> expected{
    {"place", 7'360},
    {"place: empty_order", 775},
    {"pay", 8'063},
    {"pay: order_not_found", 830}, // of orders without items
    {"pay: over_payment", 29},
    {"pay: invalid_payment", 2}, // of nothing
    {"ship", 6'349},
    {"ship: order_not_found", 4},
    {"deliver", 5'165},
    {"deliver: invalid_status_for_delivery", 5}, // before hand-over, or without
    {"cancel", 392},
    {"cancel: order_not_found", 767},
    {"cancel: cannot_cancel_shipped_order", 75},
  };
  EXPECT_EQ(all.answers, expected);
  const std::map<order_status, int> statuses{
    {order_status::none, 775},        {order_status::placed, 1},
    {order_status::paid, 618},        {order_status::shipped, 1'184},
    {order_status::delivered, 5'165}, {order_status::cancelled, 392},
  };
  EXPECT_EQ(all.statuses, statuses);
}

// --- through an engine -------------------------------------------------------------------------

/// A file's rows without its first, split at commas: nothing in these files is quoted.
std::vector<std::vector<std::string>> plain_rows(const char* file) {
  std::ifstream in(marketplace() / file);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line + ",");
    auto& row = rows.emplace_back();
    for (std::string field; std::getline(fields, field, ',');)
      row.push_back(field);
  }
  EXPECT_GT(rows.size(), 1U) << file;
  rows.erase(rows.begin());
  return rows;
}

cents plain_cents(const std::string& text) {
  const auto point = std::min(text.find('.'), text.size());
  auto places = text.substr(std::min(point + 1, text.size())) + "00";
  return 100 * std::stoll(text.substr(0, point)) + std::stoll(places.substr(0, 2));
}

/// What becomes of each order, from the columns alone.
sim::shop_summary computed_plainly() {
  sim::shop_summary all;
  std::map<std::string, cents> totals;
  for (const auto& item : plain_rows("olist_order_items_dataset.csv")) {
    all.totals.items += plain_cents(item[5]);
    all.totals.freight += plain_cents(item[6]);
    totals[item[0]] += plain_cents(item[5]) + plain_cents(item[6]);
  }
  all.in_feed = all.totals;
  std::map<std::string, std::map<int, cents>> payments;
  for (const auto& one : plain_rows("olist_order_payments_dataset.csv")) {
    payments[one[0]][std::stoi(one[1])] = plain_cents(one[4]);
    all.in_feed.payments += plain_cents(one[4]);
  }
  for (const auto& row : plain_rows("olist_orders_dataset.csv")) {
    ++all.orders;
    if (!totals.contains(row[0])) {
      ++all.rejected;
      continue;
    }
    ++all.accepted;
    auto due = totals[row[0]];
    for (const auto& [number, amount] : payments[row[0]])
      if (amount <= due) {
        due -= amount;
        all.totals.payments += amount;
      }
    const auto& purchased = row[3];
    const auto& handed_over = row[5];
    const auto& arrived = row[6];
    const bool shipped = !handed_over.empty() && handed_over >= purchased;
    const bool cancelled = row[2] == "canceled" || row[2] == "unavailable";
    const auto* status = shipped && arrived >= handed_over ? "delivered"
                         : shipped                         ? "shipped"
                         : cancelled                       ? "cancelled"
                         : due == 0                        ? "paid"
                                                           : "placed";
    ++all.statuses[status];
  }
  all.refused_orders = {{"empty_order", all.rejected}};
  return all;
}

class shop_feed : public marketplace_test {
protected:
  void SetUp() override {
    marketplace_test::SetUp();
    chosen.quiet = true;
    chosen.feed = sim::feed_kind::olist;
    chosen.feed_file = marketplace();
    chosen.durability = storage::durability::memory;
  }

  sim::report run() {
    const std::atomic<bool> interrupted = false;
    auto done = sim::simulate(chosen, interrupted);
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    auto made = done.value_or(sim::report{});
    if (!made.shop)
      made.shop.emplace();
    return made;
  }

  static void expect_equal(const sim::shop_summary& ours, const sim::shop_summary& plain) {
    EXPECT_EQ(ours.orders, plain.orders);
    EXPECT_EQ(ours.accepted, plain.accepted);
    EXPECT_EQ(ours.rejected, plain.rejected);
    EXPECT_EQ(ours.not_sent, 0U);
    EXPECT_EQ(ours.refused_orders, plain.refused_orders);
    EXPECT_EQ(ours.statuses, plain.statuses);
    EXPECT_EQ(ours.totals, plain.totals);
    EXPECT_EQ(ours.in_feed, plain.in_feed);
  }

  sim::options chosen;
  scratch_directory directory;
};

TEST_F(shop_feed, accounts_for_every_order_to_the_cent_whatever_the_window_and_the_threads) {
  const auto plain = computed_plainly();
  EXPECT_EQ(plain.orders, 8'135U);
  EXPECT_EQ(
    plain.in_feed,
    (sim::shop_totals{.items = 109'326'435, .freight = 17'228'839, .payments = 142'860'281}));
  expect_equal(*run().shop, plain);
  chosen.window = 1;
  expect_equal(*run().shop, plain);
  chosen.window = 100;
  chosen.engine.workers = 1;
  chosen.engine.commit = runtime::commit_by::worker;
  expect_equal(*run().shop, plain);
}

TEST_F(shop_feed, counts_every_refusal_by_its_code) {
  const auto done = run();
  EXPECT_EQ(done.shop->commands,
            (std::map<std::string, counts>{
              {"place", {{"accepted", 7'360}, {"empty_order", 775}}},
              {"pay",
               {{"accepted", 8'063},
                {"invalid_payment", 2},
                {"order_not_found", 830},
                {"over_payment", 29}}},
              {"ship", {{"accepted", 6'349}, {"order_not_found", 4}}},
              {"deliver", {{"accepted", 5'165}, {"invalid_status_for_delivery", 5}}},
              {"cancel",
               {{"accepted", 392}, {"cannot_cancel_shipped_order", 75}, {"order_not_found", 767}}},
            }));
  std::uint64_t rejected = 0;
  for (const auto& [reason, count] : done.rejections)
    rejected += count;
  EXPECT_EQ(rejected, done.rejected);
  EXPECT_EQ(done.rejections.at("order_not_found"), 830U + 4U + 767U);
}

TEST_F(shop_feed, is_complete_in_a_store_that_is_opened_again) {
  chosen.durability = storage::durability::process;
  chosen.store = directory.path() / "store";
  const auto first = run();
  const auto again = run();
  EXPECT_EQ(again.accepted, 0U);
  EXPECT_EQ(again.log_events, first.log_events);
  EXPECT_EQ(again.commands + again.resumed, first.commands);
  expect_equal(*again.shop, *first.shop);
}

} // namespace
} // namespace acta::tests
