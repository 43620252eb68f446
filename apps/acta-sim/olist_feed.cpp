#include "olist_feed.hpp"

#include "csv.hpp"
#include "decimal.hpp"

#include <acta/base/date.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace acta::sim {

namespace {

/// Moments as base/date.hpp has them; the files' zone is not known, nor does it matter.
using moment = std::int64_t;

/// What the files say of one order.
struct history {
  std::string customer;
  std::string status;
  moment purchased = 0;
  std::optional<moment> approved{};
  std::optional<moment> shipped{};
  std::optional<moment> delivered{};
  std::multimap<std::uint32_t, orders::item> items{}; ///< By their number in the order.
  std::multimap<std::uint32_t, orders::pay> payments{};
  std::int64_t freight = 0;
};

constexpr std::array<std::string_view, 8> statuses{"created",    "approved",   "invoiced",
                                                   "processing", "shipped",    "delivered",
                                                   "canceled",   "unavailable"};

[[nodiscard]] result<std::int64_t> cents(const named_rows& rows, std::size_t column) {
  constexpr auto cent = price_unit / 100;
  const auto amount = parse_price(rows[column]);
  if (!amount || *amount % cent != 0)
    return rows.malformed(column, "an amount with at most 2 places");
  return *amount / cent;
}

[[nodiscard]] result<std::uint32_t> number(const named_rows& rows, std::size_t column) {
  const auto value = parse_integer<std::uint32_t>(rows[column]);
  if (!value)
    return rows.malformed(column, "a whole number");
  return *value;
}

/// "2017-07-09 21:57:05"; empty if the field is.
[[nodiscard]] result<std::optional<moment>> time(const named_rows& rows, std::size_t column) {
  const auto text = rows[column];
  if (text.empty())
    return std::nullopt;
  constexpr std::size_t size = 19;
  constexpr std::size_t blank = 10;
  auto iso = std::string(text) + ".000000000Z";
  const bool has_form = text.size() == size && text[blank] == ' ';
  if (has_form)
    iso[blank] = 'T';
  const auto found = has_form ? parse_date(iso) : std::nullopt;
  if (!found)
    return rows.malformed(column, "a time like 2017-07-09 21:57:05");
  return found;
}

class olist_reader {
public:
  explicit olist_reader(const std::filesystem::path& directory) : directory_(directory) {}

  [[nodiscard]] result<shop_feed> read() {
    std::error_code code;
    if (!std::filesystem::is_directory(directory_, code))
      return failure(errc::not_found, fmt::format("'{}' is no directory; name the one that has {}",
                                                  directory_.string(), orders_file));
    for (const auto step :
         {&olist_reader::read_customers, &olist_reader::read_products, &olist_reader::read_orders,
          &olist_reader::read_items, &olist_reader::read_payments})
      if (auto done = (this->*step)(); !done)
        return failure(done);
    feed_.fingerprint |= 1U;
    make_steps();
    return std::move(feed_);
  }

private:
  using names = std::unordered_map<std::string, std::string>;
  static constexpr std::string_view orders_file = "olist_orders_dataset.csv";
  static constexpr std::string_view products_file = "olist_products_dataset.csv";
  static constexpr std::string_view customers_file = "olist_customers_dataset.csv";

  /// Calls `take` with each row of a file.
  template <class Function>
  [[nodiscard]] result<void> read_rows(std::string_view file,
                                       std::span<const std::string_view> columns, Function take) {
    const auto path = directory_ / file;
    const auto text = read_file(path);
    if (!text)
      return std::unexpected(text.error());
    auto& hash = feed_.fingerprint;
    hash = XXH3_64bits_withSeed((*text)->data(), (*text)->size(), hash);
    auto rows = named_rows::open(path.string(), **text, columns, "a file of the Olist data set");
    if (!rows)
      return failure(rows);
    result<bool> more;
    while ((more = rows->next()) && *more)
      if (result<void> taken = take(*rows); !taken)
        return taken;
    if (!more)
      return failure(more);
    return {};
  }

  [[nodiscard]] result<void> read_names(std::string_view file,
                                        std::span<const std::string_view> columns, names& to) {
    return read_rows(file, columns, [&](const named_rows& rows) -> result<void> {
      to.insert_or_assign(std::string(rows[0]), std::string(rows[1]));
      return {};
    });
  }
  [[nodiscard]] result<void> read_customers() {
    static constexpr std::array<std::string_view, 2> columns{"customer_id", "customer_unique_id"};
    return read_names(customers_file, columns, customers_);
  }
  [[nodiscard]] result<void> read_products() {
    static constexpr std::array<std::string_view, 2> columns{"product_id", "product_category_name"};
    return read_names(products_file, columns, categories_);
  }

  /// What another file says of a name that a row has.
  template <class Map>
  [[nodiscard]] static auto find(Map& in, const named_rows& rows, std::size_t column,
                                 std::string_view file) -> result<decltype(&in.begin()->second)> {
    const auto found = in.find(std::string(rows[column]));
    if (found == in.end())
      return rows.malformed(column, fmt::format("one of those in {}", file));
    return &found->second;
  }

