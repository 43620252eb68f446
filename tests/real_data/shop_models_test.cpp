// A marketplace's orders run through the shop: what its read models answer then is what plain SQL
// makes of the same files (olist_sql.hpp), to the cent and to the second.
#include "../support/olist_files.hpp"
#include "../support/olist_sql.hpp"
#include "../support/recorded_data.hpp"
#include "../support/scratch_directory.hpp"

#include "simulation.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/orders/customer_dashboard.hpp>
#include <acta/projections/orders/item_search.hpp>
#include <acta/projections/orders/order_list.hpp>
#include <acta/projections/orders/revenue.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace projections::orders;
using domain::orders::EnumNameorder_status;
using domain::orders::order_status;
using projections::sqlite::reader;
using projections::sqlite::row;
using rows = olist_sql::rows;
using std::to_string;

/// A run over files in a directory, into a store that is looked at afterwards.
class shop_models : public ::testing::Test {
protected:
  void run(const std::filesystem::path& files, std::size_t window = 8'192) {
    chosen.quiet = true;
    chosen.feed = sim::feed_kind::olist;
    chosen.feed_file = files;
    chosen.durability = storage::durability::process;
    chosen.store = directory.path() / "store";
    chosen.window = window;
    const std::atomic<bool> interrupted = false;
    auto done = sim::simulate(chosen, interrupted);
    ASSERT_TRUE(done) << done.error().message();
    report = std::move(*done);
    auto opened = storage::open_log(chosen.store, {.durability = storage::durability::process});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    plain = std::make_unique<olist_sql>(files);
  }

  /// Opens a view as the run left it: built up to the log's end.
  void open(projections::projection& view) const {
    const auto attached = view.attach(*log);
    ASSERT_TRUE(attached) << attached.error().message();
    EXPECT_EQ(view.position(), log->tail()) << view.name() << " was not kept by the run";
  }

  void expect_the_read_models_to_be_what_sql_says() {
    expect_outcomes();
    expect_totals();
    expect_order_lists();
    expect_dashboards();
    expect_revenue();
    expect_search();
    expect_answers();
  }
  void expect_outcomes() const;
  void expect_totals() const;
  void expect_order_lists() const;
  void expect_dashboards() const;
  void expect_revenue() const;
  void expect_search() const;
  void expect_answers() const;

  scratch_directory directory;
  sim::options chosen;
  sim::report report;
  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<olist_sql> plain;
};

/// Every command's answer, and by that every order: accepted, or refused for a reason.
void shop_models::expect_outcomes() const {
  rows ours;
  for (const auto& [command, outcomes] : report.shop->commands)
    for (const auto& [outcome, count] : outcomes)
      if (count != 0)
        ours.push_back({command, outcome, to_string(count)});
  EXPECT_EQ(ours, plain->all("select command, outcome, count(*) from outcomes "
                             "group by command, outcome order by command, outcome"));
  rows orders{{"accepted", to_string(report.shop->accepted)}};
  for (const auto& [reason, count] : report.shop->refused_orders)
    orders.push_back({reason, to_string(count)});
  EXPECT_EQ(orders, plain->all("select outcome, count(*) from placing group by outcome "
                               "order by outcome <> 'accepted', outcome"));
  EXPECT_EQ(to_string(report.shop->orders), plain->all("select count(*) from orders")[0][0]);
  EXPECT_EQ(report.shop->not_sent, 0U);
}

void shop_models::expect_totals() const {
  const auto texts = [](const sim::shop_totals& of) {
    return rows{{to_string(of.items), to_string(of.freight), to_string(of.payments)}};
  };
  EXPECT_EQ(texts(report.shop->in_feed),
            plain->all("select (select sum(cents) from item), (select sum(freight) from item), "
                       "(select sum(cents) from paying)"));
  EXPECT_EQ(texts(report.shop->totals),
            plain->all("select (select sum(cents) from sold), (select sum(freight) from sold), "
                       "(select sum(paid) from shop_order)"));
}

