#include <acta/domain/orders/order.hpp>
#include <acta/domain/testing.hpp>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace acta::domain::orders {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using timers = std::map<timer_id, std::int64_t>;

item one_item(std::int64_t price, std::int32_t quantity = 1) {
  return {.product = "lamp", .category = "furniture", .quantity = quantity, .price = price};
}

/// An order of 100 cents: 2 lamps of 40, and 20 of freight.
place an_order() {
  return {.customer = "ada", .items = {one_item(40, 2)}, .freight = 20};
}

/// The same, to be paid within so many ns.
place an_order_within(std::chrono::nanoseconds limit) {
  auto command = an_order();
  command.pay_within = limit;
  return command;
}

auto placed(std::int64_t pay_until = 0) {
  return event<order_placed>([&](flatbuffers::FlatBufferBuilder& b) {
    const auto lamp = Createorder_itemDirect(b, "lamp", "furniture", 2, 40);
    const std::vector items{lamp};
    return Createorder_placedDirect(b, "ada", &items, 20, 100, pay_until);
  });
}
auto received(std::int64_t amount, std::int64_t due, const char* method = "card") {
  return event<payment_received>(
    [&](auto& b) { return Createpayment_receivedDirect(b, amount, due, method); });
}
auto paid() {
  return event<order_paid>([](auto& b) { return Createorder_paid(b, 100); });
}
auto shipped(std::int64_t due = 0) {
  return event<order_shipped>([&](auto& b) { return Createorder_shipped(b, due); });
}
auto delivered(std::int64_t due = 0) {
  return event<order_delivered>([&](auto& b) { return Createorder_delivered(b, due); });
}
auto cancelled(const char* reason, std::int64_t paid_back) {
  return event<order_cancelled>(
    [&](auto& b) { return Createorder_cancelledDirect(b, reason, paid_back); });
}

TEST(order, is_placed_with_customer_items_freight_and_their_total) {
  const auto after = given<order>().when(an_order());
  EXPECT_EQ(after, accepted(placed()));
  EXPECT_EQ(after.state(), (order::state{.total = 100, .paid = 0, .status = order_status::placed}));
}

TEST(order, is_placed_once) {
  EXPECT_EQ(given<order>(placed()).when(an_order()), rejected(refusal::order_already_exists));
  EXPECT_EQ(given<order>(placed(), cancelled("no", 0)).when(an_order()),
            rejected(refusal::order_already_exists));
}

TEST(order, has_1_to_100_items) {
  auto command = an_order();
  command.items.clear();
  EXPECT_EQ(given<order>().when(command), rejected(refusal::empty_order));
  command.items.assign(100, one_item(1));
  EXPECT_EQ(given<order>().when(command).state().total, 120);
  command.items.assign(101, one_item(1));
  EXPECT_EQ(given<order>().when(command), rejected(refusal::too_many_items));
}

TEST(order, has_items_of_positive_quantity_and_price) {
  for (const auto& bad : {one_item(0), one_item(-1), one_item(1, 0), one_item(1, -1),
                          one_item(max_price + 1), one_item(1, max_quantity + 1)}) {
    auto command = an_order();
    command.items.push_back(bad);
    const auto after = given<order>().when(command);
    EXPECT_EQ(after, rejected(refusal::invalid_item));
    EXPECT_NE(after.rejection()->reason.find("item 2"), std::string::npos) << after;
  }
}

TEST(order, has_a_customer_products_and_texts_that_are_not_too_long) {
  const std::string longest(max_text, 'x');
  auto command = an_order();
  command.customer = longest;
  command.items.front() = {.product = longest, .category = longest, .quantity = 1, .price = 1};
  EXPECT_EQ(given<order>().when(command).rejection(), std::nullopt);
  command.items.front().category += "x";
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_item));
  command.items.front().category.clear();
  command.items.front().product += "x";
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_item));
  command.items.front().product.clear();
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_item));
  command.items.front().product = "lamp";
  EXPECT_EQ(given<order>().when(command).rejection(), std::nullopt) << "a category may be empty";
  command.customer += "x";
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_customer));
  command.customer.clear();
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_customer));
}

TEST(order, has_freight_that_may_be_nothing) {
  auto command = an_order();
  command.freight = 0;
  EXPECT_EQ(given<order>().when(command).state().total, 80);
  command.freight = -1;
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_freight));
  command.freight = max_price + 1;
  EXPECT_EQ(given<order>().when(command), rejected(refusal::invalid_freight));
}

