// A seat that is reserved for a while: a timer lets go of it unless it is paid for.
// Run: timer [DIRECTORY]
#include <acta/base/clock.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "timer_generated.h" // made by flatc from timer.fbs

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace example {

using namespace acta;
using namespace std::chrono_literals;

constexpr std::int64_t half_an_hour_ns = std::chrono::nanoseconds(30min).count();

struct reserve {
  std::string guest;
};
struct pay {};

struct seat {
  static constexpr std::string_view category = "seat";
  struct state {
    std::string guest{}; ///< Empty: it is free.
    bool is_paid = false;
  };
  using command = std::variant<reserve, pay>;
  using events = domain::event_list<reserved, paid, expired>;
  using out = domain::emitter<seat>;
  enum class refusal : std::uint16_t { taken = 1, nothing_to_pay = 2 };
  enum class timer : std::uint64_t { payment = 1 };

  static domain::decision decide(const state& now, const reserve& c, out& events) {
    if (!now.guest.empty())
      return domain::reject(refusal::taken, fmt::format("{} has it", now.guest));
    events.emit<reserved>([&](auto& b) { return CreatereservedDirect(b, c.guest.c_str()); });
    events.set_timer(timer::payment, events.now_ns() + half_an_hour_ns); // stored with the event
    return domain::accept();
  }
  static domain::decision decide(const state& now, const pay&, out& events) {
    if (now.guest.empty() || now.is_paid)
      return domain::reject(refusal::nothing_to_pay, "there is nothing to pay for");
    events.emit<paid>([](auto& b) { return Createpaid(b); });
    events.cancel_timer(timer::payment);
    return domain::accept();
  }
  // The timer is due: this decides what happens now, as decide() does for a command.
  static domain::decision on_timer(const state&, timer_id, out& events) {
    events.emit<expired>([](auto& b) { return Createexpired(b); });
    return domain::accept();
  }
  static void evolve(state& now, const reserved& e) { now.guest = e.guest()->str(); }
  static void evolve(state& now, const paid&) { now.is_paid = true; }
  static void evolve(state& now, const expired&) { now = {}; }
};

result<std::unique_ptr<runtime::engine>> open(const std::filesystem::path& directory,
                                              const acta::clock& now) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  return runtime::engine::open<seat>(std::move(*log), {.clock = &now});
}

result<void> run(const std::filesystem::path& directory) {
  manual_clock now(1); // a program has none, and so the wall clock
  {
    auto engine = open(directory, now);
    if (!engine)
      return failure(engine);
    for (const std::uint64_t row : {1U, 2U})
      if (auto done = (*engine)->ask<seat>(row, reserve{"Ada"}); !done)
        return failure(done);
    if (auto done = (*engine)->ask<seat>(1, pay{}); !done)
      return failure(done);
    const auto refused = (*engine)->ask<seat>(2, reserve{"Bob"});
    fmt::print("refused: {}\n", refused ? "no" : refused.error().message());
  }
  // Nobody is there when the time is up. The timer fires when the store is opened again.
  now.advance_ns(half_an_hour_ns);
  auto engine = open(directory, now);
  if (!engine)
    return failure(engine);
  for (;;) {
    auto done = (*engine)->ask<seat>(2, reserve{"Bob"});
    if (done) {
      fmt::print("Bob has seat 2, version {}\n", done->version.value());
      break;
    }
    if (done.error().code() != errc::rejected)
      return failure(done);
  }
  const auto paid_for = (*engine)->ask<seat>(1, reserve{"Bob"});
  fmt::print("seat 1: {}\n", paid_for ? "free" : paid_for.error().message());
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "seats");
  if (!done)
    fmt::print(stderr, "timer: {}\n", done.error().message());
  return done ? 0 : 1;
}
