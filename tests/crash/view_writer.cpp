// Sends commands to a store and feeds views of it in so many parts, whose handlers fail and whose
// projectors are started anew now and then, until it is killed. Writes the position of each receipt
// to standard output. Usage: view_writer STORE SEED PARTS

#include "../support/wallet_tallies.hpp"

#include <fcntl.h>
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
using namespace acta::tests;

constexpr std::uint64_t wallets = 100;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "view_writer: %s\n", why.c_str());
  std::_Exit(3);
}

template <class View>
void start(fed_tallies<View>& fed, std::uint64_t part, std::mt19937_64& random) {
  if (auto started = fed.start(static_cast<std::uint32_t>(part), 1 + random() % 60); !started)
    fail(started.error().message());
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4)
    fail("usage: view_writer STORE SEED PARTS");
  const auto seed = std::strtoull(argv[2], nullptr, 10);
  const auto parts = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  std::mt19937_64 random(seed);
  // So that commands wait for who kills this, and the views are not far behind them.
  ::fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 4096);
  handlers_fail = failing::now_and_then;
  handler_calls = random();

  auto log = storage::open_log(argv[1], {.durability = storage::durability::process});
  if (!log)
    fail(log.error().message());
  auto engine = runtime::engine::open<wallet>(std::move(*log));
  if (!engine)
    fail(engine.error().message());
  fed_tallies<lmdb_tallies> lmdb(**engine, parts);
  fed_tallies<sqlite_tallies> sqlite(**engine, parts);
  for (std::uint64_t part = 0; part < parts; ++part) {
    start(lmdb, part, random);
    start(sqlite, part, random);
  }
  std::atomic<int> unacknowledged{0};
  for (;;) {
    const auto amount = static_cast<std::int64_t>(random() % 1'000);
    unacknowledged.fetch_add(1);
    auto sent = (*engine)->tell<wallet>(random() % wallets, put_in{amount}, [&](auto&& receipt) {
      if (!receipt)
        fail(receipt.error().message());
      const auto position = receipt->position.value();
      if (::write(STDOUT_FILENO, &position, sizeof position) != sizeof position)
        std::_Exit(4);
      unacknowledged.fetch_sub(1);
      unacknowledged.notify_one();
    });
    if (!sent)
      fail(sent.error().message());
    for (int now = unacknowledged.load(); now >= 64; now = unacknowledged.load())
      unacknowledged.wait(now);
    if (random() % 50 == 0)
      start(lmdb, random() % parts, random);
    if (random() % 50 == 0)
      start(sqlite, random() % parts, random);
  }
}
