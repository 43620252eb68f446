// A shop's recorded orders: how they are read, and what becomes of them.
#include "../support/olist_files.hpp"
#include "../support/scratch_directory.hpp"

#include "olist_feed.hpp"
#include "options.hpp"
#include "shop_driver.hpp"
#include "shop_ledger.hpp"
#include "simulation.hpp"

#include <acta/base/clock.hpp>
#include <acta/base/date.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace acta::sim {
namespace {

namespace fs = std::filesystem;
using counts = std::map<std::string, std::uint64_t>;

/// "3: a pay 1200 credit_card".
std::string text_of(const shop_feed& feed, const shop_step& one) {
  auto text = fmt::format("{}: {} {}", one.record, feed.orders.at(one.order),
                          shop_driver::command_names.at(one.what.index()));
  if (const auto* placed = std::get_if<orders::place>(&one.what)) {
    text += fmt::format(" by {}, freight {}", placed->customer, placed->freight);
    for (const auto& item : placed->items)
      text +=
        fmt::format(", {}x {} ({}) {}", item.quantity, item.product, item.category, item.price);
  } else if (const auto* paid = std::get_if<orders::pay>(&one.what)) {
    text += fmt::format(" {} {}", paid->amount, paid->method);
  } else if (const auto* cancelled = std::get_if<orders::cancel>(&one.what)) {
    text += fmt::format(" {}", cancelled->reason);
  }
  return text;
}

class olist_feed : public ::testing::Test {
protected:
  /// What is wrong with the files.
  [[nodiscard]] std::string problem(errc expected = errc::malformed) const {
    const auto feed = read_olist(files.path());
    EXPECT_FALSE(feed);
    if (feed)
      return {};
    EXPECT_EQ(feed.error().code(), expected) << feed.error().message();
    return feed.error().message();
  }
  void expect_problem(const std::string& file, std::uint64_t line, const std::string& part) const {
    const auto message = problem();
    EXPECT_TRUE(message.starts_with(fmt::format("{}:{}: ", files.path(file).string(), line)))
      << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }

  tests::olist_files files;
};

TEST_F(olist_feed, is_every_orders_commands_in_the_order_of_their_times) {
  const auto feed = read_olist(files.path());
  ASSERT_TRUE(feed) << feed.error().message();
  EXPECT_EQ(feed->orders, (std::vector<std::string>{"e", "a", "b", "c", "d"})) << "as in the file";
  std::vector<std::string> steps;
  for (const auto& one : feed->steps)
    steps.push_back(text_of(*feed, one));
  const std::vector<std::string> expected{
    "1: a place by u1, freight 150, 1x p1 (toys, \"big\") 1000, 1x p2 () 550",
    "2: b place by u2, freight 0",
    "3: b pay 300 boleto",
    "4: b cancel canceled",
    "5: a pay 1200 credit_card",
    "6: a pay 500 voucher",
    "7: a ship",
    "8: c place by u1, freight 200, 1x p1 (toys, \"big\") 2000",
    "9: c pay 3000 credit_card",
    "10: c ship",
    "11: c cancel canceled",
    "12: a deliver",
    "13: d place by u1, freight 100, 1x p2 () 600",
    "14: d pay 700 debit_card",
    "15: d deliver",
    "16: d ship",
    "17: e place by u2, freight 0, 1x p1 (toys, \"big\") 400",
    "18: e pay 0 not_defined",
    "19: e cancel unavailable",
  };
  EXPECT_EQ(steps, expected);
  EXPECT_EQ(feed->totals, (shop_totals{.items = 4'550, .freight = 450, .payments = 5'700}));
}

TEST_F(olist_feed, has_a_fingerprint_that_every_file_has_a_part_in) {
  const auto first = read_olist(files.path());
  ASSERT_TRUE(first);
  EXPECT_NE(first->fingerprint, 0U);
  const auto fingerprint = [&] {
    const auto feed = read_olist(files.path());
    EXPECT_TRUE(feed);
    return feed ? feed->fingerprint : 0;
  };
  EXPECT_EQ(fingerprint(), first->fingerprint);
  for (const auto& [file, part] : std::map<std::string, std::string>{{"orders", "09:00:00"},
                                                                     {"items", "09:00:00"},
                                                                     {"payments", "voucher"},
                                                                     {"products", "toys"},
                                                                     {"customers", "rio"}}) {
    files.replace(file, part, part == "09:00:00" ? "09:00:01" : "other");
    EXPECT_NE(fingerprint(), first->fingerprint) << file;
    files.restore(file);
  }
}

TEST_F(olist_feed, names_a_directory_or_a_file_that_is_not_there) {
  const auto none = read_olist(files.path() / "none");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), errc::not_found);
  EXPECT_NE(none.error().message().find("none' is no directory"), std::string::npos);
  EXPECT_FALSE(read_olist(files.path("orders"))) << "a file is none";
  for (const char* name : {"orders", "items", "payments", "products", "customers"}) {
    fs::remove(files.path(name));
    EXPECT_NE(problem(errc::not_found).find(files.path(name).filename().string()),
              std::string::npos);
    files.restore(name);
  }
}

