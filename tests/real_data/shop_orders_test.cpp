// The orders of a real marketplace (Olist), each as the commands that its history says, in order of
// time. The file has no time of a cancellation: it comes last. A payment is dated by the order's
// approval, or by the purchase where it was never approved.
#include "../support/recorded_data.hpp"

#include "decimal.hpp"

#include <acta/domain/orders/order.hpp>
#include <acta/domain/testing.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::orders;
using domain::testing::given;

using cents = std::int64_t;
/// In order of time; those of one time in the order they came.
using dated_commands = std::multimap<std::string, order::command>;
constexpr const char* at_the_end = "9999";

cents to_cents(const std::string& text) {
  const auto price = sim::parse_price(text);
  EXPECT_TRUE(price) << text;
  constexpr auto cent = sim::price_unit / 100;
  EXPECT_EQ(price.value_or(0) % cent, 0) << text;
  return price.value_or(0) / cent;
}

/// The marketplace's orders as commands.
class marketplace {
public:
  explicit marketplace(const std::filesystem::path& data)
      : orders_(read_csv(data / "olist_orders_dataset.csv")) {
    read_items(data);
    read_payments(data);
  }

  [[nodiscard]] const std::vector<std::vector<std::string>>& orders() const noexcept {
    return orders_.rows;
  }

  [[nodiscard]] dated_commands commands_of(const std::vector<std::string>& row) const {
    const auto field = [&](const char* name) { return row[orders_.column(name)]; };
    const auto purchased = field("order_purchase_timestamp");
    const auto approved = field("order_approved_at");
    dated_commands commands;
    auto placed = places_.contains(field("order_id")) ? places_.at(field("order_id")) : place{};
    placed.customer = field("customer_id");
    commands.emplace(purchased, std::move(placed));
    if (const auto paid = payments_.find(field("order_id")); paid != payments_.end())
      for (const auto& [number, payment] : paid->second)
        commands.emplace(approved.empty() ? purchased : approved, payment);
    if (const auto shipped = field("order_delivered_carrier_date"); !shipped.empty())
      commands.emplace(shipped, ship{});
    if (const auto delivered = field("order_delivered_customer_date"); !delivered.empty())
      commands.emplace(delivered, deliver{});
    if (const auto status = field("order_status"); status == "canceled" || status == "unavailable")
      commands.emplace(at_the_end, cancel{status});
    return commands;
  }

private:
  void read_items(const std::filesystem::path& data) {
    const auto products = read_csv(data / "olist_products_dataset.csv");
    std::map<std::string, std::string> categories;
    for (const auto& row : products.rows)
      categories[row[products.column("product_id")]] =
        row[products.column("product_category_name")];
    const auto items = read_csv(data / "olist_order_items_dataset.csv");
    for (const auto& row : items.rows) {
      auto& to = places_[row[items.column("order_id")]];
      const auto product = row[items.column("product_id")];
      to.items.push_back({.product = product,
                          .category = categories.at(product),
                          .quantity = 1,
                          .price = to_cents(row[items.column("price")])});
      to.freight += to_cents(row[items.column("freight_value")]);
    }
  }
  void read_payments(const std::filesystem::path& data) {
    const auto payments = read_csv(data / "olist_order_payments_dataset.csv");
    for (const auto& row : payments.rows)
      payments_[row[payments.column("order_id")]]
               [std::stoi(row[payments.column("payment_sequential")])] =
                 pay{.amount = to_cents(row[payments.column("payment_value")]),
                     .method = row[payments.column("payment_type")]};
  }

  csv_table orders_;
  std::map<std::string, place> places_;
  std::map<std::string, std::map<int, pay>> payments_;
};

/// What the orders' events and refusals add up to.
struct ledger {
  std::map<std::string, int> answers; ///< "ship: order_not_found", and how often.
  std::map<order_status, int> statuses;
  cents items = 0, freight = 0, received = 0;
  cents refused = 0; ///< Of payments.
  int paid_to_the_cent = 0, paid_in_parts = 0;
  std::size_t most_payments = 0;
};

constexpr std::array<std::string_view, 5> command_names{"place", "pay", "ship", "deliver",
                                                        "cancel"};

void enter(ledger& into, const order::command& command,
           const domain::testing::outcome<order>& after) {
  EXPECT_TRUE(after.problems().empty()) << after;
  const auto* payment = std::get_if<pay>(&command);
  std::string answer(command_names.at(command.index()));
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

ledger replay(const marketplace& shop) {
  ledger all;
  for (const auto& row : shop.orders()) {
    auto now = given<order>();
    std::size_t payments = 0;
    for (const auto& [when, command] : shop.commands_of(row)) {
      const auto after = now.when(command);
      enter(all, command, after);
      payments += std::holds_alternative<pay>(command) ? 1U : 0U;
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

class shop_orders : public ::testing::Test {
protected:
  void SetUp() override {
    const auto data = recorded_data() / "olist";
    if (!std::filesystem::exists(data / "olist_orders_dataset.csv"))
      GTEST_SKIP() << "no recorded orders in " << data << "; set ACTA_DATA_DIR";
    all = replay(marketplace(data));
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

} // namespace
} // namespace acta::tests
