#include <acta/projections/orders/revenue.hpp>

#include <acta/projections/orders/order_number.hpp>

namespace acta::projections::orders {

namespace {

using namespace std::chrono;

[[nodiscard]] std::int64_t number_of(sys_days day) noexcept {
  return day.time_since_epoch().count();
}

[[nodiscard]] sys_days day_of(const storage::record_view& record) noexcept {
  return floor<days>(sys_time<nanoseconds>(nanoseconds(record.header().recorded_at_ns)));
}

} // namespace

result<std::vector<day_revenue>> revenue::between(const sqlite::reader& now, sys_days first,
                                                  sys_days last) {
  return now.all("select day, category, quantity, cents from revenue "
                 "where day between ?1 and ?2 order by day, category",
                 {number_of(first), number_of(last)}, [](const sqlite::row& found) {
                   return day_revenue{.day = sys_days(days(found.integer(0))),
                                      .category = std::string(found.text(1)),
                                      .quantity = found.integer(2),
                                      .cents = found.integer(3)};
                 });
}

result<void> revenue::create(sqlite::database& to) {
  return to.script(R"(
    create table revenue (
      day integer not null, -- since 1970-01-01: date(day * 86400, 'unixepoch')
      category text not null, quantity integer not null, cents integer not null,
      primary key (day, category)) strict, without rowid;
    -- What is taken back when an order is cancelled; until it is shipped.
    create table cancellable (
      number text not null, day integer not null, category text not null,
      quantity integer not null, cents integer not null,
      primary key (number, day, category)) strict, without rowid;
  )");
}

result<void> revenue::on(const domain::orders::order_placed& event,
                         const storage::record_view& record, sqlite::database& to) {
  const auto number = order_number(record);
  const auto day = number_of(day_of(record));
  for (const auto* item : *event.items()) {
    const auto category = item->category()->string_view();
    const auto quantity = item->quantity();
    const auto cents = item->price() * quantity;
    auto done = to.run("insert into revenue values (?1, ?2, ?3, ?4) on conflict do update set "
                       "quantity = quantity + excluded.quantity, cents = cents + excluded.cents",
                       {day, category, quantity, cents});
    if (done)
      done = to.run("insert into cancellable values (?1, ?2, ?3, ?4, ?5) on conflict do update set "
                    "quantity = quantity + excluded.quantity, cents = cents + excluded.cents",
                    {number, day, category, quantity, cents});
    if (!done)
      return done;
  }
  return {};
}

result<void> revenue::on(const domain::orders::order_shipped&, const storage::record_view& record,
                         sqlite::database& to) {
  return to.run("delete from cancellable where number = ?1", {order_number(record)});
}

// What nothing is left of has no row, as what never was.
result<void> revenue::on(const domain::orders::order_cancelled&, const storage::record_view& record,
                         sqlite::database& to) {
  const auto number = order_number(record);
  auto done = to.run("update revenue set quantity = revenue.quantity - back.quantity, "
                     "cents = revenue.cents - back.cents "
                     "from (select * from cancellable where number = ?1) as back "
                     "where revenue.day = back.day and revenue.category = back.category",
                     {number});
  if (done)
    done = to.run("delete from revenue where quantity = 0 and (day, category) in "
                  "(select day, category from cancellable where number = ?1)",
                  {number});
  if (done)
    done = to.run("delete from cancellable where number = ?1", {number});
  return done;
}

} // namespace acta::projections::orders
