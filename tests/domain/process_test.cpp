#include <acta/domain/orders/refunds.hpp>
#include <acta/domain/testing/process.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace acta::domain::orders {
namespace {

using namespace testing;

auto cancelled(std::int64_t paid) {
  return event<order_cancelled>(
    [&](auto& b) { return Createorder_cancelledDirect(b, "too slow", paid); });
}
auto confirmed(std::int64_t amount) {
  return event<refund_confirmed>(
    [&](auto& b) { return Createrefund_confirmedDirect(b, amount, "transfer 7"); });
}
event_origin of(std::uint64_t key) {
  return {.key = key, .category = "order", .version = {}, .position = {}};
}

TEST(refunds, ask_for_what_was_paid_of_a_cancelled_order) {
  process<refunds> shop;
  const auto sent = shop.sees(cancelled(500), of(7));
  ASSERT_TRUE(sent);
  ASSERT_EQ(sent->size(), 1U);
  EXPECT_EQ(key_of(sent->front()), stream_key(std::uint64_t{7}));
  const auto* asked = command_in<refund, request_refund>(sent->front());
  ASSERT_NE(asked, nullptr);
  EXPECT_EQ(asked->amount, 500);
  EXPECT_EQ(asked->reason, "too slow");
  EXPECT_EQ((command_in<refund, confirm_refund>(sent->front())), nullptr);
  ASSERT_NE(shop.find(std::uint64_t{7}), nullptr);
  EXPECT_EQ(shop.find(std::uint64_t{7})->asked, 500);
}

TEST(refunds, end_when_the_money_has_gone_back) {
  process<refunds> shop;
  (void)shop.sees(cancelled(500), of(7));
  (void)shop.sees(cancelled(300), of(8));
  EXPECT_TRUE(shop.sees(confirmed(500), of(7))->empty());
  EXPECT_EQ(shop.size(), 1U);
  EXPECT_EQ(shop.find(std::uint64_t{7}), nullptr);
}

TEST(refunds, have_nothing_to_do_with_orders_that_were_not_paid) {
  process<refunds> shop;
  EXPECT_TRUE(shop.sees(cancelled(0), of(7))->empty());
  EXPECT_EQ(shop.size(), 0U);
}

TEST(refunds, take_a_refund_that_was_asked_for_before_as_theirs) {
  const sent_command<refunds> command =
    command_to<refund>{std::uint64_t{7}, request_refund{.amount = 5, .reason = "?"}};
  const auto answer = [&](std::uint16_t code) {
    return refunds::failed({}, {.command = command, .origin = of(7), .why = error(code, "")})
      .what();
  };
  EXPECT_EQ(answer(17), failure_action::skip);
  EXPECT_EQ(answer(18), failure_action::skip);
  EXPECT_EQ(answer(19), failure_action::stop);
}

/// Which must not be there when it starts, and must be when it ends.
struct strict {
  static constexpr std::string_view name = "strict";
  struct state {};
  using events = event_list<order_cancelled, refund_confirmed>;
  using targets = aggregate_list<refund>;
  static domain::route route(const order_cancelled&, const event_origin& from) {
    return start_new(from.key);
  }
  static domain::route route(const refund_confirmed&, const event_origin& from) {
    return must_continue(from.key);
  }
  static void handle(const state&, const auto&, const event_origin&, commands<strict>&) {}
  static void evolve(state&, const auto&, const event_origin&) noexcept {}
};

TEST(process_test, tells_where_a_strict_route_does_not_hold) {
  process<strict> of_shop;
  EXPECT_EQ(of_shop.sees(confirmed(5), of(7)).error().code(), errc::not_found);
  EXPECT_TRUE(of_shop.sees(cancelled(5), of(7)));
  EXPECT_TRUE(of_shop.sees(confirmed(5), of(7)));
  EXPECT_EQ(of_shop.sees(cancelled(5), of(7)).error().code(), errc::wrong_version);
}

} // namespace
} // namespace acta::domain::orders
