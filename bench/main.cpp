// acta-bench: the way of a command against its floors, in the same run.
#include "floors.hpp"
#include "support.hpp"

#include "acknowledgements.hpp"
#include "driver.hpp"
#include "generator.hpp"
#include "thread_options.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <CLI/CLI.hpp>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace acta::bench {

namespace {

namespace fs = std::filesystem;
constexpr std::size_t window = 8'192; ///< Commands, and messages, that are not handled yet.
using domain::trading::limit_order;

struct settings {
  std::uint64_t orders = 1'000'000;
  std::uint64_t live_orders = 1'000'000;
  std::uint64_t asks = 2'000;
  int rounds = 5;
  runtime::engine_options engine{};
  fs::path directory; ///< Where the stores are made and removed again.
};

/// What the last run of the engine did, for the floors to do the same.
struct workload {
  record_bytes records;
  std::vector<std::uint32_t> keys;
  std::size_t per_transaction = 1;
};

workload last_run;

/// Generated order flow through the engine, with the order book following: what acta-sim does.
void way_of_a_command(benchmark::State& state, const settings& with) {
  for (auto _ : state) {
    const store_directory directory(with.directory);
    auto engine = value_or_give_up(runtime::engine::open<limit_order, domain::trading::instrument>(
      value_or_give_up(storage::open_log(directory.store())), with.engine));
    projections::memory_view<projections::order_book> book;
    const auto following = value_or_give_up(projections::projector::start(*engine, book));
    sim::generator flow(with.orders, 1, 10);
    const sim::decided_commands none;
    const std::atomic<bool> interrupted = false;
    sim::driver drive({.engine = *engine,
                       .from = flow,
                       .decided = none,
                       .book = book,
                       .book_projector = *following,
                       .window = window,
                       .interrupted = interrupted,
                       .on_progress = [] {}});
    const auto start = std::chrono::steady_clock::now();
    value_or_give_up(drive.run());
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(elapsed.count());
    const auto events = engine->counters().events;
    last_run.per_transaction =
      static_cast<std::size_t>(events / std::max<std::uint64_t>(1, engine->counters().commits));
    state.counters["commands/s"] =
      benchmark::Counter(static_cast<double>(drive.sent()) / elapsed.count());
    state.counters["events/s"] = benchmark::Counter(static_cast<double>(events) / elapsed.count());
    state.counters["events/commit"] = static_cast<double>(last_run.per_transaction);
    last_run.records = {}; // before there are more
    last_run.records = records_of(engine->log());
    last_run.keys.clear();
    sim::generator again(with.orders, 1, 10);
    for (sim::step one; again.next(one);)
      last_run.keys.push_back(static_cast<std::uint32_t>(one.key));
  }
}

void floor_lmdb(benchmark::State& state, const settings& with) {
  for (auto _ : state) {
    const store_directory directory(with.directory);
    const auto elapsed =
      append_to_lmdb(directory.path(), last_run.records, last_run.per_transaction);
    state.SetIterationTime(elapsed);
    state.counters["events/s"] = static_cast<double>(last_run.records.size()) / elapsed;
    state.counters["events/commit"] = static_cast<double>(last_run.per_transaction);
  }
}

void floor_caf(benchmark::State& state) {
  for (auto _ : state) {
    const auto elapsed = send_through_caf(sim::generator::max_live, last_run.keys, window);
    state.SetIterationTime(elapsed);
    state.counters["commands/s"] = static_cast<double>(last_run.keys.size()) / elapsed;
  }
}

/// One command at a time: each waits for its sync.
void way_of_one_command(benchmark::State& state, const settings& with) {
  for (auto _ : state) {
    const store_directory directory(with.directory);
    auto engine = value_or_give_up(runtime::engine::open<limit_order>(
      value_or_give_up(storage::open_log(directory.store())), with.engine));
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t order = 1; order <= with.asks; ++order)
      if (!engine->ask<limit_order>(order,
                                    domain::trading::submit{1, domain::trading::side::buy, 1, 1}))
        give_up("a submit was refused");
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(elapsed.count());
    state.counters["us each"] = elapsed.count() * 1e6 / static_cast<double>(with.asks);
    last_run.records = {}; // before there are more
    last_run.records = records_of(engine->log());
  }
}

void floor_one_transaction(benchmark::State& state, const settings& with) {
  for (auto _ : state) {
    const store_directory directory(with.directory);
    const auto elapsed = append_to_lmdb(directory.path(), last_run.records, 1);
    state.SetIterationTime(elapsed);
    state.counters["us each"] = elapsed * 1e6 / static_cast<double>(last_run.records.size());
  }
}