  [[nodiscard]] result<void> read_orders() {
    enum column : std::size_t { id, customer, status, purchased, approved, shipped, delivered };
    static constexpr std::array<std::string_view, 7> columns{"order_id",
                                                             "customer_id",
                                                             "order_status",
                                                             "order_purchase_timestamp",
                                                             "order_approved_at",
                                                             "order_delivered_carrier_date",
                                                             "order_delivered_customer_date"};
    return read_rows(orders_file, columns, [&](const named_rows& rows) -> result<void> {
      if (rows[id].empty() || rows[id].size() > limits::max_key_size)
        return rows.malformed(id, fmt::format("a name of 1 to {} bytes", limits::max_key_size));
      if (!numbers_.emplace(rows[id], histories_.size()).second)
        return rows.malformed(id, "an order that was not there before");
      auto by = find(customers_, rows, customer, customers_file);
      if (!by)
        return failure(by);
      if (std::ranges::find(statuses, rows[status]) == statuses.end())
        return rows.malformed(status, fmt::format("one of {}", fmt::join(statuses, ", ")));
      history one{.customer = **by, .status = std::string(rows[status])};
      std::optional<moment> begun;
      for (auto [which, to] :
           {std::pair(purchased, &begun), std::pair(approved, &one.approved),
            std::pair(shipped, &one.shipped), std::pair(delivered, &one.delivered)}) {
        auto when = time(rows, which);
        if (!when)
          return failure(when);
        *to = *when;
      }
      if (!begun)
        return rows.malformed(purchased, "the time of the purchase");
      one.purchased = *begun;
      feed_.orders.emplace_back(rows[id]);
      histories_.push_back(std::move(one));
      return {};
    });
  }

  [[nodiscard]] result<void> read_items() {
    enum column : std::size_t { order, place, product, price, freight };
    static constexpr std::array<std::string_view, 5> columns{
      "order_id", "order_item_id", "product_id", "price", "freight_value"};
    return read_rows("olist_order_items_dataset.csv", columns,
                     [&](const named_rows& rows) -> result<void> {
                       auto of = find(numbers_, rows, order, orders_file);
                       if (!of)
                         return failure(of);
                       auto at = number(rows, place);
                       if (!at)
                         return failure(at);
                       auto category = find(categories_, rows, product, products_file);
                       if (!category)
                         return failure(category);
                       auto costs = cents(rows, price);
                       if (!costs)
                         return failure(costs);
                       auto sending = cents(rows, freight);
                       if (!sending)
                         return failure(sending);
                       auto& to = histories_[**of];
                       to.items.emplace(*at, orders::item{.product = std::string(rows[product]),
                                                          .category = **category,
                                                          .quantity = 1,
                                                          .price = *costs});
                       to.freight += *sending;
                       feed_.totals.items += *costs;
                       feed_.totals.freight += *sending;
                       return {};
                     });
  }

  [[nodiscard]] result<void> read_payments() {
    enum column : std::size_t { order, place, method, amount };
    static constexpr std::array<std::string_view, 4> columns{"order_id", "payment_sequential",
                                                             "payment_type", "payment_value"};
    return read_rows("olist_order_payments_dataset.csv", columns,
                     [&](const named_rows& rows) -> result<void> {
                       auto of = find(numbers_, rows, order, orders_file);
                       if (!of)
                         return failure(of);
                       auto at = number(rows, place);
                       if (!at)
                         return failure(at);
                       auto paid = cents(rows, amount);
                       if (!paid)
                         return failure(paid);
                       histories_[**of].payments.emplace(
                         *at, orders::pay{.amount = *paid, .method = std::string(rows[method])});
                       feed_.totals.payments += *paid;
                       return {};
                     });
  }

  void make_steps() {
    for (std::size_t i = 0; i < histories_.size(); ++i)
      add_steps(histories_[i], i, feed_.steps);
    std::ranges::sort(feed_.steps, {},
                      [](const auto& one) { return std::pair(one.at_ns, one.record); });
    std::uint64_t record = 0;
    for (auto& step : feed_.steps)
      step.record = ++record;
  }

  static void add_steps(history& of, std::size_t order, std::vector<shop_step>& to) {
    auto last = of.purchased;
    const auto add = [&](moment when, orders::order::command what) {
      last = std::max(last, when);
      to.push_back({.record = to.size(), .at_ns = when, .order = order, .what = std::move(what)});
    };
    orders::place placed{.customer = of.customer, .items = {}, .freight = of.freight};
    for (auto& [at, item] : of.items)
      placed.items.push_back(std::move(item));
    add(of.purchased, std::move(placed));
    for (auto& [at, payment] : of.payments)
      add(of.approved.value_or(of.purchased), std::move(payment));
    if (of.shipped)
      add(*of.shipped, orders::ship{});
    if (of.delivered)
      add(*of.delivered, orders::deliver{});
    if (of.status == "canceled" || of.status == "unavailable")
      add(std::max(last, of.approved.value_or(last)), orders::cancel{of.status});
  }

  const std::filesystem::path& directory_;
  names customers_;
  names categories_;
  std::unordered_map<std::string, std::size_t> numbers_; ///< Of orders, in the two below.
  std::vector<history> histories_;
  shop_feed feed_;
};

} // namespace

result<shop_feed> read_olist(const std::filesystem::path& directory) {
  return olist_reader(directory).read();
}

} // namespace acta::sim