std::vector<std::string> texts_of(const listed_order& one) {
  return {one.number,
          one.customer,
          EnumNameorder_status(one.status),
          to_string(one.items),
          to_string(one.total),
          to_string(one.paid),
          to_string(one.placed_ns),
          to_string(one.changed_ns)};
}

/// All pages of a list.
template <class Ask>
rows listed(const projections::sqlite_view<order_list>& view, Ask&& ask) {
  rows all;
  std::optional<log_position> from;
  do {
    const auto page = view.read([&](const reader& now) { return ask(now, from); });
    EXPECT_TRUE(page) << page.error().message();
    if (!page)
      return all;
    for (const auto& one : page->orders)
      all.push_back(texts_of(one));
    from = page->next;
  } while (from);
  return all;
}

/// Each customer's orders, newest first, and those in each status.
void shop_models::expect_order_lists() const {
  const std::string listed_columns = "select order_id, customer, status, items, total, paid, "
                                     "placed_ns, changed_ns from shop_order where ";
  const std::string newest_first = " = ?1 order by purchased desc, line desc";
  projections::sqlite_view<order_list> view;
  open(view);
  std::size_t seen = 0;
  for (const auto& customer : plain->all("select distinct customer from placing")) {
    const auto ours = listed(view, [&](const reader& now, const auto& from) {
      return order_list::of_customer(now, customer[0], from);
    });
    ASSERT_EQ(ours, plain->all(listed_columns + "customer" + newest_first, customer));
    seen += ours.size();
  }
  EXPECT_EQ(seen, report.shop->accepted);
  for (const auto status : domain::orders::EnumValuesorder_status()) {
    const auto ours = listed(view, [&](const reader& now, const auto& from) {
      return order_list::in_status(now, status, from);
    });
    EXPECT_EQ(ours,
              plain->all(listed_columns + "status" + newest_first, {EnumNameorder_status(status)}));
  }
}

