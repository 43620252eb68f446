#include <acta/projections/order_book.hpp>

#include "trading_keys.hpp"

#include <acta/base/ensure.hpp>

#include <tsl/robin_map.h>

#include <algorithm>
#include <map>

namespace acta::projections {

using domain::trading::side;

namespace {

/// One side of a book: levels in order of price with the best at the back, where most changes are.
class book_side {
public:
  explicit book_side(side which) noexcept : buys_(which == side::buy) {}

  /// Adds `quantity` and `orders`, both of which may be negative, to a level.
  void change(std::int64_t price, std::int64_t quantity, int orders) {
    const auto at = std::ranges::partition_point(
      levels_, [&](const price_level& level) { return !better(level.price, price); });
    // `at` follows the last level that is not better than `price`.
    if (at == levels_.begin() || std::prev(at)->price != price) {
      ensure(quantity > 0 && orders == 1, "only a new order makes a level");
      levels_.insert(at, {price, quantity, 1});
      return;
    }
    auto& level = *std::prev(at);
    level.quantity += quantity;
    level.orders = static_cast<std::uint32_t>(static_cast<int>(level.orders) + orders);
    ensure(level.quantity >= 0, "a level holds what its orders hold");
    if (level.orders == 0)
      levels_.erase(std::prev(at));
  }

  [[nodiscard]] std::vector<price_level> best(std::size_t count) const {
    const auto all = static_cast<std::ptrdiff_t>(std::min(count, levels_.size()));
    return {levels_.rbegin(), levels_.rbegin() + all};
  }

  [[nodiscard]] std::optional<price_level> top() const {
    return levels_.empty() ? std::nullopt : std::optional(levels_.back());
  }

private:
  [[nodiscard]] bool better(std::int64_t left, std::int64_t right) const noexcept {
    return buys_ ? left > right : left < right;
  }

  std::vector<price_level> levels_;
  bool buys_;
};

struct instrument_book {
  book_side bids{side::buy};
  book_side asks{side::sell};

  [[nodiscard]] book_side& of(side which) noexcept { return which == side::buy ? bids : asks; }
};

struct resting_order {
  std::int64_t price = 0;
  std::int64_t quantity = 0;
  instrument_book* book = nullptr;
  std::uint32_t instrument = 0;
  side at = side::none;
};

struct mixed {
  std::size_t operator()(std::uint64_t id) const noexcept {
    return (id ^ (id >> 32U)) * 0x9e3779b97f4a7c15ULL;
  }
};

} // namespace

/// Events of orders that are not in the book, which a log that began elsewhere may have, change
/// nothing.
class order_book::implementation {
public:
  implementation() = default;
  implementation(const implementation& other) : books_(other.books_), orders_(other.orders_) {
    for (auto order = orders_.begin(); order != orders_.end(); ++order)
      order.value().book = &books_.at(order->second.instrument);
  }
  implementation& operator=(const implementation&) = delete;

  void submit(std::uint64_t id, const domain::trading::order_submitted& event) {
    auto& book = books_[event.instrument()]; // a std::map: its address stays
    auto& order = orders_[id];
    if (order.book != nullptr)
      order.book->of(order.at).change(order.price, -order.quantity, -1);
    order = {event.price(), event.quantity(), &book, event.instrument(), event.side()};
    book.of(order.at).change(order.price, order.quantity, 1);
  }

  void modify(std::uint64_t id, std::int64_t price, std::int64_t quantity) {
    const auto found = orders_.find(id);
    if (found == orders_.end())
      return;
    auto& order = found.value();
    auto& side = order.book->of(order.at);
    if (price == order.price) {
      side.change(price, quantity - order.quantity, 0);
    } else {
      side.change(order.price, -order.quantity, -1);
      side.change(price, quantity, 1);
    }
    order.price = price;
    order.quantity = quantity;
  }

  void take(std::uint64_t id, std::int64_t quantity) {
    const auto found = orders_.find(id);
    if (found == orders_.end())
      return;
    auto& order = found.value();
    const bool gone = quantity >= order.quantity;
    order.book->of(order.at).change(order.price, -std::min(quantity, order.quantity),
                                    gone ? -1 : 0);
    if (gone)
      orders_.erase(found);
    else
      order.quantity -= quantity;
  }

  [[nodiscard]] const instrument_book* find(std::uint32_t instrument) const {
    const auto found = books_.find(instrument);
    return found == books_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::map<std::uint32_t, instrument_book>& books() const { return books_; }
  [[nodiscard]] const auto& orders() const { return orders_; }

private:
  std::map<std::uint32_t, instrument_book> books_;
  tsl::robin_map<std::uint64_t, resting_order, mixed> orders_;
};

order_book::order_book() : implementation_(std::make_unique<implementation>()) {}
order_book::order_book(const order_book& other)
    : implementation_(std::make_unique<implementation>(*other.implementation_)) {}
order_book& order_book::operator=(const order_book& other) {
  implementation_ = std::make_unique<implementation>(*other.implementation_);
  return *this;
}
order_book::~order_book() = default;

std::vector<std::uint32_t> order_book::instruments() const {
  std::vector<std::uint32_t> all;
  for (const auto& [instrument, book] : implementation_->books())
    all.push_back(instrument);
  return all;
}

book_depth order_book::depth(std::uint32_t instrument, std::size_t levels) const {
  const auto* book = implementation_->find(instrument);
  return book == nullptr ? book_depth{}
                         : book_depth{book->bids.best(levels), book->asks.best(levels)};
}

book_top order_book::top(std::uint32_t instrument) const {
  const auto* book = implementation_->find(instrument);
  return book == nullptr ? book_top{} : book_top{book->bids.top(), book->asks.top()};
}

std::vector<std::uint64_t> order_book::resting_orders(std::uint32_t instrument) const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, order] : implementation_->orders())
    if (order.instrument == instrument)
      ids.push_back(id);
  std::ranges::sort(ids);
  return ids;
}

std::size_t order_book::resting_count() const {
  return implementation_->orders().size();
}

void order_book::on(const domain::trading::order_submitted& event,
                    const storage::record_view& record) {
  implementation_->submit(order_of(record), event);
}

void order_book::on(const domain::trading::order_modified& event,
                    const storage::record_view& record) {
  implementation_->modify(order_of(record), event.price(), event.quantity());
}

void order_book::on(const domain::trading::order_reduced& event,
                    const storage::record_view& record) {
  implementation_->take(order_of(record), event.quantity());
}

void order_book::on(const domain::trading::order_cancelled& event,
                    const storage::record_view& record) {
  implementation_->take(order_of(record), event.quantity());
}

void order_book::on(const domain::trading::order_executed& event,
                    const storage::record_view& record) {
  implementation_->take(order_of(record), event.quantity());
}

} // namespace acta::projections
