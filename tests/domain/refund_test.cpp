#include <acta/domain/orders/refund.hpp>
#include <acta/domain/testing.hpp>

#include <gtest/gtest.h>

#include <string>

namespace acta::domain::orders {
namespace {

using namespace testing;

auto requested(std::int64_t amount) {
  return event<refund_requested>(
    [&](auto& b) { return Createrefund_requestedDirect(b, amount, "too slow"); });
}
auto confirmed(std::int64_t amount) {
  return event<refund_confirmed>(
    [&](auto& b) { return Createrefund_confirmedDirect(b, amount, "transfer 7"); });
}

TEST(refund, is_requested_and_confirmed) {
  const auto asked = given<refund>().when(request_refund{30, "too slow"});
  EXPECT_EQ(asked, accepted(requested(30)));
  EXPECT_FALSE(refund::closed(asked.state()));
  const auto done = asked.when(confirm_refund{"transfer 7"});
  EXPECT_EQ(done, accepted(confirmed(30)));
  EXPECT_TRUE(refund::closed(done.state()));
}

TEST(refund, is_requested_once) {
  EXPECT_EQ(given<refund>(requested(30)).when(request_refund{30, "too slow"}),
            rejected(refusal::refund_already_requested));
  EXPECT_EQ(given<refund>(requested(30), confirmed(30)).when(request_refund{30, "too slow"}),
            rejected(refusal::refund_already_requested));
}

TEST(refund, is_confirmed_once_and_only_if_requested) {
  EXPECT_EQ(given<refund>().when(confirm_refund{"7"}), rejected(refusal::refund_not_found));
  EXPECT_EQ(given<refund>(requested(30), confirmed(30)).when(confirm_refund{"7"}),
            rejected(refusal::refund_already_confirmed));
}

TEST(refund, has_an_amount_a_reason_and_a_reference) {
  EXPECT_EQ(given<refund>().when(request_refund{0, "x"}), rejected(refusal::invalid_refund));
  EXPECT_EQ(given<refund>().when(request_refund{-1, "x"}), rejected(refusal::invalid_refund));
  EXPECT_EQ(given<refund>().when(request_refund{max_total, "x"}).state().amount, max_total);
  EXPECT_EQ(given<refund>().when(request_refund{max_total + 1, "x"}),
            rejected(refusal::invalid_refund));
  EXPECT_EQ(given<refund>().when(request_refund{1, ""}), rejected(refusal::invalid_reason));
  EXPECT_EQ(given<refund>(requested(1)).when(confirm_refund{""}),
            rejected(refusal::invalid_reference));
  EXPECT_EQ(given<refund>(requested(1)).when(confirm_refund{std::string(max_text + 1, 'x')}),
            rejected(refusal::invalid_reference));
}

TEST(refund, has_pinned_refusal_codes) {
  EXPECT_EQ(static_cast<int>(refusal::refund_not_found), 16);
  EXPECT_EQ(static_cast<int>(refusal::refund_already_requested), 17);
  EXPECT_EQ(static_cast<int>(refusal::refund_already_confirmed), 18);
  EXPECT_EQ(static_cast<int>(refusal::invalid_refund), 19);
  EXPECT_EQ(static_cast<int>(refusal::invalid_reference), 20);
}

} // namespace
} // namespace acta::domain::orders