void shop_models::expect_dashboards() const {
  projections::memory_view<customer_dashboard> view;
  ASSERT_TRUE(projections::replay(*log, view));
  rows ours;
  for (const auto& customer :
       plain->all("select distinct customer_unique_id from customers order by 1")) {
    const auto one = view.read([&](const auto& now) { return now.of(customer[0]); });
    if (one)
      ours.push_back({customer[0], to_string(one->orders), to_string(one->cancelled),
                      to_string(one->spend), one->newest_order, to_string(one->newest_ns)});
  }
  EXPECT_EQ(ours, plain->all(R"(
    select customer, count(*), sum(status = 'cancelled'), sum(iif(status = 'cancelled', 0, paid)),
           (select order_id from shop_order as newest where newest.customer = shop_order.customer
            order by purchased desc, line desc limit 1), max(placed_ns)
    from shop_order group by customer order by customer)"));
  EXPECT_EQ(view.read([](const auto& now) { return now.customers(); }), ours.size());
}

/// A day and category.
void shop_models::expect_revenue() const {
  projections::sqlite_view<revenue> view;
  open(view);
  using namespace std::chrono;
  const auto found = view.read([](const reader& now) {
    return revenue::between(now, sys_days(year(1970) / 1 / 1), sys_days(year(2100) / 1 / 1));
  });
  ASSERT_TRUE(found) << found.error().message();
  rows ours;
  for (const auto& one : *found)
    ours.push_back({to_string(one.day.time_since_epoch().count()), one.category,
                    to_string(one.quantity), to_string(one.cents)});
  EXPECT_EQ(ours, plain->all("select strftime('%s', purchased) / 86400 as day, category, count(*), "
                             "sum(cents) from sold where status <> 'cancelled' "
                             "group by day, category order by day, category"));
  EXPECT_GT(ours.size(), 1U);
}

/// Words of categories, two together, the beginnings of words, and products.
void shop_models::expect_search() const {
  projections::sqlite_view<item_search> view;
  open(view);
  std::set<std::vector<std::string>> searches{{"no-such-word"}};
  for (const auto& category : plain->all("select distinct product_category_name from products")) {
    std::vector<std::string> words;
    std::string word;
    for (const char one : category[0] + "_") {
      if (!std::string_view("_, \"").contains(one))
        word += one;
      else if (!word.empty())
        words.push_back(std::exchange(word, {}));
    }
    for (const auto& one : words)
      searches.insert({{one}, {one.substr(0, 3) + "*"}, {one + "*", words.front()}});
  }
  for (const auto& product : plain->all("select product from sold order by line limit 20"))
    searches.insert(product);
  std::size_t found_any = 0;
  for (const auto& words : searches) {
    std::string search;
    std::string where;
    for (auto word : words) {
      search += " " + word;
      const bool is_beginning = word.ends_with('*');
      word =
        "% " + word.substr(0, word.size() - (is_beginning ? 1 : 0)) + (is_beginning ? "%" : " %");
      where += (where.empty() ? "words like '" : " and words like '") + word + "'";
    }
    const auto found = view.read([&](const reader& now) { return item_search::find(now, search); });
    ASSERT_TRUE(found) << found.error().message();
    rows ours;
    for (const auto& one : *found)
      ours.push_back(
        {one.order, one.product, one.category, to_string(one.quantity), to_string(one.price)});
    EXPECT_EQ(ours,
              plain->all("select order_id, product, category, 1, cents from sold where " + where
                         + " order by purchased desc, order_line desc, number desc, "
                           "line desc limit 50"))
      << search;
    found_any += ours.empty() ? 0U : 1U;
  }
  EXPECT_GT(found_any, 1U);
}

/// What the run itself told of its read models.
void shop_models::expect_answers() const {
  const auto& answers = report.shop->answers;
  EXPECT_EQ(to_string(answers.customers),
            plain->all("select count(distinct customer) from shop_order")[0][0]);
  EXPECT_EQ(to_string(answers.items), plain->all("select count(*) from sold")[0][0]);
  rows statuses;
  for (const auto& [status, count] : answers.orders)
    statuses.push_back({status, to_string(count)});
  EXPECT_EQ(statuses, plain->all("select status, count(*) from shop_order group by status "
                                 "order by status"));
  EXPECT_EQ(answers.orders, report.shop->statuses);
  const auto texts = [](const std::vector<sim::shop_sales>& sales) {
    rows all;
    for (const auto& one : sales)
      all.push_back({one.of, to_string(one.quantity), to_string(one.cents)});
    return all;
  };
  const std::string best = ", count(*), sum(cents) as sum from sold where status <> 'cancelled' "
                           "group by 1 order by sum desc, 1 limit 5";
  EXPECT_EQ(texts(answers.best_days), plain->all("select date(purchased)" + best));
  EXPECT_EQ(texts(answers.best_categories), plain->all("select category" + best));
  std::vector<std::string> names;
  for (const auto& one : report.projections) {
    names.push_back(one.name);
    EXPECT_EQ(one.lag_events, 0U) << one.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"shop_ledger", "order_list", "item_search", "revenue",
                                             "customer_dashboard"}));
}

