// The shop's read models against the plainest code that could be written for them.
#include "../support/shop_log.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/orders/customer_dashboard.hpp>
#include <acta/projections/orders/item_search.hpp>
#include <acta/projections/orders/order_list.hpp>
#include <acta/projections/orders/order_number.hpp>
#include <acta/projections/orders/revenue.hpp>
#include <acta/projections/sqlite_view.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace projections::orders;
using namespace domain::orders;
using namespace std::chrono_literals;
using projections::sqlite::reader;
using std::chrono::sys_days;

constexpr std::int64_t day_ns = std::chrono::nanoseconds(24h).count();

/// What was done to an order, by the commands that it took.
struct played_order {
  place placed;
  std::int64_t placed_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t position = 0; ///< Of order_placed.
  std::int64_t total = 0;
  std::int64_t paid = 0;
  order_status status = order_status::placed;
};

/// Plays commands and keeps all orders in a list that questions are answered from by going through
/// it.
class played_shop {
public:
  played_shop(storage::event_log& log, unsigned seed) : log_(log), shop_(log), random_(seed) {}

  void play(int commands) {
    for (int i = 0; i < commands; ++i) {
      now_ns_ += static_cast<std::int64_t>(random_() % 100) * (day_ns / 200);
      const auto number = 1 + random_() % (orders.size() + orders.size() / 4 + 3);
      if (number > orders.size())
        play_place(orders.size() + 1);
      else
        play_on(number, orders[number - 1]);
    }
  }

  /// Newest first.
  template <class Which>
  [[nodiscard]] std::vector<listed_order> list(Which&& which) const {
    std::vector<listed_order> all;
    for (std::size_t i = orders.size(); i-- > 0;)
      if (const auto& one = orders[i]; which(one))
        all.push_back({.number = std::to_string(i + 1),
                       .customer = one.placed.customer,
                       .status = one.status,
                       .items = static_cast<std::int64_t>(one.placed.items.size()),
                       .total = one.total,
                       .paid = one.paid,
                       .placed_ns = one.placed_ns,
                       .changed_ns = one.changed_ns,
                       .placed_position = log_position(one.position)});
    return all;
  }

  [[nodiscard]] std::vector<day_revenue> revenue_between(sys_days first, sys_days last) const {
    std::map<std::pair<sys_days, std::string>, day_revenue> sums;
    for (const auto& one : orders) {
      const sys_days day{std::chrono::days(one.placed_ns / day_ns)};
      if (one.status == order_status::cancelled || day < first || day > last)
        continue;
      for (const auto& item : one.placed.items) {
        auto& sum = sums[{day, item.category}];
        sum.day = day;
        sum.category = item.category;
        sum.quantity += item.quantity;
        sum.cents += item.quantity * item.price;
      }
    }
    const auto values = sums | std::views::values;
    return {values.begin(), values.end()};
  }

  [[nodiscard]] customer_summary summary_of(const std::string& customer) const {
    customer_summary sum;
    for (std::size_t i = 0; i < orders.size(); ++i)
      if (const auto& one = orders[i]; one.placed.customer == customer) {
        ++sum.orders;
        const bool is_cancelled = one.status == order_status::cancelled;
        sum.cancelled += is_cancelled ? 1U : 0U;
        sum.spend += is_cancelled ? 0 : one.paid;
        sum.newest_order = std::to_string(i + 1);
        sum.newest_ns = one.placed_ns;
      }
    return sum;
  }

  static constexpr std::array customers{"ada", "bob", "c'est \"moi\""};
  std::vector<played_order> orders; ///< Numbered from 1.

private:
  static constexpr std::array products{"Lampe de bureau", "desk LAMP, green", "office desk",
                                       "Stuhl 2000", "caf\u00e9 table"};
  static constexpr std::array categories{"furniture", "light & power", ""};

  template <class Texts>
  [[nodiscard]] std::string any_of(const Texts& texts) {
    return texts[random_() % texts.size()];
  }

