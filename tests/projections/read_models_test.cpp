// The order book and the trade tape against the plainest code that could be written for them.
#include "../support/order_flow.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/trade_tape.hpp>
#include <acta/runtime/engine.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;

/// Applies events to a list of orders, and counts levels only when asked.
class plain_market final : public projections::projection {
public:
  struct order {
    std::uint32_t instrument = 0;
    side at = side::none;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
  };

  std::string_view name() const noexcept override { return "plain_market"; }
  std::uint32_t version() const noexcept override { return 1; }
  result<storage::scan_options> attach(const storage::event_log& log) override {
    log_ = &log;
    return {};
  }
  result<void> clear() override { return {}; }
  result<std::vector<projections::dead_letter>> dead_letters() const override { return {}; }

  projections::step_result apply(const projections::view_step& step) override {
    for (const auto& record : step.records) {
      const auto id = record.integer_key();
      const auto type = log_->event_type_name(record.event_type());
      const auto payload = record.payload();
      if (type.ends_with("order_submitted")) {
        const auto* event = domain::verified<order_submitted>(payload);
        orders[id] = {event->instrument(), event->side(), event->price(), event->quantity()};
      } else if (type.ends_with("order_modified")) {
        const auto* event = domain::verified<order_modified>(payload);
        orders[id].price = event->price();
        orders[id].quantity = event->quantity();
      } else if (type.ends_with("order_reduced")) {
        orders[id].quantity -= domain::verified<order_reduced>(payload)->quantity();
      } else if (type.ends_with("order_cancelled")) {
        orders[id].quantity = 0;
      } else if (type.ends_with("order_executed")) {
        const auto* event = domain::verified<order_executed>(payload);
        orders[id].quantity -= event->quantity();
        trades.emplace_back(event->price(), event->quantity());
      } else if (type.ends_with("trade_printed")) {
        const auto* event = domain::verified<trade_printed>(payload);
        prints.emplace_back(event->price(), event->quantity());
      }
    }
    return {};
  }

  [[nodiscard]] std::vector<projections::price_level> levels(std::uint32_t instrument,
                                                             side at) const {
    std::map<std::int64_t, projections::price_level> by_price;
    for (const auto& [id, one] : orders)
      if (one.instrument == instrument && one.at == at && one.quantity > 0) {
        auto& level = by_price[at == side::buy ? -one.price : one.price];
        level.price = one.price;
        level.quantity += one.quantity;
        ++level.orders;
      }
    std::vector<projections::price_level> found;
    for (const auto& [key, level] : by_price)
      found.push_back(level);
    return found;
  }

  std::map<std::uint64_t, order> orders;
  std::vector<std::pair<std::int64_t, std::int64_t>> trades;
  std::vector<std::pair<std::int64_t, std::int64_t>> prints;

private:
  const storage::event_log* log_ = nullptr;
};

class read_models : public ::testing::TestWithParam<unsigned> {};

