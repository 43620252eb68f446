// Read models on disk, of a shop's orders: what customers spend, in LMDB, and what sells, in
// SQLite. Run: views [DIRECTORY], and again
#include <acta/domain/orders/order.hpp>
#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace example {

using namespace acta;
using namespace acta::domain::orders;
using namespace std::chrono_literals;
using projections::projector;

constexpr std::int64_t day_ns = std::chrono::nanoseconds(24h).count();

/// In LMDB: tables of ordered keys. Here cents by customer and day.
struct spending {
  static constexpr std::string_view name = "spending";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<order_placed>;

  using customer_and_day = std::tuple<std::string, std::int64_t>;
  static constexpr projections::ordered_table<customer_and_day, std::int64_t> cents{1};

  static void on(const order_placed& event, const storage::record_view& record,
                 projections::table_writer& tables) {
    const customer_and_day at(event.customer()->str(), record.header().recorded_at_ns / day_ns);
    tables.put(cents, at, tables.get(cents, at).value_or(0) + event.total());
  }
};

/// In SQLite: whatever SQL can say. The check fails where somebody orders a thousand of something.
struct sales {
  static constexpr std::string_view name = "sales";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<order_placed>;

  static result<void> create(projections::sqlite::database& to) {
    return to.script("create table sales (product text not null, quantity integer not null "
                     "check (quantity < 1000)) strict");
  }
  static result<void> on(const order_placed& event, const storage::record_view&,
                         projections::sqlite::database& to) {
    for (const auto* item : *event.items())
      if (auto done = to.run("insert into sales values (?1, ?2)",
                             {item->product()->string_view(), item->quantity()});
          !done)
        return done;
    return {};
  }
};

/// A customer's orders of all days, that of `receipt` with them: it waits until the view has it.
result<std::int64_t> spent_by(const projections::lmdb_view<spending>& view, const char* customer,
                              const runtime::receipt& receipt) {
  return view.read(receipt.position, 5s, [&](const projections::table_reader& now) {
    std::int64_t sum = 0;
    now.each(spending::cents.with(customer), [&](const auto&, std::int64_t day) { sum += day; });
    return sum;
  });
}

result<std::optional<std::string>> best_seller(const projections::sqlite_view<sales>& view) {
  return view.read([](const projections::sqlite::reader& now) {
    return now.first("select product, sum(quantity) from sales group by product order by 2 desc",
                     {}, [](const projections::sqlite::row& found) {
                       return fmt::format("{} of {}", found.integer(1), found.text(0));
                     });
  });
}

result<runtime::receipt> buy(runtime::engine& engine, const char* customer, const char* product,
                             std::int32_t quantity) {
  const auto number = engine.log().tail().value() + 1; // one that is free
  const item one{.product = product, .category = "", .quantity = quantity, .price = 1'200};
  return engine.ask<order>(number, place{.customer = customer, .items = {one}});
}

result<void> run(const char* directory) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  auto engine = runtime::engine::open<order>(std::move(*log));
  if (!engine)
    return failure(engine);

  projections::lmdb_view<spending> spent;
  projections::sqlite_view<sales> sold;
  auto spending_feed = projector::start(**engine, spent);
  auto sales_feed =
    projector::start(**engine, sold, {.on_failure = projections::failure_policy::dead_letter});
  if (!spending_feed || !sales_feed)
    return failure(spending_feed ? sales_feed : spending_feed);
  fmt::print("there already: {} and {} events\n", spent.position().value(),
             sold.position().value());

  auto lamps = buy(**engine, "ada", "lamp", 2);
  auto books = lamps ? buy(**engine, "ada", "book", 3) : lamps;
  auto mistake = books ? buy(**engine, "bob", "lamp", 5'000) : books;
  if (!mistake)
    return failure(mistake);
  auto cents = spent_by(spent, "ada", *books);
  if (!cents)
    return failure(cents);
  fmt::print("ada spent {}\n", *cents);

  // What a view cannot handle is put aside in it, with the reason, and it goes on.
  if (auto there = (*sales_feed)->wait_for(mistake->position, 5s); !there)
    return there;
  auto letters = sold.dead_letters();
  if (!letters)
    return failure(letters);
  for (const auto& one : *letters) {
    fmt::print("dead letter {}: {}\n", one.stream, one.why);
    if (auto gone = (*sales_feed)->discard(one.position); !gone)
      return gone;
  }
  auto best = best_seller(sold);
  if (!best)
    return failure(best);
  fmt::print("sold most: {}\n", best->value_or("nothing"));
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "viewed");
  if (!done)
    fmt::print(stderr, "views: {}\n", done.error().message());
  return done ? 0 : 1;
}