TEST_F(shop_models, of_a_marketplace_are_what_sql_makes_of_its_files) {
  const auto files = recorded_data() / "olist";
  if (!std::filesystem::exists(files / "olist_orders_dataset.csv"))
    GTEST_SKIP() << "no recorded orders in " << files << "; set ACTA_DATA_DIR";
  run(files);
  expect_the_read_models_to_be_what_sql_says();
  EXPECT_EQ(report.shop->orders, 8'135U);
  EXPECT_EQ(
    report.shop->in_feed,
    (sim::shop_totals{.items = 109'326'435, .freight = 17'228'839, .payments = 142'860'281}));
}

TEST_F(shop_models, of_a_few_orders_are_what_sql_makes_of_their_files) {
  const olist_files files;
  run(files.path());
  expect_the_read_models_to_be_what_sql_says();
  EXPECT_EQ(report.shop->answers.best_days,
            (std::vector<sim::shop_sales>{{.of = "2017-01-03", .quantity = 1, .cents = 2'000},
                                          {.of = "2017-01-01", .quantity = 2, .cents = 1'550},
                                          {.of = "2017-01-06", .quantity = 1, .cents = 600}}));
}

/// Files like those, full of disorder: times at random or missing, items and payments of nothing,
/// many orders at one time, and customers with more orders than a page has.
class disorder {
public:
  disorder(const olist_files& to, unsigned seed, int orders) : random_(seed) {
    std::string order_rows = "order_id,customer_id,order_status,order_purchase_timestamp,"
                             "order_approved_at,order_delivered_carrier_date,"
                             "order_delivered_customer_date\n";
    std::string items = "order_id,order_item_id,product_id,price,freight_value\n";
    std::string payments = "order_id,payment_sequential,payment_type,payment_value\n";
    for (int i = 0; i < orders; ++i) {
      const auto order = "o" + to_string(random_()) + "x" + to_string(i);
      order_rows += order + ",c" + to_string(random_() % 9) + "," + any(statuses) + "," + time();
      for (int when = 0; when < 3; ++when)
        order_rows += random_() % 3 == 0 ? "," : "," + time();
      order_rows += "\n";
      for (auto left = random_() % 40 == 0 ? 101 : random_() % 4; left != 0; --left)
        items += order + "," + to_string(random_() % 5) + ",p" + to_string(random_() % 5) + ","
                 + (random_() % 20 == 0 ? "0" : any(amounts)) + "," + any(amounts) + "\n";
      for (auto left = random_() % 5; left != 0; --left)
        payments += order + "," + to_string(random_() % 5) + ",voucher,"
                    + (random_() % 9 == 0 ? "0.00" : any(amounts)) + "\n";
    }
    to.write("orders", order_rows);
    to.write("items", items);
    to.write("payments", payments);
    to.write("products", "product_id,product_category_name\n"
                         "p0,beleza_saude\np1,saude\np2,telefonia_fixa\np3,\np4,\"casa, fixa\"\n");
    std::string customers = "customer_id,customer_unique_id\n";
    for (int i = 0; i < 9; ++i)
      customers += "c" + to_string(i) + ",u" + to_string(i / 3) + "\n";
    to.write("customers", customers);
  }

private:
  static constexpr std::array<const char*, 8> statuses{"created",    "approved",   "invoiced",
                                                       "processing", "shipped",    "delivered",
                                                       "canceled",   "unavailable"};
  static constexpr std::array<const char*, 5> amounts{"1.0", "2", "2.05", "10.10", "0.7"};

  template <class Texts>
  std::string any(const Texts& texts) {
    return texts[random_() % texts.size()];
  }
  std::string time() {
    return "2017-01-0" + to_string(1 + random_() % 4) + " 1" + to_string(random_() % 10) + ":00:0"
           + to_string(random_() % 2);
  }

  std::mt19937 random_;
};

TEST_F(shop_models, of_any_disorder_are_what_sql_makes_of_it_whatever_the_window) {
  chosen.engine.workers = 4; // orders of one time must be in order all the same
  for (const auto& [seed, window] : {std::pair(1U, 1U), std::pair(2U, 3U), std::pair(3U, 8'192U)}) {
    SCOPED_TRACE("seed " + to_string(seed));
    const olist_files files;
    const disorder made(files, seed, 500);
    run(files.path(), window);
    expect_the_read_models_to_be_what_sql_says();
    EXPECT_GT(report.shop->refused_orders.size(), 2U);
    EXPECT_GT(report.rejections.size(), 6U);
    log.reset();
    std::filesystem::remove_all(chosen.store);
  }
}

} // namespace
} // namespace acta::tests
