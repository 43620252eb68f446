// One mistake at a time, chosen by a macro of the test's name; without one this compiles.
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/domain/testing.hpp>
#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_manager.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <memory>
#include <string_view>
#include <utility>
#include <variant>

using namespace acta;
using namespace acta::domain::trading;

std::unique_ptr<storage::log_snapshot> take_snapshot();
const storage::stream_index& take_index();

struct ping {};
struct pong {};

/// Emits events of another aggregate, which the emitter and the concepts must notice.
struct counter {
  static constexpr std::string_view category = "counter";
  struct state {
    int count = 0;
  };
#ifdef command_nobody_decides
  using command = std::variant<ping, pong>;
#else
  using command = std::variant<ping>;
#endif
#ifdef event_nobody_evolves
  using events = domain::event_list<order_reduced, order_cancelled>;
#else
  using events = domain::event_list<order_reduced>;
#endif
  static domain::decision decide(const state&, const ping&, domain::emitter<counter>& out) {
    out.emit<order_reduced>([](auto& builder) { return Createorder_reduced(builder, 1); });
#ifdef event_that_is_not_the_aggregates
    out.emit<order_executed>([](auto& builder) { return Createorder_executed(builder, 1); });
#endif
    out.set_timer(timer_id(1), out.now_ns() + 5);
    return domain::accept();
  }
#ifdef on_timer_that_decides_nothing
  static void on_timer(const state&, timer_id, domain::emitter<counter>&) {}
#elifndef timer_that_nobody_handles
  static domain::decision on_timer(const state&, timer_id, domain::emitter<counter>& out) {
    out.cancel_timer(timer_id(2));
    return domain::accept();
  }
#endif
  static void evolve(state& now, const order_reduced&) noexcept { ++now.count; }
#ifndef save_without_a_snapshot
  using snapshot = order_reduced;
#endif
  static flatbuffers::Offset<order_reduced> save(const state& now,
                                                 flatbuffers::FlatBufferBuilder& builder) {
    return Createorder_reduced(builder, now.count);
  }
#ifndef snapshot_that_nobody_loads
  static state load(const order_reduced& saved) { return {static_cast<int>(saved.quantity())}; }
#endif
};

void use(runtime::engine& engine) {
  const auto snapshot = take_snapshot();
  const std::span<const std::byte> bytes = snapshot->at(log_position(1))->payload();
  (void)bytes;
#ifdef record_from_a_temporary_snapshot
  (void)std::move(*take_snapshot()).at(log_position(1));
#endif
#ifdef cursor_from_a_temporary_snapshot
  (void)std::move(*take_snapshot()).scan(log_position(1));
#endif
#ifdef stream_from_a_temporary_snapshot
  (void)engine.read(engine.stream<counter>(1), std::move(*take_snapshot()));
#endif
#ifdef index_read_from_a_temporary_snapshot
  (void)take_index().read(stream_id(category_id(1), 1), std::move(*take_snapshot()));
#endif
#ifdef truncation_without_a_state
  (void)engine.truncate<limit_order>(1);
#else
  (void)engine.truncate<counter>(1);
  (void)engine.remove<limit_order>(1);
#endif
#ifdef truncation_from_a_temporary_snapshot
  (void)take_index().truncated(stream_id(category_id(1), 1), std::move(*take_snapshot()));
#endif
#ifdef version_as_a_position
  (void)snapshot->at(stream_version(1));
#endif
#ifdef number_as_a_version
  const stream_version version = 1;
  (void)version;
#endif
#ifdef result_that_is_ignored
  engine.tell<counter>(1, ping{}, [](runtime::outcome&&) {});
#else
  (void)engine.ask<counter>(1, ping{});
#endif
}

void open_one() {
  (void)runtime::engine::open<counter>(storage::make_memory_log());
}

void test_one() {
  using namespace domain::testing;
  const auto reduced = event<order_reduced>([](auto& b) { return Createorder_reduced(b, 1); });
  const auto cancelled = event<order_cancelled>([](auto& b) { return Createorder_cancelled(b); });
  (void)given<limit_order>(reduced, cancelled).when(reduce{1});
  (void)given<counter>(reduced).when(ping{});
#ifdef given_event_that_is_not_the_aggregates
  (void)given<counter>(cancelled);
#endif
#ifdef command_that_is_not_the_aggregates_in_a_test
  (void)given<counter>(reduced).when(reduce{1});
#endif
#ifdef outcome_that_is_ignored
  given<counter>(reduced).when(ping{});
#endif
}

/// Has each mistake a process manager can have.
struct follower {
  static constexpr std::string_view name = "follower";
  struct state {};
  using events = domain::event_list<order_reduced>;
#ifndef process_manager_without_targets
  using targets = domain::aggregate_list<counter>;
#endif
#ifndef event_without_a_route
  static domain::route route(const order_reduced&, const domain::event_origin& from) {
    return domain::start(from.key);
  }
#endif
#ifndef event_that_nobody_handles
  static void handle(const state&, const order_reduced&, const domain::event_origin& from,
                     domain::commands<follower>& out) {
#ifdef command_that_is_not_the_targets
    out.send<counter>(from.key, reduce{1});
#elifdef target_that_is_not_the_managers
    out.send<limit_order>(from.key, reduce{1});
#else
    out.send<counter>(from.key, ping{});
#endif
  }
#endif
  static void evolve(state&, const order_reduced&, const domain::event_origin&)
#ifndef process_evolve_that_may_throw
    noexcept
#endif
  {
  }
#ifdef failed_with_another_answer
  static bool failed(const state&, const domain::failed_command<follower>&) { return true; }
#else
  static domain::on_failure<follower> failed(const state&,
                                             const domain::failed_command<follower>&) {
    return domain::on_failure<follower>::skip();
  }
#endif
};

void follow(runtime::engine& engine) {
  (void)runtime::process_manager::start<follower>(engine);
}
