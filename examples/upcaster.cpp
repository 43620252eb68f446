// Events that an older program wrote, read as what they are called now. Run: upcaster [DIRECTORY]
#include <acta/domain/aggregate.hpp>
#include <acta/domain/upcaster.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "upcaster_generated.h" // made by flatc from upcaster.fbs

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

using namespace acta;

struct pay {
  std::int64_t cents;
};

/// The aggregate as it was a year ago.
struct till_then {
  static constexpr std::string_view category = "till";
  struct state {};
  using command = pay;
  using events = domain::event_list<paid>;
  static domain::decision decide(const state&, const pay& c, domain::emitter<till_then>& out) {
    out.emit<paid>([&](auto& builder) { return Createpaid(builder, c.cents / 100); });
    return domain::accept();
  }
  static void evolve(state&, const paid&) noexcept {}
};

/// And as it is. Nothing in it is there for what was.
struct till {
  static constexpr std::string_view category = "till";
  struct state {
    std::int64_t cents = 0;
  };
  using command = pay;
  using events = domain::event_list<paid_in>;
  enum class refusal : std::uint16_t { full = 1 };
  static domain::decision decide(const state& now, const pay& c, domain::emitter<till>& out) {
    if (now.cents + c.cents > 100'000)
      return domain::reject(refusal::full, fmt::format("it holds {} cents already", now.cents));
    out.emit<paid_in>([&](auto& to) { return Createpaid_inDirect(to, c.cents, "EUR"); });
    return domain::accept();
  }
  static void evolve(state& now, const paid_in& e) noexcept { now.cents += e.amount(); }
};

template <class Aggregate>
result<void> send(const char* directory, std::int64_t cents,
                  const std::vector<domain::upcaster>& how) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  runtime::engine_options options;
  options.upcasters = how;
  auto engine = runtime::engine::open<Aggregate>(std::move(*log), options);
  if (!engine)
    return failure(engine);
  const auto receipt = (*engine)->template ask<Aggregate>(1, pay{cents});
  if (receipt)
    fmt::print("version {}\n", receipt->version.value());
  else
    fmt::print("refused: {}\n", receipt.error().message());
  return {};
}

result<void> run(const char* directory) {
  if (auto then = send<till_then>(directory, 90'000, {}); !then)
    return then;
  // Applied each time an event is read, here and in projections; what is stored stays as it is.
  const auto in_cents = domain::upcast<paid, paid_in>({.from = 1}, [](const paid& old, auto& to) {
    return Createpaid_inDirect(to, old.euros() * 100, "EUR");
  });
  if (auto too_much = send<till>(directory, 10'001, {in_cents}); !too_much)
    return too_much;
  return send<till>(directory, 10'000, {in_cents});
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "tills");
  if (!done)
    fmt::print(stderr, "upcaster: {}\n", done.error().message());
  return done ? 0 : 1;
}