TEST_P(read_models, equal_the_plainest_reference) {
  std::mt19937 random(GetParam());
  auto engine = runtime::engine::open<limit_order, instrument>(storage::make_memory_log());
  ASSERT_TRUE(engine);
  projections::memory_view<projections::order_book> followed;
  auto following = projections::projector::start(**engine, followed);
  ASSERT_TRUE(following);
  for (int i = 0; i < 5'000; ++i) {
    if (random() % 50 == 0) {
      const print_trade print{.price = 4, .quantity = 2};
      ASSERT_TRUE((*engine)->tell<instrument>(2, print, [](runtime::outcome&&) {}));
    }
    ASSERT_TRUE((*engine)->tell<limit_order>(1 + random() % 300, random_command(random),
                                             [](runtime::outcome&&) {}));
  }
  const auto& log = (*engine)->log();
  plain_market plain;
  projections::memory_view<projections::order_book> replayed;
  projections::memory_view<projections::trade_tape> trades(projections::trade_tape(10));
  (*engine)->stop();
  ASSERT_TRUE((*following)->wait_for(log.tail(), std::chrono::seconds(30)));
  const auto tail = projections::replay(log, plain);
  ASSERT_TRUE(tail);
  EXPECT_EQ(projections::replay(log, replayed), *tail);
  EXPECT_EQ(projections::replay(log, trades), *tail);
  const auto book = replayed.read([](const auto& now) { return now; });
  const auto live = followed.read([](const auto& now) { return now; });
  const auto tape = trades.read([](const auto& now) { return now; });

  EXPECT_EQ(book.instruments(), (std::vector<std::uint32_t>{1, 2, 3}));
  std::size_t resting = 0;
  for (const auto instrument : book.instruments()) {
    for (const auto* view : {&book, &live}) {
      const auto depth = view->depth(instrument);
      EXPECT_EQ(depth.bids, plain.levels(instrument, side::buy));
      EXPECT_EQ(depth.asks, plain.levels(instrument, side::sell));
    }
    const auto depth = book.depth(instrument, 2);
    const auto top = book.top(instrument);
    EXPECT_LE(depth.bids.size(), 2U);
    EXPECT_EQ(top.bid, depth.bids.empty() ? std::nullopt : std::optional(depth.bids.front()));
    EXPECT_EQ(top.ask, depth.asks.empty() ? std::nullopt : std::optional(depth.asks.front()));
    const auto ids = book.resting_orders(instrument);
    EXPECT_TRUE(std::ranges::is_sorted(ids));
    for (const auto id : ids)
      EXPECT_TRUE(plain.orders[id].quantity > 0 && plain.orders[id].instrument == instrument);
    resting += ids.size();
  }
  EXPECT_EQ(book.resting_count(), resting);
  EXPECT_EQ(
    static_cast<std::ptrdiff_t>(resting),
    std::ranges::count_if(plain.orders, [](const auto& one) { return one.second.quantity > 0; }));

  projections::trade_sum fills;
  for (const auto& [price, quantity] : plain.trades) {
    ++fills.count;
    fills.volume += quantity;
    fills.notional += projections::notional_type{price} * quantity;
  }
  const auto totals = tape.totals();
  EXPECT_EQ(totals.displayed.count, fills.count);
  EXPECT_EQ(totals.displayed.volume, fills.volume);
  EXPECT_TRUE(totals.displayed.notional == fills.notional);
  EXPECT_EQ(totals.all.count, fills.count + plain.prints.size());
  EXPECT_EQ(tape.newest().size(), 10U);
  EXPECT_EQ(tape.totals(7).all.count, 0U);
}

INSTANTIATE_TEST_SUITE_P(seeds, read_models, ::testing::Range(1U, 6U));

TEST(order_book, is_empty_for_an_instrument_it_never_saw) {
  const projections::order_book book;
  EXPECT_TRUE(book.depth(5).bids.empty());
  EXPECT_FALSE(book.top(5).ask);
  EXPECT_TRUE(book.resting_orders(5).empty());
  EXPECT_TRUE(book.instruments().empty());
}

/// A payload that is no FlatBuffer of its type stops the view; it is never read.
TEST(order_book, stops_at_a_payload_that_is_not_its_events) {
  auto log = storage::make_memory_log();
  ASSERT_TRUE(log->register_category("limit_order"));
  ASSERT_TRUE(log->register_event_type(order_submitted::GetFullyQualifiedName()));
  const std::vector<std::uint64_t> noise{0xffffffffffffffffU, 3};
  const storage::record_fields fields{
    .stream = stream_id(category_id(1), 1),
    .version = stream_version(1),
    .command = {},
    .event_type = event_type_id(1),
    .metadata = {},
    .payload = std::as_bytes(std::span(noise)),
  };
  std::vector<std::uint64_t> words(storage::record_size(fields) / 8);
  auto* bytes = reinterpret_cast<std::byte*>(words.data());
  storage::encode_record(fields, bytes);
  const std::array records{std::as_bytes(std::span<const std::uint64_t>(words))};
  ASSERT_TRUE(log->append(records, 1'000));
  projections::memory_view<projections::order_book> book;
  const auto replayed = projections::replay(*log, book);
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().code(), errc::corrupt);
  EXPECT_NE(replayed.error().message().find("position 1"), std::string::npos);
}

} // namespace
} // namespace acta::tests
