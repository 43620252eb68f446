// Events handed on as they are committed: to a function, on request, and to a query that is asked
// again whenever its view has moved. Run: follow [DIRECTORY]
#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/on_change.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/subscription.hpp>
#include <acta/projections/trade_tape.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <utility>

namespace example {

using namespace acta;
using namespace acta::domain::trading;
using namespace std::chrono_literals;
using projections::event_batch;
using projections::pull_subscription;
using projections::subscription;

void print(const runtime::engine& engine, const event_batch& events) {
  for (const auto& record : events.records())
    fmt::print("  {}: {} {}\n", record.position().value(),
               record.stream().to_string(engine.log().category_name(record.stream().category())),
               engine.log().event_type_name(record.event_type()));
}

/// One order, on the subscription's thread, from now on until it is gone.
result<void> watch(runtime::engine& engine) {
  std::promise<void> gone;
  const auto order = subscription::open(
    engine, {.filter = {.stream = engine.stream<limit_order>(2)}},
    [&](subscription& from, event_batch events) {
      print(engine, events);
      if (events.records().back().version() == stream_version(3)) // its last, as this page has it
        from.stop();
    },
    [&](const result<void>&) { gone.set_value(); });
  if (!order)
    return std::unexpected(order.error());
  for (const limit_order::command& next :
       {limit_order::command(reduce{.quantity = 10}), limit_order::command(cancel{})})
    if (auto done = engine.ask<limit_order>(2, next); !done)
      return failure(done);
  gone.get_future().wait();
  return {};
}

/// All there is, on request, in two goes: what is kept between them is a position.
result<log_position> read_some(runtime::engine& engine, log_position after) {
  auto all = pull_subscription::open(engine, {.after = after, .buffer = 3});
  if (!all)
    return failure(all);
  auto some = (*all)->next(100ms);
  if (!some)
    return failure(some);
  fmt::print("behind {}, {} more then:\n", after.value(), (*all)->lag());
  print(engine, *some);
  return some->reached();
}

/// A query, asked again whenever the tape has moved, until it shows what is waited for.
result<void> ask_again(runtime::engine& engine) {
  projections::memory_view<projections::trade_tape> tape;
  auto feeding = projections::projector::start(engine, tape);
  if (!feeding)
    return failure(feeding);
  std::promise<std::int64_t> traded;
  bool is_told = false;
  const auto live = projections::on_change(engine, tape, [&](log_position) {
    const auto volume = tape.read([](const auto& now) { return now.totals().all.volume; });
    if (volume != 0 && !std::exchange(is_told, true))
      traded.set_value(volume);
  });
  if (auto done = engine.ask<limit_order>(1, execute{.quantity = 25, .price = {}}); !done)
    return failure(done);
  fmt::print("traded: {}\n", traded.get_future().get());
  return {};
}

result<void> run(const char* directory) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  auto engine = runtime::engine::open<limit_order>(std::move(*log));
  if (!engine)
    return failure(engine);
  for (const std::uint64_t order : {1U, 2U})
    if (auto done = (*engine)->ask<limit_order>(order, submit{7, side::buy, 1'000, 100}); !done)
      return failure(done);
  if (auto watched = watch(**engine); !watched)
    return watched;
  const auto reached = read_some(**engine, log_position(0));
  if (!reached)
    return std::unexpected(reached.error());
  if (auto rest = read_some(**engine, *reached); !rest)
    return failure(rest);
  return ask_again(**engine);
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "followed");
  if (!done)
    fmt::print(stderr, "follow: {}\n", done.error().message());
  return done ? 0 : 1;
}
