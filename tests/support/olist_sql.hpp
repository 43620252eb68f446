#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {

/// What a shop must come to, computed with plain SQL from the files of the Olist data set, without
/// anything of Acta: they are tables in memory, all columns texts as in the files, and the rules by
/// which a shop decides are the views below.
class olist_sql {
public:
  using rows = std::vector<std::vector<std::string>>;

  explicit olist_sql(const std::filesystem::path& directory) {
    sqlite3* opened = nullptr;
    EXPECT_EQ(sqlite3_open(":memory:", &opened), SQLITE_OK);
    database_.reset(opened);
    for (const auto& [table, file] :
         {std::pair("orders", "orders"), std::pair("items", "order_items"),
          std::pair("payments", "order_payments"), std::pair("products", "products"),
          std::pair("customers", "customers")})
      import(table, directory / ("olist_" + std::string(file) + "_dataset.csv"));
    char* why = nullptr;
    sqlite3_exec(opened, rules, nullptr, nullptr, &why);
    EXPECT_EQ(why, nullptr) << why;
    sqlite3_free(why);
  }

  /// Each row found; NULL is an empty text.
  [[nodiscard]] rows all(const std::string& sql,
                         const std::vector<std::string>& values = {}) const {
    sqlite3_stmt* prepared = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &prepared, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database_.get()) << ": " << sql;
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> run(prepared,
                                                                         &sqlite3_finalize);
    int index = 0;
    for (const auto& one : values)
      sqlite3_bind_text(prepared, ++index, one.data(), static_cast<int>(one.size()),
                        SQLITE_TRANSIENT);
    rows found;
    int state = SQLITE_DONE;
    while ((state = sqlite3_step(prepared)) == SQLITE_ROW) {
      auto& row = found.emplace_back();
      for (int column = 0; column < sqlite3_column_count(prepared); ++column) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, column));
        row.emplace_back(text == nullptr ? "" : text);
      }
    }
    EXPECT_EQ(state, SQLITE_DONE) << sqlite3_errmsg(database_.get()) << ": " << sql;
    return found;
  }

