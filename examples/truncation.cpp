// An aggregate of many events: snapshots of it, and its history cut short.
// Run: truncation [DIRECTORY]
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "truncation_generated.h" // made by flatc from truncation.fbs

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

namespace example {

using namespace acta;

/// Pieces put into a store, or, below 0, taken out of it.
struct move {
  std::int64_t pieces;
};

struct stock {
  static constexpr std::string_view category = "stock";
  struct state {
    std::int64_t pieces = 0;
  };
  using command = move;
  using events = domain::event_list<moved>;
  enum class refusal : std::uint16_t { too_few = 1 };

  static domain::decision decide(const state& now, const move& c, domain::emitter<stock>& out) {
    if (now.pieces + c.pieces < 0)
      return domain::reject(refusal::too_few, fmt::format("there are {} only", now.pieces));
    out.emit<moved>([&](auto& builder) { return Createmoved(builder, c.pieces); });
    return domain::accept();
  }
  static void evolve(state& now, const moved& e) noexcept { now.pieces += e.pieces(); }

  // A snapshot is a table, too. With these three the engine saves one every so many events, and
  // loading reads the events since the newest.
  using snapshot = stock_state;
  static flatbuffers::Offset<snapshot> save(const state& now,
                                            flatbuffers::FlatBufferBuilder& builder) {
    return Createstock_state(builder, now.pieces);
  }
  static state load(const snapshot& saved) { return {saved.pieces()}; }
};

result<std::unique_ptr<runtime::engine>> open(const std::filesystem::path& directory) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  return runtime::engine::open<stock>(std::move(*log), {.snapshot_every = 100});
}

result<void> run(const std::filesystem::path& directory) {
  {
    auto engine = open(directory);
    if (!engine)
      return failure(engine);
    for (int i = 0; i < 250; ++i)
      if (auto done = (*engine)->ask<stock>(42, move{2}); !done)
        return failure(done);
    // The state goes into the log, and the 250 events are not read any more.
    auto done = (*engine)->truncate<stock>(42);
    if (!done)
      return failure(done);
    fmt::print("truncated at version {}\n", done->version.value());
  }
  // Snapshots are a shortcut. The log alone is enough, also after a truncation.
  std::filesystem::remove_all(directory / "snapshots");
  auto engine = open(directory);
  if (!engine)
    return failure(engine);
  const auto refused = (*engine)->ask<stock>(42, move{-501});
  fmt::print("refused: {}\n", refused ? "no" : refused.error().message());
  auto next = (*engine)->ask<stock>(42, move{-500});
  if (!next)
    return failure(next);
  fmt::print("version {}\n", next->version.value());
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "stocks");
  if (!done)
    fmt::print(stderr, "truncation: {}\n", done.error().message());
  return done ? 0 : 1;
}
