// Four ways to send a command: ask, tell, co_await, and from an actor of CAF. Run: ways_in
#include <acta/runtime/awaitable.hpp>
#include <acta/runtime/caf.hpp>
#include <acta/runtime/engine.hpp>

#include "ways_in_generated.h" // made by flatc from ways_in.fbs

#include <caf/all.hpp>
#include <fmt/core.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <latch>
#include <string_view>

namespace example {

using namespace acta;

enum class refusal : std::uint16_t { too_little_money = 1 };

/// Pays in, or out where it is negative. Answered with the new balance.
struct pay {
  using reply = std::int64_t;
  std::int64_t amount;
};

struct account {
  static constexpr std::string_view category = "account";
  struct state {
    std::int64_t balance = 0;
  };
  using command = pay;
  using events = domain::event_list<paid>;

  static domain::decision_for<pay> decide(const state& now, const pay& c,
                                          domain::emitter<account>& out) {
    if (now.balance + c.amount < 0)
      return domain::reject(refusal::too_little_money, "the balance is too low");
    out.emit<paid>([&](auto& b) { return Createpaid(b, c.amount); });
    return now.balance + c.amount;
  }
  static void evolve(state& now, const paid& e) noexcept { now.balance += e.amount(); }
};

/// Any coroutine type will do; this is the least there is.
struct task {
  struct promise_type {
    task get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

task move_money(runtime::engine& engine, std::int64_t amount, std::latch& done) {
  if (co_await engine.send<account>(42, pay{-amount}))
    // Resumed on one of the engine's workers: from here on nothing may block.
    if (const auto put = co_await engine.send<account>(43, pay{amount}))
      fmt::print("co_await: 43 has {}\n", put->reply.value_or(0));
  done.count_down();
}

} // namespace example

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(example::pay)

int main() {
  using namespace example;
  const auto opened = runtime::engine::open<account>(storage::make_memory_log());
  if (!opened)
    return 1;
  auto& engine = **opened;
  if (const auto put = engine.ask<account>(42, pay{100}))
    fmt::print("ask: 42 has {}\n", put->reply.value_or(0));

  std::latch done(2);
  if (!engine.tell<account>(42, pay{-200}, [&](runtime::outcome_for<pay>&& how) {
        fmt::print("tell: {}\n", how ? "done" : how.error().message());
        done.count_down();
      }))
    done.count_down();
  move_money(engine, 70, done);
  done.wait();

  const auto run = [](caf::event_based_actor* self, const caf::actor& account_42) {
    using receipt = runtime::replied<std::int64_t>;
    self->request(account_42, std::chrono::seconds(1), pay{5})
      .then([](const receipt& put) { fmt::print("request: 42 has {}\n", put.reply.value_or(0)); },
            [=](const caf::error& why) { fmt::print("{}\n", self->system().render(why)); });
  };
  engine.system().spawn(run, engine.actor<account>(42));
  engine.system().await_all_actors_done();
  return 0;
}
