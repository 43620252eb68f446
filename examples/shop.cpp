// A shop: orders are placed, paid in parts, and shipped when they are paid. What is not paid in
// time is cancelled by its timer, and what was paid of it goes back. Run: shop [DIRECTORY]
#include <acta/base/clock.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/orders/order.hpp>
#include <acta/domain/orders/refund.hpp>
#include <acta/domain/orders/refunds.hpp>
#include <acta/domain/orders/refusal.hpp>
#include <acta/domain/process_manager.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_manager.hpp>
#include <acta/storage/event_json.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>

namespace example {

using namespace acta;
using namespace acta::domain::orders;
using runtime::engine;
using runtime::process_journal;
using namespace std::chrono_literals;

/// A process manager: what is paid is shipped. The other one, refunds, comes with domain::orders.
struct shipping {
  static constexpr std::string_view name = "shipping";
  struct state {};
  using events = domain::event_list<order_paid, order_shipped, order_cancelled>;
  using targets = domain::aggregate_list<order>;
  using origin = domain::event_origin;
  using out = domain::commands<shipping>;

  static domain::route route(const order_paid&, const origin& from) {
    return domain::start(from.key);
  }
  static domain::route route(const auto&, const origin& from) { return domain::stop(from.key); }

  static void handle(const state&, const order_paid&, const origin& from, out& to) {
    to.send<order>(from.key, ship{});
  }
  static void handle(const state&, const auto&, const origin&, out&) {}
  static void evolve(state&, const auto&, const origin&) noexcept {}

  static domain::on_failure<shipping> failed(const state&,
                                             const domain::failed_command<shipping>& what) {
    using answer = domain::on_failure<shipping>;
    return what.why.code() == errc::rejected ? answer::skip() : answer::stop(); // cancelled, say
  }
};

/// Whoever moves the money. Timer and manager work by themselves, so it asks until there is a
/// refund.
result<void> pay_back(engine& shop, const runtime::process_manager& refunding,
                      std::uint64_t number) {
  for (;;) {
    auto done = shop.ask<refund>(number, confirm_refund{.reference = "transfer 7"});
    const auto refused = static_cast<refusal>(done ? 0 : done.error().rejection());
    if (done || refused == refusal::refund_already_confirmed)
      return {};
    if (refused != refusal::refund_not_found)
      return failure(done);
    if (auto running = refunding.status(); !running)
      return running;
  }
}

result<void> print_history(engine& shop, std::string_view title, const stream_id& stream) {
  auto now = shop.log().snapshot();
  if (!now)
    return failure(now);
  auto history = shop.read(stream, **now);
  if (!history)
    return failure(history);
  fmt::print("{}\n", title);
  storage::event_json json(shop.log());
  for (const auto& record : history->records) {
    auto text = json.text(record);
    if (!text)
      return failure(text);
    const auto type = shop.log().event_type_name(record.event_type());
    fmt::print("  {} {} {}\n", record.version().value(), type.substr(type.rfind('.') + 1), *text);
  }
  return {};
}

result<void> run(const char* directory) {
  manual_clock now(1); // a program has none, and so the wall clock
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  auto shop = engine::open<order, refund, process_journal>(std::move(*log), {.clock = &now});
  if (!shop)
    return failure(shop);
  auto ships = runtime::process_manager::start<shipping>(**shop);
  auto pays_back = runtime::process_manager::start<refunds>(**shop);
  if (!ships || !pays_back)
    return failure(ships ? pays_back : ships);

  const auto ask = [&](std::uint64_t number, const order::command& command) {
    const auto receipt = (*shop)->ask<order>(number, command);
    if (!receipt)
      fmt::print("refused: {}\n", receipt.error().message());
    return receipt ? receipt->position : log_position();
  };
  const place one_book{.customer = "alice",
                       .items = {{.product = "book", .category = "", .price = 1'200}},
                       .pay_within = 30min};
  ask(1, one_book);
  ask(2, one_book);
  ask(1, pay{.amount = 500, .method = "voucher"});
  ask(2, pay{.amount = 500, .method = "voucher"});
  ask(1, pay{.amount = 900, .method = "card"}); // is refused: 700 are due
  const auto paid = ask(1, pay{.amount = 700, .method = "card"});
  if (auto waited = (*ships)->wait_for(paid, 10s); !waited) // what follows from it has been done
    return waited;
  now.advance_ns(std::chrono::nanoseconds(30min).count()); // the time of order 2 is up
  if (auto done = pay_back(**shop, **pays_back, 2); !done)
    return done;

  for (const auto& [title, stream] : {std::pair("order 1", (*shop)->stream<order>(1)),
                                      std::pair("order 2", (*shop)->stream<order>(2)),
                                      std::pair("refund 2", (*shop)->stream<refund>(2))})
    if (auto printed = print_history(**shop, title, stream); !printed)
      return printed;
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "orders");
  if (!done)
    fmt::print(stderr, "shop: {}\n", done.error().message());
  return done ? 0 : 1;
}
