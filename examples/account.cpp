// A complete aggregate, an engine around it, and its history. Run: account [DIRECTORY]
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "account_generated.h" // made by flatc from account.fbs

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>
#include <variant>

namespace example {

using namespace acta;

struct deposit {
  std::int64_t amount; // cents
};
struct withdraw {
  std::int64_t amount;
};
enum class refusal : std::uint16_t { not_positive = 1, too_little_money = 2, too_much_money = 3 };

struct account {
  static constexpr std::string_view category = "account";
  static constexpr std::int64_t most = 1'000'000'000'000'000;
  struct state {
    std::int64_t balance = 0;
  };
  using command = std::variant<deposit, withdraw>;
  using events = domain::event_list<deposited, withdrawn>; // FlatBuffers tables
  using out = domain::emitter<account>;

  // Accepts a command, with the events that follow from it, or says why not.
  static domain::decision decide(const state& now, const deposit& c, out& events) {
    if (c.amount <= 0)
      return domain::reject(refusal::not_positive, "a deposit must be positive");
    if (c.amount > most - now.balance)
      return domain::reject(refusal::too_much_money, "the account holds no more than 1e15");
    events.emit<deposited>([&](auto& b) { return Createdeposited(b, c.amount); });
    return domain::accept();
  }
  static domain::decision decide(const state& now, const withdraw& c, out& events) {
    if (c.amount <= 0)
      return domain::reject(refusal::not_positive, "a withdrawal must be positive");
    if (c.amount > now.balance)
      return domain::reject(refusal::too_little_money, "the balance is too low");
    events.emit<withdrawn>([&](auto& b) { return Createwithdrawn(b, c.amount); });
    return domain::accept();
  }
  // Applies what happened: now, and whenever the account is loaded from its events.
  static void evolve(state& now, const deposited& e) noexcept { now.balance += e.amount(); }
  static void evolve(state& now, const withdrawn& e) noexcept { now.balance -= e.amount(); }
};

/// Sends three commands and prints what came of them.
result<void> run(const char* directory) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  auto engine = runtime::engine::open<account>(std::move(*log));
  if (!engine)
    return failure(engine);
  for (const account::command& command :
       {account::command(deposit{100}), account::command(withdraw{70}),
        account::command(withdraw{70})}) {
    const auto receipt = (*engine)->ask<account>(42, command); // on disk when it returns
    if (receipt)
      fmt::print("version {} at position {}\n", receipt->version.value(),
                 receipt->position.value());
    else
      fmt::print("refused: {}\n", receipt.error().message());
  }
  const auto now = (*engine)->log().snapshot();
  if (!now)
    return std::unexpected(now.error());
  const auto history = (*engine)->read((*engine)->stream<account>(42), **now);
  if (!history)
    return std::unexpected(history.error());
  for (const auto& record : history->records)
    fmt::print("{}: {}\n", record.version().value(),
               (*engine)->log().event_type_name(record.event_type()));
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "accounts");
  if (!done)
    fmt::print(stderr, "account: {}\n", done.error().message());
  return done ? 0 : 1;
}
