// A complete aggregate and an engine around it. Run: account DIRECTORY
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "account_generated.h" // made by flatc from account.fbs

#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>
#include <variant>

namespace example {

using namespace acta;

enum class refusal : std::uint16_t { not_positive = 1, too_little_money = 2 };

struct deposit {
  std::int64_t amount;
};
struct withdraw {
  std::int64_t amount;
};

struct account {
  static constexpr std::string_view category = "account";
  struct state {
    std::int64_t balance = 0;
  };
  using command = std::variant<deposit, withdraw>;
  using events = domain::event_list<deposited, withdrawn>;
  using out = domain::emitter<account>;

  static domain::decision decide(const state&, const deposit& c, out& events) {
    if (c.amount <= 0)
      return domain::reject(refusal::not_positive, "a deposit must be positive");
    events.emit<deposited>([&](auto& b) { return Createdeposited(b, c.amount); });
    return domain::accept();
  }
  static domain::decision decide(const state& now, const withdraw& c, out& events) {
    if (c.amount > now.balance)
      return domain::reject(refusal::too_little_money, "the balance is too low");
    events.emit<withdrawn>([&](auto& b) { return Createwithdrawn(b, c.amount); });
    return domain::accept();
  }
  static void evolve(state& now, const deposited& e) noexcept { now.balance += e.amount(); }
  static void evolve(state& now, const withdrawn& e) noexcept { now.balance -= e.amount(); }
};

} // namespace example

int main(int argc, char** argv) {
  using namespace example;
  auto log = storage::open_log(argc > 1 ? argv[1] : "accounts");
  if (!log)
    return std::fprintf(stderr, "%s\n", log.error().message().c_str()), 1;
  auto engine = runtime::engine::open<account>(std::move(*log));
  if (!engine)
    return std::fprintf(stderr, "%s\n", engine.error().message().c_str()), 1;

  for (const account::command& command :
       {account::command(deposit{100}), account::command(withdraw{70}),
        account::command(withdraw{70})}) {
    const auto receipt = (*engine)->ask<account>(42, command); // synced to disk when it returns
    if (receipt)
      std::printf("version %llu at position %llu\n",
                  static_cast<unsigned long long>(receipt->version.value()),
                  static_cast<unsigned long long>(receipt->position.value()));
    else
      std::printf("refused: %s\n", receipt.error().message().c_str());
  }
}
