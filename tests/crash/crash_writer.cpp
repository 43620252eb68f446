// Sends commands to a store until it is killed, and writes each receipt to standard output the
// moment it has it. Usage: crash_writer STORE ROUND

#include "receipt_line.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>

namespace {

using namespace acta;
using namespace acta::domain::trading;

constexpr std::uint64_t orders_per_round = 2'000;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "crash_writer: %s\n", why.c_str());
  std::_Exit(3);
}

limit_order::command random_command(std::mt19937_64& random) {
  const auto quantity = static_cast<std::int64_t>(random() % 100 + 1);
  const auto price = static_cast<std::int64_t>(random() % 50 + 100);
  const auto book_side = random() % 2 == 0 ? side::buy : side::sell;
  switch (random() % 6) {
    case 0: return submit{1, book_side, price, quantity};
    case 1: return modify{price, quantity};
    case 2: return replace{1, book_side, price, quantity}; // may be two events
    case 3: return reduce{quantity};
    case 4: return execute{quantity, {}};
    default: return cancel{};
  }
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3)
    fail("usage: crash_writer STORE ROUND");
  const auto round = std::strtoull(argv[2], nullptr, 10);
  auto log = storage::open_log(argv[1]);
  if (!log)
    fail(log.error().message());
  auto engine = runtime::engine::open<limit_order>(std::move(*log));
  if (!engine)
    fail(engine.error().message());

  std::mt19937_64 random(round);
  std::atomic<int> unacknowledged{0};
  for (std::uint64_t command = 1;; ++command) {
    const auto order = round / 2 * orders_per_round + random() % orders_per_round;
    unacknowledged.fetch_add(1);
    auto sent = (*engine)->tell<limit_order>(
      order, random_command(random),
      [&unacknowledged, order, command](runtime::outcome&& how) {
        if (how) {
          const tests::receipt_line line{order, how->version.value(), how->position.value(),
                                         how->events, command};
          if (::write(STDOUT_FILENO, &line, sizeof line) != sizeof line)
            std::_Exit(4);
        } else if (how.error().code() != errc::rejected) {
          fail(how.error().message());
        }
        unacknowledged.fetch_sub(1);
        unacknowledged.notify_one();
      },
      {command_id::of(round + 1, command)});
    if (!sent)
      fail(sent.error().message());
    for (int now = unacknowledged.load(); now >= 64; now = unacknowledged.load())
      unacknowledged.wait(now);
  }
}
