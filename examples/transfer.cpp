// One command over two accounts: both change, or neither. Run: transfer [DIRECTORY]
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "transfer_generated.h" // made by flatc from transfer.fbs

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>

namespace example {

using namespace acta;

enum class refusal : std::uint16_t { open_already = 1, too_little_money = 2 };

struct open_with {
  std::int64_t amount;
};

struct account {
  static constexpr std::string_view category = "account";
  struct state {
    std::int64_t balance = 0;
  };
  using command = open_with;
  using events = domain::event_list<opened, sent, received>;
  using out = domain::emitter<account>;

  static domain::decision decide(const state& now, const open_with& c, out& events) {
    if (now.balance != 0)
      return domain::reject(refusal::open_already, "the account is open");
    events.emit<opened>([&](auto& b) { return Createopened(b, c.amount); });
    return domain::accept();
  }
  static void evolve(state& now, const opened& e) noexcept { now.balance += e.amount(); }
  static void evolve(state& now, const sent& e) noexcept { now.balance -= e.amount(); }
  static void evolve(state& now, const received& e) noexcept { now.balance += e.amount(); }
};

/// A pure function of both states, as decide() is of one.
auto transfer(std::int64_t amount) {
  using of = runtime::participant<account>;
  return [amount](of& from, of& to) -> domain::decision {
    if (from.state().balance < amount)
      return domain::reject(refusal::too_little_money,
                            fmt::format("there are {} only", from.state().balance));
    from.emit<sent>([&](auto& b) { return Createsent(b, amount); });
    to.emit<received>([&](auto& b) { return Createreceived(b, amount); });
    return domain::accept();
  };
}

result<void> run(const char* directory) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  auto engine = runtime::engine::open<account>(std::move(*log));
  if (!engine)
    return failure(engine);
  auto opened_with_100 = (*engine)->ask<account>(1, open_with{100});
  if (!opened_with_100)
    return failure(opened_with_100);
  const auto both = runtime::atomic(runtime::part<account>(1), runtime::part<account>(2));
  for (const std::int64_t amount : {70, 70}) {
    const auto moved = (*engine)->ask_all(both, transfer(amount)); // on disk when it returns
    if (moved)
      fmt::print("moved: versions {} and {}, at position {}\n", moved->versions[0].value(),
                 moved->versions[1].value(), moved->position.value());
    else
      fmt::print("refused: {}\n", moved.error().message());
  }
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "transfers");
  if (!done)
    fmt::print(stderr, "transfer: {}\n", done.error().message());
  return done ? 0 : 1;
}