TEST_F(olist_feed, names_the_file_the_line_and_the_column_of_what_is_malformed) {
  const auto expect = [&](const std::string& file, const std::string& what, const std::string& by,
                          std::uint64_t line, const std::string& part) {
    SCOPED_TRACE(by);
    files.replace(file, what, by);
    expect_problem(file, line, part);
    files.restore(file);
  };
  expect("orders", "order_approved_at", "approved", 1, "no column 'order_approved_at'");
  expect("customers", "customer_id", "id", 1, "no column 'customer_id'");
  expect("items", "a,2,", "a,two,", 2, "'order_item_id' is 'two'");
  expect("items", "5.5", "5.555", 2, "'price' is '5.555'");
  expect("items", "5.5", "5,5", 2, "8 columns, where the first line has 7");
  expect("items", "0.50", "free", 2, "'freight_value' is 'free'");
  expect("items", "c,1", "x,1", 4, "'order_id' is 'x'");
  expect("items", "c,1,p1", "c,1,p9", 4, "'product_id' is 'p9'");
  expect("payments", "5.00", "5.", 2, "'payment_value' is '5.'");
  expect("payments", "b,1", "b,-1", 4, "'payment_sequential' is '-1'");
  expect("payments", "b,1", "B,1", 4, "'order_id' is 'B'");
  expect("orders", "e,c2", "e,c9", 2, "'customer_id' is 'c9'");
  expect("orders", "e,c2", ",c2", 2, "'order_id' is ''");
  expect("orders", "e,c2", std::string(65, 'e') + ",c2", 2, "1 to 64 bytes");
  expect("orders", "b,c2", "a,c2", 4, "'order_id' is 'a'");
  expect("orders", "unavailable", "unavailible", 2, "'order_status' is 'unavailible'");
  for (const char* bad : {"2017-01-09", "2017-01-09T08:00:00", "2017-02-29 08:00:00",
                          "2017-01-09 24:00:00", "2017-01-09 08:00:00Z", "yesterday"})
    expect("orders", "2017-01-09 08:00:00", bad, 2, "'order_purchase_timestamp' is '");
  expect("orders", "2017-01-09 08:00:00", "", 2, "'order_purchase_timestamp' is ''");
  expect("orders", "2017-01-05 12:00:00", "soon", 3, "'order_delivered_customer_date' is 'soon'");
  expect("products", "\"\"big\"\"\"", "", 2, "no other closes it");
}

/// Any bytes give a feed or an error, never a crash.
TEST_F(olist_feed, of_any_bytes_does_no_harm) {
  std::mt19937 random(5);
  const std::string alphabet = "0123456789,.\n-abc\"\"\r:";
  for (int round = 0; round < 60; ++round)
    for (const std::string name : {"orders", "items", "payments", "products", "customers"}) {
      std::string text;
      for (auto size = random() % 40; size != 0; --size)
        text += alphabet[random() % alphabet.size()];
      files.replace(name, "\n", "\n" + text);
      (void)read_olist(files.path());
      if (random() % 3 != 0)
        files.restore(name);
    }
}

