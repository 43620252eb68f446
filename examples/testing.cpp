// An aggregate and its tests, with GoogleTest. Run: testing
#include <acta/domain/aggregate.hpp>
#include <acta/domain/testing.hpp>

#include "testing_generated.h" // made by flatc from testing.fbs

#include <gtest/gtest.h>

#include <cstdint>
#include <expected>
#include <string_view>
#include <utility>
#include <variant>

namespace example {

using namespace acta;

enum class refusal : std::uint16_t { no_seats = 1, closed = 2, too_late = 3 };
constexpr std::string_view name(refusal code) {
  return code == refusal::no_seats ? "no_seats" : code == refusal::closed ? "closed" : "too_late";
}

struct sell {
  std::uint32_t seats;
};
struct close_sale {};
/// Answered with how many seats are left.
struct sell_until {
  using reply = std::uint32_t;
  std::uint32_t seats;
  std::int64_t end_ns;
};

/// A show of 100 seats.
struct show {
  static constexpr std::string_view category = "show";
  struct state {
    std::uint32_t left = 100;
    bool closed = false;
    bool operator==(const state&) const = default; // so that the kit can compare states
  };
  using command = std::variant<sell, close_sale, sell_until>;
  using events = domain::event_list<tickets_sold, show_closed>;
  using out = domain::emitter<show>;

  static domain::decision decide(const state& now, const sell& c, out& events) {
    if (now.closed)
      return domain::reject(refusal::closed, "the sale is over");
    if (c.seats > now.left)
      return domain::reject(refusal::no_seats, "so many seats are not left");
    events.emit<tickets_sold>([&](auto& b) { return Createtickets_sold(b, c.seats); });
    if (c.seats == now.left)
      events.emit<show_closed>([&](auto& b) { return Createshow_closed(b, 0); });
    return domain::accept();
  }
  static domain::decision decide(const state& now, const close_sale&, out& events) {
    if (!now.closed)
      events.emit<show_closed>([&](auto& b) { return Createshow_closed(b, now.left); });
    return domain::accept();
  }
  static domain::decision_for<sell_until> decide(const state& now, const sell_until& c,
                                                 out& events) {
    if (events.now_ns() > c.end_ns)
      return domain::reject(refusal::too_late, "the time of this offer is over");
    if (auto sold = decide(now, sell{c.seats}, events); !sold)
      return std::unexpected(std::move(sold.error()));
    return now.left - c.seats;
  }
  static void evolve(state& now, const tickets_sold& e) noexcept { now.left -= e.seats(); }
  static void evolve(state& now, const show_closed&) noexcept { now.closed = true; }
};

using namespace domain::testing;

auto sold(std::uint32_t seats) {
  return event<tickets_sold>([&](auto& b) { return Createtickets_sold(b, seats); });
}
auto closed(std::uint32_t seats_left) {
  return event<show_closed>([&](auto& b) { return Createshow_closed(b, seats_left); });
}

TEST(show, sells_seats) {
  const auto after = given<show>(sold(70)).when(sell{20});
  EXPECT_EQ(after, accepted(sold(20)));
  EXPECT_EQ(after.state().left, 10);
}

TEST(show, sells_no_more_than_is_left) {
  EXPECT_EQ(given<show>(sold(70)).when(sell{31}), rejected(refusal::no_seats));
}

TEST(show, is_closed_by_its_last_seat) {
  EXPECT_EQ(given<show>(sold(70)).when(sell{30}), accepted(sold(30), closed(0)));
}

TEST(show, is_closed_once) {
  EXPECT_EQ(given<show>(sold(70), closed(30)).when(close_sale{}), accepted());
}

TEST(show, takes_commands_in_a_row) {
  const auto after = given<show>().when(sell{60}).when(close_sale{}).when(sell{1});
  EXPECT_EQ(after, rejected(refusal::closed));
  EXPECT_EQ(after.history().events().back(), closed(40));
}

TEST(show, tells_how_many_seats_were_left) {
  const auto after = given<show>(sold(70)).when(close_sale{});
  ASSERT_EQ(after.events().size(), 1U);
  EXPECT_GT(after.events().front().as<show_closed>()->seats_left(), 0U);
}

TEST(show, sells_until_the_offer_ends) {
  const auto in_time = given<show>(sold(70)).at(1'000).when(sell_until{20, 1'000});
  EXPECT_EQ(in_time, accepted(sold(20)));
  EXPECT_EQ(in_time.reply<sell_until>(), 10);
  EXPECT_EQ(in_time.at(1'001).when(sell_until{1, 1'000}), rejected(refusal::too_late));
}

} // namespace example
