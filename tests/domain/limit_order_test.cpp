#include <acta/domain/aggregate.hpp>
#include <acta/domain/trading/limit_order.hpp>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace acta::domain::trading {
namespace {

using order = limit_order;

/// An event as the tests see it.
struct seen_event {
  std::string name;
  std::int64_t price = 0;
  std::int64_t quantity = 0;

  bool operator==(const seen_event&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const seen_event& one) {
    return out << one.name << " " << one.price << "x" << one.quantity;
  }
};

/// An order without an engine: decides, evolves, and keeps what was emitted.
class bare_order final : event_sink {
public:
  /// The rejection's code, or nothing if the command was accepted.
  std::optional<refusal> handle(const order::command& command) {
    last.clear();
    const auto before = now;
    emitter<order> out(builder_, *this);
    const auto decided = decide<order>(now, command, out);
    if (!decided) {
      EXPECT_TRUE(last.empty()) << "a refused command emits nothing";
      EXPECT_EQ(now.quantity, before.quantity);
      EXPECT_FALSE(decided.error().reason.empty());
      return static_cast<refusal>(decided.error().code);
    }
    return std::nullopt;
  }

  order::state now;
  std::vector<seen_event> last;

private:
  template <class Event>
  bool apply(std::span<const std::byte> payload) {
    const auto* event = verified<Event>(payload);
    EXPECT_NE(event, nullptr);
    std::int64_t price = 0;
    if constexpr (requires { event->price(); })
      price = event->price();
    last.push_back(
      {Event::GetFullyQualifiedName() + sizeof "acta.domain.trading", price, event->quantity()});
    order::evolve(now, *event);
    return true;
  }
  void accept(std::size_t index, std::uint16_t, std::span<const std::byte> payload) noexcept final {
    [&]<class... Events>(event_list<Events...>) {
      std::size_t at = 0;
      (void)((at++ == index && apply<Events>(payload)) || ...);
    }(order::events{});
  }