  void play_place(std::uint64_t number) {
    played_order made;
    made.placed.customer = any_of(customers);
    for (auto left = 1 + random_() % 4; left > 0; --left)
      made.placed.items.push_back({.product = any_of(products),
                                   .category = any_of(categories),
                                   .quantity = 1 + static_cast<std::int32_t>(random_() % 3),
                                   .price = 1 + static_cast<std::int64_t>(random_() % 1'000)});
    made.placed.freight = static_cast<std::int64_t>(random_() % 30);
    made.total = made.placed.freight;
    for (const auto& item : made.placed.items)
      made.total += item.quantity * item.price;
    made.placed_ns = made.changed_ns = now_ns_;
    made.position = log_.tail().value() + 1;
    ASSERT_TRUE(shop_.play(shop_.order(number), made.placed, now_ns_));
    orders.push_back(made);
  }

  void play_on(std::uint64_t number, played_order& one) {
    const auto took = [&](const order::command& command) {
      const bool done = shop_.play(shop_.order(number), command, now_ns_);
      if (done)
        one.changed_ns = now_ns_;
      return done;
    };
    const auto due = one.total - one.paid;
    const auto part = random_() % 3 == 0 ? due : 1 + due / 3;
    switch (random_() % 4) {
      case 0:
        if (took(pay{part, "card"})) {
          one.paid += part;
          if (one.paid == one.total && one.status == order_status::placed)
            one.status = order_status::paid;
        }
        break;
      case 1:
        if (took(ship{}))
          one.status = order_status::shipped;
        break;
      case 2:
        if (took(deliver{}))
          one.status = order_status::delivered;
        break;
      default:
        if (took(cancel{"no more"}))
          one.status = order_status::cancelled;
    }
  }

  storage::event_log& log_;
  shop_log shop_;
  std::mt19937 random_;
  std::int64_t now_ns_ = 1'700'000'000'000'000'000;
};

/// Every page, one behind the other; each but the last is full.
template <class Ask>
[[nodiscard]] std::vector<listed_order> all_pages(Ask&& ask) {
  std::vector<listed_order> all;
  std::optional<log_position> next;
  do {
    auto page = ask(next);
    EXPECT_TRUE(page) << page.error().message();
    if (!page)
      break;
    next = page->next;
    EXPECT_TRUE(!next || page->orders.size() == order_page::size);
    all.insert(all.end(), page->orders.begin(), page->orders.end());
  } while (next);
  return all;
}

class orders_models : public ::testing::TestWithParam<unsigned> {
protected:
  template <class View>
  void build(View& view) {
    const auto attached = view.attach(*log);
    ASSERT_TRUE(attached) << attached.error().message();
    const auto fed = feed(view, *log, {}, 1 + GetParam() * 13);
    ASSERT_TRUE(fed) << fed.error().why.message();
  }

  std::unique_ptr<storage::event_log> log = storage::make_memory_log();
  played_shop shop{*log, GetParam()};
};

TEST_P(orders_models, list_a_customers_orders_newest_first_page_by_page) {
  shop.play(3'000);
  projections::sqlite_view<order_list> view;
  build(view);
  std::size_t listed = 0;
  for (const std::string customer : played_shop::customers) {
    const auto all = all_pages([&](const auto& from) {
      return view.read(
        [&](const reader& now) { return order_list::of_customer(now, customer, from); });
    });
    EXPECT_EQ(all, shop.list([&](const auto& one) { return one.placed.customer == customer; }));
    listed += all.size();
  }
  EXPECT_EQ(listed, shop.orders.size());
  EXPECT_GT(listed, 2 * order_page::size) << "too few for pages";
}

TEST_P(orders_models, list_the_orders_in_a_status_newest_first_page_by_page) {
  shop.play(3'000);
  projections::sqlite_view<order_list> view;
  build(view);
  std::size_t listed = 0;
  for (const auto status : EnumValuesorder_status()) {
    const auto all = all_pages([&](const auto& from) {
      return view.read([&](const reader& now) { return order_list::in_status(now, status, from); });
    });
    EXPECT_EQ(all, shop.list([&](const auto& one) { return one.status == status; }));
    listed += all.size();
  }
  EXPECT_EQ(listed, shop.orders.size());
}

TEST_P(orders_models, sum_the_revenue_of_a_day_and_category) {
  shop.play(1'000);
  projections::sqlite_view<revenue> view;
  build(view);
  const auto between = [&](sys_days first, sys_days last) {
    return view.read([&](const reader& now) { return revenue::between(now, first, last); });
  };
  const auto all = between(sys_days::min(), sys_days::max());
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(*all, shop.revenue_between(sys_days::min(), sys_days::max()));
  ASSERT_GT(all->size(), 10U);
  const auto third = (*all)[all->size() / 3].day;
  const auto half = (*all)[all->size() / 2].day;
  EXPECT_EQ(*between(third, half), shop.revenue_between(third, half));
  EXPECT_EQ(*between(half, half), shop.revenue_between(half, half));
}

TEST_P(orders_models, find_items_by_their_words_newest_first) {
  shop.play(150);
  projections::sqlite_view<item_search> view;
  build(view);
  const auto count = [&](std::string_view words) {
    return view.read([&](const reader& now) { return item_search::find(now, words); });
  };
  /// What a search must find: items by texts that were chosen here.
  const auto expect = [&](std::string_view words, const auto& fits) {
    std::vector<found_item> wanted;
    for (std::size_t i = shop.orders.size(); i-- > 0;)
      for (const auto& item : shop.orders[i].placed.items | std::views::reverse)
        if (fits(item) && wanted.size() < item_search::most)
          wanted.push_back({.order = std::to_string(i + 1),
                            .product = item.product,
                            .category = item.category,
                            .quantity = item.quantity,
                            .price = item.price});
    const auto found = count(words);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, wanted) << words;
    EXPECT_FALSE(wanted.empty()) << words;
  };
  const auto is = [](std::string_view product) {
    return [product](const item& one) { return one.product == product; };
  };
  const auto either = [](const item& one) {
    return one.product == "Lampe de bureau" || one.product == "desk LAMP, green";
  };
  expect("lamp", is("desk LAMP, green"));
  expect("green   Desk", is("desk LAMP, green"));
  expect("lamp*", either);
  expect("2000", is("Stuhl 2000"));
  expect("cafe", is("caf\u00e9 table"));
  expect("office desk furniture", [](const item& one) {
    return one.product == "office desk" && one.category == "furniture";
  });
  expect("light-power", [](const item& one) { return one.category == "light & power"; });
  for (const auto* none : {"", "  ", "\"", "*", "lamp OR desk", "nothing", "product:lamp",
                           "lamp -desk table", "NEAR(lamp desk)", "'; drop table items; --"}) {
    const auto found = count(none);
    ASSERT_TRUE(found) << none << ": " << found.error().message();
    EXPECT_TRUE(found->empty()) << none;
  }
}

TEST_P(orders_models, show_a_customer_what_was_ordered_and_spent) {
  shop.play(2'000);
  projections::memory_view<customer_dashboard> view;
  build(view);
  view.read([&](const customer_dashboard& now) {
    EXPECT_EQ(now.customers(), played_shop::customers.size());
    for (const std::string customer : played_shop::customers)
      EXPECT_EQ(now.of(customer), shop.summary_of(customer));
    EXPECT_FALSE(now.of("nobody"));
    EXPECT_EQ(static_cast<std::ptrdiff_t>(now.open_orders()),
              std::ranges::count_if(shop.orders, [](const auto& one) {
                return one.status != order_status::cancelled
                       && (one.status != order_status::delivered || one.paid < one.total);
              }));
  });
}

INSTANTIATE_TEST_SUITE_P(seeds, orders_models, ::testing::Range(1U, 4U));

TEST(revenue, forgets_what_belongs_to_orders_that_cannot_be_cancelled_any_more) {
  const auto log = storage::make_memory_log();
  shop_log shop(*log);
  const place lamp{.customer = "ada", .items = {{.product = "lamp", .category = "", .price = 5}}};
  for (std::uint64_t number = 1; number <= 3; ++number)
    ASSERT_TRUE(shop.play(shop.order(number), lamp, day_ns));
  ASSERT_TRUE(shop.play(shop.order(1), ship{}, day_ns));
  ASSERT_TRUE(shop.play(shop.order(2), cancel{"x"}, 9 * day_ns));
  projections::sqlite_view<revenue> view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(feed(view, *log));
  const auto kept = view.read([](const reader& now) {
    return now.all("select number from cancellable", {},
                   [](const auto& one) { return std::string(one.text(0)); });
  });
  EXPECT_EQ(*kept, std::vector<std::string>{"3"});
  const auto sums = view.read(
    [](const reader& now) { return revenue::between(now, sys_days::min(), sys_days::max()); });
  const day_revenue day_one{
    .day = sys_days(std::chrono::days(1)), .category = "", .quantity = 2, .cents = 10};
  EXPECT_EQ(*sums, std::vector{day_one}) << "taken back from the day on which it was placed";
}

TEST(order_list, a_page_goes_on_where_the_one_before_ended_though_orders_are_placed_meanwhile) {
  const auto log = storage::make_memory_log();
  shop_log shop(*log);
  const place lamp{.customer = "ada", .items = {{.product = "lamp", .category = "", .price = 5}}};
  std::uint64_t number = 0;
  const auto place_some = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_TRUE(shop.play(shop.order(++number), lamp, 1));
  };
  projections::sqlite_view<order_list> view;
  ASSERT_TRUE(view.attach(*log));
  const auto page_from = [&](std::optional<log_position> from) {
    EXPECT_TRUE(feed(view, *log));
    return *view.read([&](const reader& now) { return order_list::of_customer(now, "ada", from); });
  };
  place_some(order_page::size);
  EXPECT_FALSE(page_from({}).next) << "it is full, and the last";
  place_some(10);
  const auto first = page_from({});
  EXPECT_EQ(first.orders.front().number, "60");
  EXPECT_EQ(first.orders.back().number, "11");
  place_some(5);
  const auto second = page_from(first.next);
  ASSERT_EQ(second.orders.size(), 10U);
  EXPECT_EQ(second.orders.front().number, "10");
  EXPECT_FALSE(second.next);
}

TEST(order_list, tells_orders_apart_whose_keys_look_alike) {
  const auto log = storage::make_memory_log();
  shop_log shop(*log);
  const place lamp{.customer = "ada", .items = {{.product = "lamp", .category = "", .price = 5}}};
  const std::array<std::byte, 16> uuid{};
  const std::string text_of_uuid = "00000000-0000-0000-0000-000000000000";
  const std::vector<stream_id> streams{shop.order(42),         shop.order("42"),
                                       shop.order("text:42"),  shop.order("order 42"),
                                       {category_id(1), uuid}, shop.order(text_of_uuid)};
  for (const auto& stream : streams)
    ASSERT_TRUE(shop.play(stream, lamp, 1));
  projections::sqlite_view<order_list> view;
  ASSERT_TRUE(view.attach(*log));
  const auto fed = feed(view, *log);
  ASSERT_TRUE(fed) << fed.error().why.message();
  const auto page =
    view.read([](const reader& now) { return order_list::of_customer(now, "ada"); });
  std::vector<std::string> numbers;
  for (const auto& one : page->orders | std::views::reverse)
    numbers.push_back(one.number);
  EXPECT_EQ(numbers, (std::vector<std::string>{"42", "text:42", "text:text:42", "order 42",
                                               text_of_uuid, "text:" + text_of_uuid}));
}

/// Whoever begins with a log's newer part, or lost an event to a dead letter.
TEST(shop_models, pass_over_events_of_orders_that_they_do_not_know) {
  const auto log = storage::make_memory_log();
  shop_log shop(*log);
  shop.add_payment(1, 5);
  shop.add<order_paid>(shop.order(1), [](auto& b) { return Createorder_paid(b, 5); });
  shop.add<order_shipped>(shop.order(1), [](auto& b) { return Createorder_shipped(b, 0); });
  shop.add<order_delivered>(shop.order(1), [](auto& b) { return Createorder_delivered(b, 0); });
  shop.add<order_cancelled>(shop.order(1),
                            [](auto& b) { return Createorder_cancelledDirect(b, "x", 5); });
  projections::sqlite_view<order_list> list;
  projections::sqlite_view<revenue> sums;
  projections::memory_view<customer_dashboard> dashboard;
  for (projections::projection* view :
       std::initializer_list<projections::projection*>{&list, &sums, &dashboard}) {
    ASSERT_TRUE(view->attach(*log));
    const auto fed = feed(*view, *log);
    EXPECT_TRUE(fed) << view->name() << ": " << fed.error().why.message();
  }
  EXPECT_EQ(dashboard.read([](const auto& now) { return now.customers(); }), 0U);
}

} // namespace
} // namespace acta::tests
