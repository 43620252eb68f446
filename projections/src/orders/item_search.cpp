#include <acta/projections/orders/item_search.hpp>

#include <acta/projections/orders/order_number.hpp>

#include <algorithm>

namespace acta::projections::orders {

namespace {

/// Of an order's items; larger than any, so that ids are by position.
constexpr std::uint64_t items_apart = 128;
static_assert(domain::orders::max_items < items_apart);

/// Words as FTS5 takes them: each in quotes, in which nothing but a quote has a meaning.
[[nodiscard]] std::string query_of(std::string_view words) {
  constexpr std::string_view spaces = " \t\r\n";
  std::string query;
  while (true) {
    words.remove_prefix(std::min(words.find_first_not_of(spaces), words.size()));
    if (words.empty())
      return query;
    auto word = words.substr(0, words.find_first_of(spaces));
    words.remove_prefix(word.size());
    const bool is_beginning = word.ends_with('*');
    if (is_beginning)
      word.remove_suffix(1);
    if (word.empty())
      continue;
    query += query.empty() ? "\"" : " \"";
    for (const char one : word)
      query += one == '"' ? ' ' : one;
    query += is_beginning ? "\"*" : "\"";
  }
}

} // namespace

result<std::vector<found_item>> item_search::find(const sqlite::reader& now, std::string_view words,
                                                  std::size_t at_most) {
  const auto query = query_of(words);
  if (query.empty())
    return std::vector<found_item>();
  return now.all("select items.number, items.product, items.category, items.quantity, items.price "
                 "from item_words join items on items.id = item_words.rowid "
                 "where item_words match ?1 order by item_words.rowid desc limit ?2",
                 {query, std::min(at_most, most)}, [](const sqlite::row& found) {
                   return found_item{.order = std::string(found.text(0)),
                                     .product = std::string(found.text(1)),
                                     .category = std::string(found.text(2)),
                                     .quantity = found.integer(3),
                                     .price = found.integer(4)};
                 });
}

result<void> item_search::create(sqlite::database& to) {
  // The words' table has an index of its own and takes the texts from the other.
  return to.script(R"(
    create table items (
      id integer primary key, number text not null, product text not null, category text not null,
      quantity integer not null, price integer not null) strict;
    create virtual table item_words using fts5(
      product, category, content = 'items', content_rowid = 'id',
      tokenize = 'unicode61 remove_diacritics 2');
  )");
}

result<void> item_search::on(const domain::orders::order_placed& event,
                             const storage::record_view& record, sqlite::database& to) {
  const auto number = order_number(record);
  auto id = record.position().value() * items_apart;
  for (const auto* item : *event.items()) {
    const auto product = item->product()->string_view();
    const auto category = item->category()->string_view();
    auto done = to.run("insert into items values (?1, ?2, ?3, ?4, ?5, ?6)",
                       {id, number, product, category, item->quantity(), item->price()});
    if (done)
      done = to.run("insert into item_words (rowid, product, category) values (?1, ?2, ?3)",
                    {id, product, category});
    if (!done)
      return done;
    ++id;
  }
  return {};
}

} // namespace acta::projections::orders
