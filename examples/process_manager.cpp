// Process managers: what is paid is shipped, what is cancelled is paid back.
// Run: process_manager [DIRECTORY]
#include <acta/domain/orders/order.hpp>
#include <acta/domain/orders/refund.hpp>
#include <acta/domain/orders/refunds.hpp>
#include <acta/domain/orders/refusal.hpp>
#include <acta/domain/process_manager.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_manager.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <string_view>

namespace example {

using namespace acta;
using namespace acta::domain::orders;

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

result<void> run(const char* directory) {
  using namespace std::chrono_literals;
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  auto engine = runtime::engine::open<order, refund, runtime::process_journal>(std::move(*log));
  if (!engine)
    return failure(engine);
  auto ships = runtime::process_manager::start<shipping>(**engine);
  auto pays_back = runtime::process_manager::start<refunds>(**engine);
  if (!ships || !pays_back)
    return failure(ships ? pays_back : ships);

  const auto tell = [&](std::uint64_t key, const order::command& command) {
    const auto receipt = (*engine)->ask<order>(key, command);
    if (!receipt)
      fmt::print("refused: {}\n", name(static_cast<refusal>(receipt.error().rejection())));
    return receipt ? receipt->position : log_position();
  };
  const place one_book{.customer = "alice",
                       .items = {{.product = "book", .category = "", .price = 1'200}}};
  tell(1, one_book);
  tell(2, one_book);
  const auto paid = tell(1, pay{.amount = 1'200, .method = "card"});
  tell(2, pay{.amount = 500, .method = "card"});
  const auto cancelled = tell(2, cancel{.reason = "too slow"});

  // All that follows from the two events has been done then.
  if (auto waited = (*ships)->wait_for(paid, 10s); !waited)
    return waited;
  if (auto waited = (*pays_back)->wait_for(cancelled, 10s); !waited)
    return waited;
  tell(1, ship{});
  if (auto again = (*engine)->ask<refund>(2, request_refund{.amount = 500, .reason = "again"});
      !again)
    fmt::print("refused: {}\n", name(static_cast<refusal>(again.error().rejection())));
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "orders");
  if (!done)
    fmt::print(stderr, "process_manager: {}\n", done.error().message());
  return done ? 0 : 1;
}
