// A market: limit orders, and read models that follow them: order book and trade tape. Opened
// again, the same book is made of the log. Run: trading [DIRECTORY]
#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/stored_order_book.hpp>
#include <acta/projections/trade_tape.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace example {

using namespace acta;
using namespace acta::domain::trading;
using namespace std::chrono_literals;

constexpr std::uint32_t acme = 7;              // an instrument
constexpr std::int64_t dollar = 1'000'000'000; // prices are in 1e-9 of the currency

/// An engine, and what follows it: each projector pulls from the log at its own pace.
struct market {
  projections::memory_view<projections::order_book> book;
  projections::memory_view<projections::trade_tape> tape;
  std::unique_ptr<runtime::engine> engine; // outlives the projectors, and its views outlive it
  std::unique_ptr<projections::projector> books;
  std::unique_ptr<projections::projector> tapes;

  result<void> open(const char* directory) {
    auto log = storage::open_log(directory);
    if (!log)
      return failure(log);
    auto opened = runtime::engine::open<limit_order>(std::move(*log));
    if (!opened)
      return failure(opened);
    engine = std::move(*opened);
    auto first = projections::projector::start(*engine, book);
    auto second = projections::projector::start(*engine, tape);
    if (!first || !second)
      return failure(first ? second : first);
    books = std::move(*first);
    tapes = std::move(*second);
    return {};
  }
  /// Both have seen what happened up to there.
  result<void> wait_for(log_position position) const {
    auto seen = books->wait_for(position, 10s);
    return seen ? tapes->wait_for(position, 10s) : seen;
  }
};

/// Each message has a number, which becomes the command's id: a feed that is sent again, by the
/// next run of this program, say, changes nothing, and gets its first receipts.
result<log_position> send_feed(runtime::engine& to) {
  using message = std::pair<std::uint64_t, limit_order::command>;
  const std::vector<message> feed{
    {101, submit{acme, side::buy, 99 * dollar, 300}},
    {102, submit{acme, side::buy, 98 * dollar, 500}},
    {201, submit{acme, side::sell, 101 * dollar, 200}},
    {202, submit{acme, side::sell, 102 * dollar, 400}},
    {203, submit{acme, side::sell, 103 * dollar, 50}},
    {102, modify{.price = 99 * dollar, .quantity = {}}}, // now it is at the best bid, too
    {101, execute{.quantity = 100, .price = {}}},
    {201, execute{.quantity = 200, .price = {}}}, // all of it: the next best ask is at 102
    {203, cancel{}},
    {201, cancel{}}, // is refused: nothing of it rests
  };
  log_position reached;
  for (std::uint64_t number = 1; const auto& [order, command] : feed) {
    auto receipt = to.ask<limit_order>(order, command, {.id = command_id::of(acme, number++)});
    if (receipt)
      reached = receipt->position;
    else if (receipt.error().code() == errc::rejected)
      fmt::print("order {}: {}\n", order, receipt.error().message());
    else
      return failure(receipt);
  }
  return reached;
}

void print(const char* what, const std::optional<projections::price_level>& best) {
  if (best)
    fmt::print("{}: {} at {}, orders: {}\n", what, best->quantity, best->price / dollar,
               best->orders);
}

result<void> run(const char* directory) {
  projections::book_depth before;
  log_position reached;
  {
    market today;
    if (auto opened = today.open(directory); !opened)
      return opened;
    auto sent = send_feed(*today.engine);
    if (!sent)
      return failure(sent);
    reached = *sent;
    const auto order = 1'000 + today.engine->log().tail().value(); // a new one
    // One reads one's own write:
    auto receipt = today.engine->ask<limit_order>(order, submit{acme, side::buy, 97 * dollar, 10});
    auto best = today.book.read(receipt->position, 10s, [](const auto& b) { return b.top(acme); });
    if (!best)
      return failure(best);
    print("best bid", best->bid);
    print("best ask", best->ask);
    reached = receipt->position;
    if (auto seen = today.wait_for(reached); !seen)
      return seen;
    for (const auto& one : today.tape.read([](const auto& tape) { return tape.newest(); }))
      fmt::print("trade: {} at {}\n", one.quantity, one.price / dollar);
    before = today.book.read([](const auto& book) { return book.depth(acme); });
  }
  market tomorrow;
  if (auto opened = tomorrow.open(directory); !opened)
    return opened;
  if (auto seen = tomorrow.wait_for(reached); !seen)
    return seen;
  const auto after = tomorrow.book.read([](const auto& book) { return book.depth(acme); });
  fmt::print("after a restart: {} bid and {} ask levels, {}\n", after.bids.size(),
             after.asks.size(), after == before ? "the same book" : "ANOTHER BOOK");

  projections::lmdb_view<projections::stored_order_book> stored; // the same, on disk
  auto storing = projections::projector::start(*tomorrow.engine, stored);
  if (!storing)
    return failure(storing);
  auto top = stored.read(reached, 10s, [](const projections::table_reader& now) {
    return projections::stored_order_book::top(now, acme);
  });
  if (!top)
    return failure(top);
  print("on disk, best bid", top->bid);
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "market");
  if (!done)
    fmt::print(stderr, "trading: {}\n", done.error().message());
  return done ? 0 : 1;
}