/// Orders that all rest: their actors, the registry and the index. No read model.
[[nodiscard]] double bytes_per_live_order(const settings& with) {
  const store_directory directory(with.directory);
  auto engine = value_or_give_up(runtime::engine::open<limit_order>(
    value_or_give_up(storage::open_log(directory.store())), with.engine));
  const auto before = anonymous_bytes();
  sim::acknowledgements answered;
  const domain::trading::submit order{1, domain::trading::side::buy, 1, 1};
  for (std::uint64_t id = 1; id <= with.live_orders; ++id) {
    if (id > window)
      answered.wait_for(id - window);
    value_or_give_up(engine->tell<limit_order>(id, order,
                                               [&](runtime::outcome&&) { answered.settle_one(); },
                                               {.id = command_id::of(1, id)}));
  }
  answered.wait_for(with.live_orders);
  if (engine->counters().live_aggregates != with.live_orders)
    give_up("not every order is alive");
  return (anonymous_bytes() - before) / static_cast<double>(with.live_orders);
}

/// In a process of its own, so that neither the memory others have freed is used again, nor theirs
/// scattered by this.
void memory_of_a_live_order(benchmark::State& state, const settings& with) {
  for (auto _ : state) {
    int ends[2];
    if (::pipe(ends) != 0)
      give_up("no pipe can be made");
    const auto child = ::fork();
    if (child == 0) {
      const auto bytes = bytes_per_live_order(with);
      ::_exit(::write(ends[1], &bytes, sizeof bytes) == sizeof bytes ? 0 : 1);
    }
    double bytes = 0;
    ::close(ends[1]);
    const bool told = ::read(ends[0], &bytes, sizeof bytes) == sizeof bytes;
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    if (!told)
      give_up("the process that measures memory failed");
    state.SetIterationTime(1);
    state.counters["bytes/order"] = bytes;
  }
}

/// Prints every round as Google Benchmark does, and at the end medians and what they are to their
/// floors.
class ratio_reporter final : public benchmark::ConsoleReporter {
public:
  ratio_reporter() : ConsoleReporter(OO_None) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const auto& run : runs)
      for (const auto& [name, counter] : run.counters)
        figures_[run.run_name.function_name + " " + name].push_back(counter.value);
  }

  void Finalize() override {
    const auto events = median("way_of_a_command events/s");
    const auto floor = median("floor_lmdb events/s");
    const auto commands = median("way_of_a_command commands/s");
    const auto messages = median("floor_caf commands/s");
    fmt::print("\nMedians (durability power)\n");
    row("commands/s through the engine", commands, {});
    row("events/s through the engine", events, {});
    row("events/s into raw LMDB", floor,
        fmt::format("the engine has {:.2f} of it", events / floor));
    row("messages/s through raw CAF", messages,
        fmt::format("the engine has {:.2f} of it", commands / messages));
    const auto one = median("way_of_one_command us each");
    const auto transaction = median("floor_one_transaction us each");
    row("us for one command alone", one, {});
    row("us for one LMDB transaction", transaction,
        fmt::format("the command has {:.2f} of it", one / transaction));
    row("bytes for a live order", median("memory_of_a_live_order bytes/order"), {});
  }

private:
  [[nodiscard]] double median(const std::string& name) { return bench::median(figures_[name]); }
  static void row(const char* name, double value, const std::string& note) {
    fmt::print("  {:<34}{:>14.0f}  {}\n", name, value, note);
  }

  std::map<std::string, std::vector<double>> figures_;
};

template <class Function>
void add(const char* name, Function function) {
  benchmark::RegisterBenchmark(name, function)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
}

/// Rounds of all, one after the other, so that a noisy minute falls on all alike.
void add_rounds(const settings& with) {
  // First, as it forks, and no thread has run yet.
  add("memory_of_a_live_order",
      [&](benchmark::State& state) { memory_of_a_live_order(state, with); });
  for (int round = 0; round < with.rounds; ++round) {
    add("way_of_a_command", [&](benchmark::State& state) { way_of_a_command(state, with); });
    add("floor_lmdb", [&](benchmark::State& state) { floor_lmdb(state, with); });
    add("floor_caf", floor_caf);
    add("way_of_one_command", [&](benchmark::State& state) { way_of_one_command(state, with); });
    add("floor_one_transaction",
        [&](benchmark::State& state) { floor_one_transaction(state, with); });
  }
}

} // namespace

} // namespace acta::bench

int main(int argc, char** argv) {
  // Its --help would hide ours.
  const bool help =
    std::ranges::find(argv + 1, argv + argc, std::string_view("--help")) != argv + argc;
  if (!help)
    benchmark::Initialize(&argc, argv);
  acta::bench::settings with;
  with.directory = std::filesystem::temp_directory_path();
  CLI::App app("acta-bench: the way of a command against its floors, raw LMDB and raw CAF. Google "
               "Benchmark's own arguments are taken too: --benchmark_filter=REGEX, "
               "--benchmark_out=FILE, --benchmark_out_format=json.",
               "acta-bench");
  app.add_option("--orders", with.orders, "Orders to generate")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--live-orders", with.live_orders, "Orders alive when memory is measured")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--asks", with.asks, "Commands sent one at a time")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--rounds", with.rounds, "Rounds; the figures are their medians")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--directory", with.directory, "Where to make the stores: the device measured")
    ->check(CLI::ExistingDirectory)
    ->capture_default_str();
  acta::sim::add_thread_options(app, with.engine);
  CLI11_PARSE(app, argc, argv);
  acta::bench::add_rounds(with);
  acta::bench::ratio_reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
}