  flatbuffers::FlatBufferBuilder builder_;
};

bare_order resting(std::int64_t price, std::int64_t quantity) {
  bare_order made;
  EXPECT_FALSE(made.handle(submit{1, side::buy, price, quantity}));
  return made;
}

bare_order closed_order() {
  auto made = resting(10, 5);
  EXPECT_FALSE(made.handle(cancel{}));
  return made;
}

using events = std::vector<seen_event>;

TEST(limit_order, is_submitted_once) {
  auto one = resting(10, 5);
  EXPECT_EQ(one.last, (events{{"order_submitted", 10, 5}}));
  EXPECT_EQ(one.handle(submit{1, side::buy, 10, 5}), refusal::order_exists);
  EXPECT_EQ(closed_order().handle(submit{1, side::buy, 10, 5}), refusal::order_exists);
}

TEST(limit_order, needs_a_side_and_a_positive_quantity) {
  EXPECT_EQ(bare_order().handle(submit{1, side::none, 10, 5}), refusal::invalid_quantity);
  EXPECT_EQ(bare_order().handle(submit{1, side::sell, 10, 0}), refusal::invalid_quantity);
  EXPECT_EQ(bare_order().handle(submit{1, side::sell, 10, -1}), refusal::invalid_quantity);
}

TEST(limit_order, refuses_everything_but_submit_and_replace_while_unknown) {
  EXPECT_EQ(bare_order().handle(modify{.price = 1, .quantity = {}}), refusal::unknown_order);
  EXPECT_EQ(bare_order().handle(reduce{1}), refusal::unknown_order);
  EXPECT_EQ(bare_order().handle(cancel{}), refusal::unknown_order);
  EXPECT_EQ(bare_order().handle(execute{1, {}}), refusal::unknown_order);
}

TEST(limit_order, refuses_everything_but_replace_when_closed) {
  EXPECT_EQ(closed_order().handle(modify{.price = 1, .quantity = {}}), refusal::order_closed);
  EXPECT_EQ(closed_order().handle(reduce{1}), refusal::order_closed);
  EXPECT_EQ(closed_order().handle(cancel{}), refusal::order_closed);
  EXPECT_EQ(closed_order().handle(execute{1, {}}), refusal::order_closed);
}

TEST(limit_order, is_modified_in_price_quantity_or_both) {
  auto one = resting(10, 5);
  EXPECT_FALSE(one.handle(modify{.price = 11, .quantity = {}}));
  EXPECT_EQ(one.last, (events{{"order_modified", 11, 5}}));
  EXPECT_FALSE(one.handle(modify{.price = {}, .quantity = 7}));
  EXPECT_EQ(one.last, (events{{"order_modified", 11, 7}}));
  EXPECT_EQ(one.handle(modify{.price = {}, .quantity = 0}), refusal::invalid_quantity);
  EXPECT_FALSE(one.handle(modify{.price = 11, .quantity = 7}));
  EXPECT_TRUE(one.last.empty()) << "nothing changed, so there is nothing to store";
}

TEST(limit_order, is_reduced_and_closed_by_what_is_left) {
  auto one = resting(10, 5);
  EXPECT_EQ(one.handle(reduce{6}), refusal::invalid_quantity);
  EXPECT_EQ(one.handle(reduce{0}), refusal::invalid_quantity);
  EXPECT_FALSE(one.handle(reduce{2}));
  EXPECT_EQ(one.now.quantity, 3);
  EXPECT_FALSE(order::closed(one.now));
  EXPECT_FALSE(one.handle(reduce{3}));
  EXPECT_TRUE(order::closed(one.now));
}

TEST(limit_order, is_executed_at_its_own_price_or_the_trades) {
  auto one = resting(10, 5);
  EXPECT_FALSE(one.handle(execute{.quantity = 2, .price = {}}));
  EXPECT_EQ(one.last, (events{{"order_executed", 10, 2}}));
  EXPECT_FALSE(one.handle(execute{.quantity = 1, .price = 9}));
  EXPECT_EQ(one.last, (events{{"order_executed", 9, 1}}));
  EXPECT_EQ(one.handle(execute{.quantity = 3, .price = {}}), refusal::over_execution);
  EXPECT_EQ(one.handle(execute{.quantity = 0, .price = {}}), refusal::invalid_quantity);
  EXPECT_FALSE(one.handle(execute{.quantity = 2, .price = {}}));
  EXPECT_TRUE(order::closed(one.now));
}

TEST(limit_order, is_cancelled_with_what_rested) {
  auto one = resting(10, 5);
  EXPECT_FALSE(one.handle(cancel{}));
  EXPECT_EQ(one.last, (events{{"order_cancelled", 0, 5}}));
}

TEST(limit_order, is_replaced_by_the_exchanges_word) {
  bare_order one;
  EXPECT_FALSE(one.handle(replace{1, side::buy, 10, 5}));
  EXPECT_EQ(one.last, (events{{"order_submitted", 10, 5}})) << "an unknown order is added";
  EXPECT_FALSE(one.handle(replace{1, side::buy, 11, 5}));
  EXPECT_EQ(one.last, (events{{"order_modified", 11, 5}}));
  EXPECT_FALSE(one.handle(replace{1, side::buy, 11, 5}));
  EXPECT_TRUE(one.last.empty());
  EXPECT_FALSE(one.handle(replace{1, side::sell, 12, 5}));
  EXPECT_EQ(one.last, (events{{"order_cancelled", 0, 5}, {"order_submitted", 12, 5}}))
    << "the other side is another order of the same id";
  EXPECT_EQ(one.handle(replace{1, side::sell, 12, 0}), refusal::invalid_quantity);
  EXPECT_FALSE(one.handle(cancel{}));
  EXPECT_FALSE(one.handle(replace{1, side::buy, 9, 1}));
  EXPECT_EQ(one.last, (events{{"order_submitted", 9, 1}})) << "a closed one is opened again";
}

TEST(limit_order, has_pinned_refusal_codes_with_names) {
  EXPECT_EQ(static_cast<int>(refusal::unknown_order), 1);
  EXPECT_EQ(static_cast<int>(refusal::order_exists), 2);
  EXPECT_EQ(static_cast<int>(refusal::over_execution), 3);
  EXPECT_EQ(static_cast<int>(refusal::invalid_quantity), 4);
  EXPECT_EQ(static_cast<int>(refusal::order_closed), 5);
  EXPECT_EQ(name(refusal::over_execution), "over_execution");
}

rc::Gen<order::command> any_command() {
  const auto quantity = rc::gen::inRange<std::int64_t>(-1, 20);
  const auto price = rc::gen::inRange<std::int64_t>(1, 5);
  return rc::gen::oneOf(
    rc::gen::apply([](auto p, auto q) -> order::command { return submit{1, side::buy, p, q}; },
                   price, quantity),
    rc::gen::apply([](auto p, auto q) -> order::command { return replace{1, side::sell, p, q}; },
                   price, quantity),
    rc::gen::apply(
      [](auto p, auto q) -> order::command { return modify{.price = p, .quantity = q}; }, price,
      quantity),
    rc::gen::apply([](auto q) -> order::command { return reduce{q}; }, quantity),
    rc::gen::apply([](auto q) -> order::command { return execute{q, {}}; }, quantity),
    rc::gen::just<order::command>(cancel{}));
}

/// Over any commands: what rests is never negative, zero only when the order is not open, and
/// equals what came in less what was taken away.
TEST(limit_order, keeps_its_books_balanced_whatever_is_sent) {
  EXPECT_TRUE(rc::check([] {
    bare_order one;
    std::int64_t balance = 0;
    for (const auto& command : *rc::gen::container<std::vector<order::command>>(any_command())) {
      if (one.handle(command))
        continue;
      for (const auto& event : one.last) {
        if (event.name == "order_submitted")
          balance += event.quantity;
        else if (event.name == "order_modified")
          balance = event.quantity;
        else
          balance -= event.quantity;
      }
      RC_ASSERT(one.now.quantity >= 0 || one.now.status == order::status::closed);
      RC_ASSERT((one.now.status == order::status::open) == (balance > 0));
      if (one.now.status == order::status::open)
        RC_ASSERT(one.now.quantity == balance);
    }
  }));
}

} // namespace
} // namespace acta::domain::trading