private:
  void import(const std::string& table, const std::filesystem::path& file) const {
    auto lines = parsed(file);
    ASSERT_FALSE(lines.empty()) << file;
    std::string columns;
    std::string marks;
    for (const auto& name : lines.front()) {
      columns += (columns.empty() ? "" : ", ") + name + " text";
      marks += marks.empty() ? "?" : ", ?";
    }
    lines.erase(lines.begin());
    (void)all("create table " + table + " (" + columns + ")");
    (void)all("begin");
    for (const auto& line : lines)
      (void)all("insert into " + table + " values (" + marks + ")", line);
    (void)all("commit");
  }

  /// The fields of each line of a CSV file, without a byte order mark.
  [[nodiscard]] static rows parsed(const std::filesystem::path& file) {
    std::ostringstream read;
    read << std::ifstream(file, std::ios::binary).rdbuf();
    auto text = std::move(read).str();
    if (text.starts_with("\xEF\xBB\xBF"))
      text.erase(0, 3);
    rows lines{{""}};
    bool is_quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      auto& field = lines.back().back();
      if (text[i] == '"' && is_quoted && i + 1 < text.size() && text[i + 1] == '"')
        field += text[++i];
      else if (text[i] == '"')
        is_quoted = !is_quoted;
      else if (is_quoted || (text[i] != ',' && text[i] != '\n' && text[i] != '\r'))
        field += text[i];
      else if (text[i] == ',')
        lines.back().emplace_back();
      else if (text[i] == '\n')
        lines.push_back({""});
    }
    lines.pop_back(); // behind the last line feed
    return lines;
  }

  // Times are texts that sort as times do, empty where there is none. Of an order at one time:
  // placed, paid, shipped, delivered, cancelled.
  static constexpr const char* rules = R"(
    -- An item a row of the file.
    create table item as
      select order_id, i.product_id as product, product_category_name as category,
             cast(order_item_id as integer) as number, i.rowid as line,
             cast(round(price * 100) as integer) as cents,
             cast(round(freight_value * 100) as integer) as freight
      from items as i join products using (product_id);
    create index item_of on item (order_id);

    create table placing as
      select o.order_id, customer_unique_id as customer, o.rowid as line, order_status as recorded,
             order_purchase_timestamp as purchased, order_approved_at as approved,
             order_delivered_carrier_date as handed, order_delivered_customer_date as arrived,
             count(i.order_id) as items, sum(i.cents) + sum(i.freight) as total,
             case when count(i.order_id) = 0 then 'empty_order'
                  when count(i.order_id) > 100 then 'too_many_items'
                  when min(i.cents) <= 0 then 'invalid_item'
                  when sum(i.freight) < 0 then 'invalid_freight'
                  else 'accepted' end as outcome
      from orders as o join customers using (customer_id) left join item as i using (order_id)
      group by o.order_id;
    create unique index placing_of on placing (order_id);

    -- Paid when it was approved, or else when it was placed; one payment after the other.
    create table paying as
      select order_id, row_number() over (
               partition by order_id order by cast(payment_sequential as integer), p.rowid) as nth,
             cast(round(payment_value * 100) as integer) as cents,
             iif(approved = '', purchased, approved) as at,
             outcome = 'accepted' and (approved = '' or approved >= purchased) as exists_then
      from payments as p join placing using (order_id);
    create unique index paying_of on paying (order_id, nth);
    -- What is due behind each.
    create table owing as
      with recursive behind(order_id, nth, due) as (
        select order_id, 0, total from placing where outcome = 'accepted'
        union all
        select order_id, paying.nth, due - iif(cents > 0 and cents <= due, cents, 0)
        from behind join paying using (order_id)
        where exists_then and paying.nth = behind.nth + 1)
      select * from behind;
    create unique index owing_of on owing (order_id, nth);

    create table outcomes as
      select order_id, 'place' as command, outcome, purchased as at, 0 as cents from placing
      union all
      select paying.order_id, 'pay',
             case when not exists_then then 'order_not_found'
                  when due <= 0 then 'order_already_paid'
                  when cents <= 0 then 'invalid_payment'
                  when cents > due then 'over_payment'
                  else 'accepted' end,
             at, cents
      from paying left join owing
        on owing.order_id = paying.order_id and owing.nth = paying.nth - 1
      union all
      select order_id, 'ship',
             iif(outcome = 'accepted' and handed >= purchased, 'accepted', 'order_not_found'),
             handed, 0
      from placing where handed <> ''
      union all
      select order_id, 'deliver',
             case when outcome <> 'accepted' or arrived < purchased then 'order_not_found'
                  when handed = '' or handed < purchased or handed > arrived
                    then 'invalid_status_for_delivery'
                  else 'accepted' end,
             arrived, 0
      from placing where arrived <> ''
      union all
      select order_id, 'cancel',
             case when outcome <> 'accepted' then 'order_not_found'
                  when handed >= purchased then 'cannot_cancel_shipped_order'
                  else 'accepted' end,
             max(purchased, approved, handed, arrived), 0
      from placing where recorded in ('canceled', 'unavailable');
    create index outcomes_of on outcomes (order_id, command);

    -- The orders that the shop has, as they are in the end.
    create table shop_order as
      select placing.*, paid, 1000000000 * strftime('%s', purchased) as placed_ns,
             1000000000 * strftime('%s', changed) as changed_ns,
             case when delivered then 'delivered' when shipped then 'shipped'
                  when cancelled then 'cancelled' when paid = total then 'paid'
                  else 'placed' end as status
      from placing join (
        select order_id, max(at) as changed, sum(cents) as paid,
               max(command = 'ship') as shipped, max(command = 'deliver') as delivered,
               max(command = 'cancel') as cancelled
        from outcomes where outcome = 'accepted' group by order_id) using (order_id)
      where outcome = 'accepted';
    create unique index shop_order_of on shop_order (order_id);
    create index shop_order_by on shop_order (customer);

    -- Their items, with the words of each between blanks.
    create table sold as
      select item.*, purchased, shop_order.line as order_line, status,
             ' ' || product || ' '
             || replace(replace(replace(category, '_', ' '), ',', ' '), '"', ' ') || ' ' as words
      from item join shop_order using (order_id);
  )";

  struct close {
    void operator()(sqlite3* which) const noexcept { sqlite3_close(which); }
  };
  std::unique_ptr<sqlite3, close> database_;
};

} // namespace acta::tests
