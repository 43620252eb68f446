#include <acta/projections/orders/order_list.hpp>

#include <acta/projections/orders/order_number.hpp>

#include <limits>
#include <utility>

namespace acta::projections::orders {

namespace {

using domain::orders::order_status;

[[nodiscard]] listed_order order_of(const sqlite::row& found) {
  return {.number = std::string(found.text(0)),
          .customer = std::string(found.text(1)),
          .status = static_cast<order_status>(found.integer(2)),
          .items = found.integer(3),
          .total = found.integer(4),
          .paid = found.integer(5),
          .placed_ns = found.integer(6),
          .changed_ns = found.integer(7),
          .placed_position = log_position(static_cast<std::uint64_t>(found.integer(8)))};
}

/// One more than a page is asked for, to know whether there is another.
[[nodiscard]] result<order_page> page_of(const sqlite::reader& now, std::string_view sql,
                                         const sqlite::value& of,
                                         const std::optional<log_position>& from) {
  constexpr log_position newest(std::numeric_limits<std::int64_t>::max());
  auto found = now.all(sql, {of, from.value_or(newest), order_page::size + 1}, order_of);
  if (!found)
    return failure(found);
  order_page page{.orders = std::move(*found), .next = {}};
  if (page.orders.size() > order_page::size) {
    page.next = page.orders.back().placed_position;
    page.orders.pop_back();
  }
  return page;
}

[[nodiscard]] result<void> set_status(order_status status, const storage::record_view& record,
                                      sqlite::database& to) {
  return to.run("update orders set status = ?2, changed_ns = ?3 where number = ?1",
                {order_number(record), std::to_underlying(status), record.header().recorded_at_ns});
}

} // namespace

result<order_page> order_list::of_customer(const sqlite::reader& now, std::string_view customer,
                                           std::optional<log_position> from) {
  return page_of(now,
                 "select number, customer, status, items, total, paid, placed_ns, changed_ns, "
                 "position from orders where customer = ?1 and position <= ?2 "
                 "order by position desc limit ?3",
                 customer, from);
}

result<order_page> order_list::in_status(const sqlite::reader& now, order_status status,
                                         std::optional<log_position> from) {
  return page_of(now,
                 "select number, customer, status, items, total, paid, placed_ns, changed_ns, "
                 "position from orders where status = ?1 and position <= ?2 "
                 "order by position desc limit ?3",
                 std::to_underlying(status), from);
}

result<void> order_list::create(sqlite::database& to) {
  // An index ends with the position, as it is the row's id.
  return to.script(R"(
    create table orders (
      position integer primary key, -- of order_placed
      number text not null unique, customer text not null, status integer not null,
      items integer not null, total integer not null, paid integer not null,
      placed_ns integer not null, changed_ns integer not null) strict;
    create index orders_by_customer on orders (customer);
    create index orders_by_status on orders (status);
  )");
}

result<void> order_list::on(const domain::orders::order_placed& event,
                            const storage::record_view& record, sqlite::database& to) {
  const auto now = record.header().recorded_at_ns;
  return to.run("insert into orders values (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?7)",
                {record.position(), order_number(record), event.customer()->string_view(),
                 std::to_underlying(order_status::placed), event.items()->size(), event.total(),
                 now});
}

result<void> order_list::on(const domain::orders::payment_received& event,
                            const storage::record_view& record, sqlite::database& to) {
  return to.run("update orders set paid = paid + ?2, changed_ns = ?3 where number = ?1",
                {order_number(record), event.amount(), record.header().recorded_at_ns});
}

// One that was shipped before it was paid stays shipped, as domain::orders::order has it.
result<void> order_list::on(const domain::orders::order_paid&, const storage::record_view& record,
                            sqlite::database& to) {
  return to.run("update orders set status = ?2 where number = ?1 and status = ?3",
                {order_number(record), std::to_underlying(order_status::paid),
                 std::to_underlying(order_status::placed)});
}

result<void> order_list::on(const domain::orders::order_shipped&,
                            const storage::record_view& record, sqlite::database& to) {
  return set_status(order_status::shipped, record, to);
}

result<void> order_list::on(const domain::orders::order_delivered&,
                            const storage::record_view& record, sqlite::database& to) {
  return set_status(order_status::delivered, record, to);
}

result<void> order_list::on(const domain::orders::order_cancelled&,
                            const storage::record_view& record, sqlite::database& to) {
  return set_status(order_status::cancelled, record, to);
}

} // namespace acta::projections::orders