const counts place_outcomes{{"accepted", 4}, {"empty_order", 1}};

class shop : public ::testing::Test {
protected:
  void SetUp() override {
    chosen.quiet = true;
    chosen.feed = feed_kind::olist;
    chosen.feed_file = files.path();
    chosen.durability = storage::durability::memory;
  }
  report run(bool stop = false) {
    const std::atomic<bool> interrupted = stop;
    auto done = simulate(chosen, interrupted);
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    auto made = done.value_or(report{});
    if (!made.shop)
      made.shop.emplace();
    return made;
  }
  static void expect_answers(const shop_summary& of) {
    EXPECT_EQ(of.orders, 5U);
    EXPECT_EQ(of.accepted, 4U);
    EXPECT_EQ(of.rejected, 1U);
    EXPECT_EQ(of.not_sent, 0U);
    EXPECT_EQ(of.statuses, (counts{{"cancelled", 1}, {"delivered", 1}, {"shipped", 2}}));
    EXPECT_EQ(of.refused_orders, (counts{{"empty_order", 1}}));
    EXPECT_EQ(of.totals, (shop_totals{.items = 4'550, .freight = 450, .payments = 2'400}));
    EXPECT_EQ(of.in_feed, (shop_totals{.items = 4'550, .freight = 450, .payments = 5'700}));
  }

  tests::olist_files files;
  tests::scratch_directory directory;
  options chosen;
};