TEST(order, may_be_as_large_as_can_be_and_is_one_event) {
  place largest{.customer = std::string(max_text, 'c'), .items = {}, .freight = max_price};
  largest.items.assign(max_items, {.product = std::string(max_text, 'p'),
                                   .category = std::string(max_text, 'k'),
                                   .quantity = max_quantity,
                                   .price = max_price});
  const auto after = given<order>().when(largest).when(pay{max_total - 1, ""}).when(pay{1, ""});
  EXPECT_EQ(after.rejection(), std::nullopt);
  EXPECT_EQ(after.state().paid, 100'000'100'000'000'000);
  EXPECT_LT(after.history().events().front().payload().size(), limits::max_payload_size / 4);
}

TEST(order, is_paid_in_parts_until_they_reach_the_total) {
  const auto part = given<order>(placed()).when(pay{30, "voucher"});
  EXPECT_EQ(part, accepted(received(30, 70, "voucher")));
  EXPECT_EQ(part.state().status, order_status::placed);
  const auto all = part.when(pay{70, "card"});
  EXPECT_EQ(all, accepted(received(70, 0), paid()));
  EXPECT_EQ(all.state().status, order_status::paid);
  EXPECT_EQ(all.when(pay{1, ""}), rejected(refusal::order_already_paid));
}

TEST(order, takes_no_more_than_is_due) {
  EXPECT_EQ(given<order>(placed()).when(pay{101, ""}), rejected(refusal::over_payment));
  const auto after = given<order>(placed(), received(30, 70)).when(pay{71, ""});
  EXPECT_EQ(after, rejected(refusal::over_payment));
  EXPECT_EQ(after.rejection()->reason, "over_payment: 70 cents are due, and 71 were paid");
}

TEST(order, takes_positive_payments) {
  EXPECT_EQ(given<order>(placed()).when(pay{0, ""}), rejected(refusal::invalid_payment));
  EXPECT_EQ(given<order>(placed()).when(pay{-5, ""}), rejected(refusal::invalid_payment));
  EXPECT_EQ(given<order>(placed()).when(pay{5, std::string(max_text + 1, 'm')}),
            rejected(refusal::invalid_payment));
}

TEST(order, is_shipped_when_placed_or_paid) {
  EXPECT_EQ(given<order>(placed()).when(ship{}), accepted(shipped(100)));
  EXPECT_EQ(given<order>(placed(), received(100, 0), paid()).when(ship{}), accepted(shipped()));
  EXPECT_EQ(given<order>(placed(), shipped(100)).when(ship{}),
            rejected(refusal::invalid_status_for_shipping));
  EXPECT_EQ(given<order>(placed(), shipped(100), delivered(100)).when(ship{}),
            rejected(refusal::invalid_status_for_shipping));
  EXPECT_EQ(given<order>(placed(), cancelled("no", 0)).when(ship{}),
            rejected(refusal::invalid_status_for_shipping));
}

TEST(order, is_delivered_once_it_is_shipped) {
  EXPECT_EQ(given<order>(placed(), shipped(100)).when(deliver{}), accepted(delivered(100)));
  EXPECT_EQ(given<order>(placed()).when(deliver{}), rejected(refusal::invalid_status_for_delivery));
  EXPECT_EQ(given<order>(placed(), shipped(100), delivered(100)).when(deliver{}),
            rejected(refusal::invalid_status_for_delivery));
}

TEST(order, may_be_paid_after_it_is_shipped_and_stays_so) {
  const auto after = given<order>(placed(), shipped(100)).when(pay{100, "card"});
  EXPECT_EQ(after, accepted(received(100, 0), paid()));
  EXPECT_EQ(after.state().status, order_status::shipped);
  EXPECT_EQ(after.when(deliver{}).state().status, order_status::delivered);
}

TEST(order, is_cancelled_with_a_reason_and_tells_what_to_pay_back) {
  const auto after = given<order>(placed(), received(30, 70)).when(cancel{"too slow"});
  EXPECT_EQ(after, accepted(cancelled("too slow", 30)));
  EXPECT_EQ(after.when(cancel{"again"}), rejected(refusal::already_cancelled));
  EXPECT_EQ(after.when(pay{70, ""}), rejected(refusal::already_cancelled));
  EXPECT_EQ(given<order>(placed()).when(cancel{""}), rejected(refusal::invalid_reason));
  EXPECT_EQ(given<order>(placed()).when(cancel{std::string(max_text + 1, 'r')}),
            rejected(refusal::invalid_reason));
}

TEST(order, is_not_cancelled_once_it_is_shipped) {
  EXPECT_EQ(given<order>(placed(), shipped()).when(cancel{"late"}),
            rejected(refusal::cannot_cancel_shipped_order));
  EXPECT_EQ(given<order>(placed(), shipped(), delivered()).when(cancel{"late"}),
            rejected(refusal::cannot_cancel_shipped_order));
}

/// Placed at 1,000, to be paid within 500.
history<order> limited() {
  return given<order>().at(1'000).when(an_order_within(500ns)).history();
}

TEST(order, that_is_not_paid_in_time_is_cancelled_by_its_timer) {
  const auto after = given<order>().at(1'000).when(an_order_within(500ns));
  EXPECT_EQ(after, accepted(placed(1'500)));
  EXPECT_EQ(after.timers(), (timers{{order::timer::payment, 1'500}}));
  const auto late = after.at(1'500).when_timer(order::timer::payment);
  EXPECT_EQ(late, accepted(cancelled("not paid in time", 0)));
  EXPECT_EQ(late.timers(), timers{});
  EXPECT_EQ(late.when(pay{100, "card"}), rejected(refusal::already_cancelled));
}

TEST(order, has_the_same_time_limit_after_a_part_is_paid_which_is_to_be_paid_back_then) {
  const auto part = limited().at(1'499).when(pay{30, "voucher"});
  EXPECT_EQ(part.timers(), (timers{{order::timer::payment, 1'500}}));
  EXPECT_EQ(part.at(1'500).when_timer(order::timer::payment),
            accepted(cancelled("not paid in time", 30)));
}

TEST(order, has_no_time_limit_any_more_once_it_is_paid_shipped_or_cancelled) {
  const auto paid_in_full = limited().when(pay{30, "voucher"}).when(pay{70, "card"});
  EXPECT_EQ(paid_in_full, accepted(received(70, 0), paid()));
  EXPECT_EQ(paid_in_full.timers(), timers{});
  const auto by_invoice = limited().when(ship{});
  EXPECT_EQ(by_invoice, accepted(shipped(100)));
  EXPECT_EQ(by_invoice.timers(), timers{});
  EXPECT_EQ(limited().when(cancel{"too slow"}).timers(), timers{});
}

TEST(order, has_no_timer_without_a_time_limit) {
  const auto after = given<order>().at(1'000).when(an_order());
  EXPECT_EQ(after, accepted(placed(0)));
  EXPECT_EQ(after.timers(), timers{});
}

TEST(order, has_a_time_limit_of_a_year_at_most) {
  const auto longest = given<order>().at(1'000).when(an_order_within(max_pay_within));
  EXPECT_EQ(longest.timers(), (timers{{order::timer::payment, 1'000 + max_pay_within.count()}}));
  EXPECT_EQ(given<order>().when(an_order_within(max_pay_within + 1ns)),
            rejected(refusal::invalid_time_limit));
  EXPECT_EQ(given<order>().when(an_order_within(-1ns)), rejected(refusal::invalid_time_limit));
}

TEST(order, refuses_everything_but_place_while_it_is_not_placed) {
  for (const order::command& command : {order::command(pay{1, ""}), order::command(ship{}),
                                        order::command(deliver{}), order::command(cancel{"no"})})
    EXPECT_EQ(given<order>().when(command), rejected(refusal::order_not_found));
}

TEST(order, is_closed_when_cancelled_or_delivered_and_paid) {
  EXPECT_FALSE(order::closed(given<order>().state()));
  EXPECT_FALSE(order::closed(given<order>(placed(), shipped(100), delivered(100)).state()));
  EXPECT_FALSE(order::closed(given<order>(placed(), received(100, 0), paid(), shipped()).state()));
  EXPECT_TRUE(order::closed(
    given<order>(placed(), received(100, 0), paid(), shipped(), delivered()).state()));
  EXPECT_TRUE(order::closed(given<order>(placed(), cancelled("no", 0)).state()));
}

TEST(order, is_small_in_memory) {
  EXPECT_LE(sizeof(order::state), 24U);
}

TEST(order, has_pinned_refusal_codes_with_names) {
  EXPECT_EQ(static_cast<int>(refusal::order_not_found), 1);
  EXPECT_EQ(static_cast<int>(refusal::order_already_exists), 2);
  EXPECT_EQ(static_cast<int>(refusal::empty_order), 3);
  EXPECT_EQ(static_cast<int>(refusal::too_many_items), 4);
  EXPECT_EQ(static_cast<int>(refusal::order_already_paid), 5);
  EXPECT_EQ(static_cast<int>(refusal::invalid_status_for_shipping), 6);
  EXPECT_EQ(static_cast<int>(refusal::cannot_cancel_shipped_order), 7);
  EXPECT_EQ(static_cast<int>(refusal::already_cancelled), 8);
  EXPECT_EQ(static_cast<int>(refusal::invalid_customer), 9);
  EXPECT_EQ(static_cast<int>(refusal::invalid_item), 10);
  EXPECT_EQ(static_cast<int>(refusal::invalid_freight), 11);
  EXPECT_EQ(static_cast<int>(refusal::invalid_payment), 12);
  EXPECT_EQ(static_cast<int>(refusal::over_payment), 13);
  EXPECT_EQ(static_cast<int>(refusal::invalid_status_for_delivery), 14);
  EXPECT_EQ(static_cast<int>(refusal::invalid_reason), 15);
  EXPECT_EQ(static_cast<int>(refusal::invalid_time_limit), 21);
  EXPECT_EQ(name(refusal::empty_order), "empty_order");
}

/// A command; nothing: the time limit passes, if there is one.
rc::Gen<std::optional<order::command>> any_step() {
  using step = std::optional<order::command>;
  const auto amount = rc::gen::inRange<std::int64_t>(-1, 60);
  const auto quantity = rc::gen::inRange<std::int32_t>(0, 4);
  const auto some_item = rc::gen::apply(
    [](auto price, auto number) { return one_item(price, number); }, amount, quantity);
  const auto some_items = rc::gen::resize(3, rc::gen::container<std::vector<item>>(some_item));
  const auto limit = rc::gen::element(0ns, 500ns);
  return rc::gen::weightedOneOf<step>(
    {{2, rc::gen::apply(
           [](auto items, auto freight, auto within) -> step {
             return place{.customer = "ada",
                          .items = std::move(items),
                          .freight = freight,
                          .pay_within = within};
           },
           some_items, amount, limit)},
     {5, rc::gen::map(amount, [](auto a) -> step { return pay{a, "card"}; })},
     {1, rc::gen::just<step>(ship{})},
     {1, rc::gen::just<step>(deliver{})},
     {1, rc::gen::just<step>(cancel{"no"})},
     {1, rc::gen::just<step>(std::nullopt)}});
}

/// What the read models would have, from the events alone.
struct books {
  std::int64_t total = 0;
  std::int64_t paid = 0;
  bool has_limit = false;
  int times_placed = 0, times_paid = 0, times_shipped = 0, times_delivered = 0, times_cancelled = 0;

  void take(const any_event& event) {
    if (const auto* placed = event.as<order_placed>()) {
      ++times_placed;
      total = placed->freight();
      for (const auto* one : *placed->items())
        total += one->price() * one->quantity();
      RC_ASSERT(total == placed->total());
      has_limit = placed->pay_until() != 0;
    } else if (const auto* received = event.as<payment_received>()) {
      RC_ASSERT(received->amount() > 0);
      paid += received->amount();
      RC_ASSERT(received->due() == total - paid);
    } else if (const auto* back = event.as<order_cancelled>()) {
      ++times_cancelled;
      RC_ASSERT(back->paid() == paid);
    }
    times_paid += event.as<order_paid>() != nullptr ? 1 : 0;
    times_shipped += event.as<order_shipped>() != nullptr ? 1 : 0;
    times_delivered += event.as<order_delivered>() != nullptr ? 1 : 0;
  }
};

/// Over any commands: the state is what the events say; nothing happens twice, out of order, or to
/// an order that is closed; a time limit is pending as long as it has a meaning; and all that the
/// kit looks for holds.
TEST(order, keeps_its_books_balanced_whatever_is_sent) {
  EXPECT_TRUE(rc::check([] {
    auto now = given<order>();
    books seen;
    for (const auto& step :
         *rc::gen::container<std::vector<std::optional<order::command>>>(any_step())) {
      if (!step && now.timers().empty())
        continue;
      const bool was_closed = order::closed(now.state());
      const auto after = step ? now.when(*step) : now.when_timer(order::timer::payment);
      RC_ASSERT(after.problems().empty());
      RC_ASSERT(after.rejection() || !was_closed);
      RC_ASSERT(after.rejection().has_value() == after.events().empty());
      for (const auto& event : after.events())
        seen.take(event);
      RC_ASSERT(after.state().total == seen.total);
      RC_ASSERT(after.state().paid == seen.paid);
      RC_ASSERT(0 <= seen.paid && seen.paid <= seen.total);
      RC_ASSERT((seen.times_paid == 1) == (seen.total > 0 && seen.paid == seen.total));
      RC_ASSERT(seen.times_placed <= 1 && seen.times_paid <= seen.times_placed);
      RC_ASSERT(seen.times_delivered <= seen.times_shipped);
      RC_ASSERT(after.timers().empty()
                == (!seen.has_limit || after.state().status != order_status::placed));
      RC_ASSERT(seen.times_shipped + seen.times_cancelled <= seen.times_placed);
      now = after.history();
    }
  }));
}

} // namespace
} // namespace acta::domain::orders