TEST_F(shop, decides_every_order_and_counts_what_it_refuses) {
  for (const std::size_t window : {1U, 3U, 8'192U}) {
    chosen.window = window;
    const auto done = run();
    expect_answers(*done.shop);
    EXPECT_EQ(
      done.shop->commands,
      (std::map<std::string, counts>{
        {"place", place_outcomes},
        {"pay",
         {{"accepted", 3}, {"invalid_payment", 1}, {"order_not_found", 1}, {"over_payment", 1}}},
        {"ship", {{"accepted", 3}}},
        {"deliver", {{"accepted", 1}, {"invalid_status_for_delivery", 1}}},
        {"cancel", {{"accepted", 1}, {"cannot_cancel_shipped_order", 1}, {"order_not_found", 1}}},
      }));
    EXPECT_EQ(done.rejections, (counts{{"cannot_cancel_shipped_order", 1},
                                       {"empty_order", 1},
                                       {"invalid_payment", 1},
                                       {"invalid_status_for_delivery", 1},
                                       {"order_not_found", 2},
                                       {"over_payment", 1}}));
    EXPECT_EQ(done.commands, 19U);
    EXPECT_EQ(done.accepted, 12U);
    EXPECT_EQ(done.rejected, 7U);
    EXPECT_EQ(done.aggregates, 4U);
    EXPECT_EQ(done.events, 12U + 2U) << "an order paid in full is told besides";
  }
}

TEST_F(shop, keeps_its_orders_by_the_names_the_shop_gave_them) {
  chosen.durability = storage::durability::process;
  chosen.store = directory.path() / "store";
  run();
  const auto log = storage::open_log_for_reading(chosen.store);
  ASSERT_TRUE(log) << log.error().message();
  const auto snapshot = (*log)->snapshot();
  const auto cursor = (*snapshot)->scan(log_position(1));
  const auto records = (*cursor)->next();
  ASSERT_TRUE(records);
  const auto& first = records->front();
  EXPECT_EQ(first.stream().to_string("order"), "order/a");
  const auto* placed = domain::verified<orders::order_placed>(first.payload());
  ASSERT_NE(placed, nullptr);
  EXPECT_EQ(placed->customer()->str(), "u1");
  EXPECT_EQ(placed->items()->size(), 2U);
  EXPECT_EQ(placed->total(), 1'700);
}

TEST_F(shop, sends_nothing_again_that_its_store_has) {
  chosen.durability = storage::durability::process;
  chosen.store = directory.path() / "store";
  const auto first = run();
  const auto again = run();
  EXPECT_EQ(again.log_events, first.log_events);
  EXPECT_EQ(again.accepted, 0U);
  EXPECT_EQ(again.commands + again.resumed, 19U);
  expect_answers(*again.shop);
}

TEST_F(shop, accounts_for_the_orders_of_a_run_that_was_interrupted) {
  const auto done = run(true);
  EXPECT_TRUE(done.interrupted);
  EXPECT_EQ(done.commands, 0U);
  EXPECT_EQ(done.shop->not_sent, 5U);
  EXPECT_EQ(done.shop->rejected, 0U);
}

shop_ledger ledger_of(const storage::event_log& log, const shop_feed& feed) {
  projections::memory_view<shop_ledger> view{shop_ledger(feed.fingerprint)};
  EXPECT_TRUE(projections::replay(log, view));
  return view.read([](const shop_ledger& now) { return now; });
}

/// Each record's date is the time of the feed's record that it came from.
void expect_the_feeds_dates(const storage::event_log& log, const shop_feed& feed) {
  const auto snapshot = log.snapshot();
  ASSERT_TRUE(snapshot);
  const auto cursor = (*snapshot)->scan(log_position(1));
  ASSERT_TRUE(cursor);
  std::uint64_t seen = 0;
  for (auto records = (*cursor)->next(); records && !records->empty(); records = (*cursor)->next())
    for (const auto& record : *records) {
      const auto& from = feed.steps.at(record.header().command.low() - 1);
      EXPECT_EQ(date_text(record.header().recorded_at_ns), date_text(from.at_ns)) << from.record;
      ++seen;
    }
  EXPECT_EQ(seen, log.tail().value());
  EXPECT_GT(seen, 0U);
}

/// Stopped after each number of commands, then run again: the end is that of a run that was not.
TEST_F(shop, goes_on_wherever_it_was_interrupted) {
  const auto feed = read_olist(files.path());
  ASSERT_TRUE(feed);
  const std::atomic<bool> interrupted = false;
  for (std::size_t stop_after = 0; stop_after <= feed->steps.size(); ++stop_after) {
    auto begun = *feed;
    begun.steps.resize(stop_after);
    manual_clock clock;
    const auto engine =
      runtime::engine::open<orders::order>(storage::make_memory_log(), {.clock = &clock});
    ASSERT_TRUE(engine);
    std::vector<shop_ledger> befores;
    befores.reserve(2); // a driver refers to its own
    const auto drive = [&](const shop_feed& with) {
      befores.push_back(ledger_of((*engine)->log(), with));
      auto made = std::make_unique<shop_driver>(shop_driver::parts{.engine = **engine,
                                                                   .clock = clock,
                                                                   .feed = with,
                                                                   .before = befores.back(),
                                                                   .window = 4,
                                                                   .interrupted = interrupted,
                                                                   .on_progress = [] {}});
      EXPECT_TRUE(made->run());
      return made;
    };
    const auto first = drive(begun);
    const auto second = drive(*feed);
    (*engine)->stop();
    EXPECT_GE(second->left_out(), first->results().accepted);
    EXPECT_EQ(first->results().accepted + second->results().accepted, 12U) << stop_after;
    expect_the_feeds_dates((*engine)->log(), *feed);
    std::string accounts;
    const auto after = ledger_of((*engine)->log(), *feed);
    for (const char* order : {"a", "b", "c", "d", "e"})
      accounts +=
        fmt::format("{} {} {}, ", order, orders::EnumNameorder_status(after.of(order).state.status),
                    after.of(order).state.paid);
    EXPECT_EQ(accounts, "a delivered 1700, b none 0, c shipped 0, d shipped 700, e cancelled 0, ")
      << stop_after;
  }
}

TEST_F(shop, says_what_is_wrong_with_its_feed) {
  chosen.feed_file = directory.path() / "none";
  const std::atomic<bool> interrupted = false;
  const auto done = simulate(chosen, interrupted);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::not_found);
}

} // namespace
} // namespace acta::sim
