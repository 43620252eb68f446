// acta-bench-runtime: how many commands a second, how long each takes and where, how much memory.
#include "floors.hpp"
#include "support.hpp"

#include "acknowledgements.hpp"
#include "output_file.hpp"

#include <acta/domain/aggregate.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "bench/moves_generated.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace acta::bench {

namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;
using json = nlohmann::ordered_json;

struct settings {
  std::uint64_t commands = 4'000'000;
  std::uint64_t live = 1'000'000;
  std::uint64_t asks = 5'000;
  std::uint64_t orders = 10'000'000;
  std::size_t budget_mib = 512;
  std::uint64_t window = 16'384; ///< Commands not answered yet.
  int rounds = 5;
  std::string part = "all";
  fs::path directory;
  fs::path json_file; ///< Empty: none.
};

/// Always accepts, and stores an event of 48 bytes.
struct mover {
  static constexpr std::string_view category = "mover";
  struct state {
    std::int64_t sum = 0;
  };
  struct command {
    std::int64_t amount = 1;
  };
  using events = domain::event_list<moved>;
  static domain::decision decide(const state& now, const command& c, domain::emitter<mover>& out) {
    out.emit<moved>([&](auto& b) { return Createmoved(b, c.amount, now.sum + 1, 1); });
    return domain::accept();
  }
  static void evolve(state& now, const moved& e) noexcept { now.sum += e.amount(); }
};

/// A read model that counts.
struct counting {
  static constexpr std::string_view name = "counting";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<moved>;

  void on(const moved& e, const storage::record_view&) { sum += e.amount(); }

  std::int64_t sum = 0;
};

struct throughput {
  double commands_a_second = 0;
  std::size_t events_a_commit = 0;
  std::map<std::string, double> processor_us; ///< A command, by thread.
};

/// Commands to random aggregates, with receipts, so many not answered yet at a time.
void send_all(runtime::engine& engine, std::uint64_t commands, std::uint64_t aggregates,
              std::uint64_t window) {
  sim::acknowledgements answered;
  std::mt19937_64 random(7);
  for (std::uint64_t sent = 0; sent < commands; ++sent) {
    if (sent - answered.done() >= window)
      answered.wait_for(sent - window / 2);
    const auto key = sent < aggregates ? sent : random() % aggregates;
    value_or_give_up(engine.tell<mover>(key, mover::command{1}, [&](runtime::outcome&& how) {
      if (!how)
        give_up(how.error().message());
      answered.settle_one();
    }));
  }
  answered.wait_for(commands);
}

struct set_up {
  std::uint64_t aggregates = 10'000;
  bool index_held_back = false;
  bool projector = true;
};

[[nodiscard]] throughput measure(const settings& with, const set_up& how, double* floor) {
  const store_directory directory(with.directory);
  runtime::engine_options options{.latency_sample = 64};
  if (how.index_held_back)
    options.index.memory = std::size_t{16} << 30U; // it is all it has in memory: nothing is written
  throughput found;
  {
    auto engine = value_or_give_up(runtime::engine::open<mover>(
      value_or_give_up(storage::open_log(directory.store())), options));
    projections::memory_view<counting> view;
    std::unique_ptr<projections::projector> following;
    if (how.projector)
      following = value_or_give_up(projections::projector::start(*engine, view));
    // All aggregates live and loaded, the file grown.
    send_all(*engine, how.aggregates, how.aggregates, with.window);
    const auto before = processor_times();
    const auto commits = engine->counters().commits;
    const auto start = clock::now();
    send_all(*engine, with.commands, how.aggregates, with.window);
    const std::chrono::duration<double> elapsed = clock::now() - start;
    const auto count = static_cast<double>(with.commands);
    found.commands_a_second = count / elapsed.count();
    found.events_a_commit =
      with.commands / std::max<std::uint64_t>(1, engine->counters().commits - commits);
    found.processor_us = processor_us_since(before, with.commands);
    if (floor == nullptr)
      return found;
    engine->stop();
    const auto records = records_of(engine->log());
    engine.reset();
    const store_directory raw(with.directory);
    *floor = static_cast<double>(records.size())
             / append_to_lmdb(raw.path(), records, found.events_a_commit);
  }
  return found;
}

[[nodiscard]] json throughput_part(const settings& with) {
  fmt::print("Commands a second, durability power, events of 48 bytes, receipts on, {} commands,\n"
             "{} not answered at a time; medians of {} rounds\n",
             with.commands, with.window, with.rounds);
  struct row {
    const char* what;
    set_up how;
    bool floor;
  };
  const row rows[] = {
    {"10,000 aggregates, indexer held back", {10'000, true, false}, true},
    {"10,000 aggregates, indexer, projector", {10'000, false, true}, false},
    {"live aggregates, indexer, projector", {with.live, false, true}, false},
  };
  std::map<std::string, std::vector<double>> rates;
  std::vector<double> ratios;
  std::vector<double> floors;
  std::map<std::string, throughput> last;
  for (int round = 0; round < with.rounds; ++round)
    for (const auto& [what, how, wants_floor] : rows) {
      double floor = 0;
      const auto found = measure(with, how, wants_floor ? &floor : nullptr);
      rates[what].push_back(found.commands_a_second);
      last[what] = found;
      if (wants_floor) {
        floors.push_back(floor);
        ratios.push_back(found.commands_a_second / floor);
      }
    }
  auto all = json::array();
  for (const auto& [what, how, wants_floor] : rows) {
    auto& found = all.emplace_back(json{{"what", what},
                                        {"aggregates", how.aggregates},
                                        {"commands_per_s", median(rates[what])},
                                        {"events_a_commit", last[what].events_a_commit},
                                        {"processor_us", last[what].processor_us}});
    if (wants_floor) {
      found["raw_lmdb_per_s"] = median(floors);
      found["ratio"] = median(ratios);
    }
    fmt::print("  {:<40}{:>12.0f}   (of {} aggregates, {} events a commit)\n", what,
               median(rates[what]), how.aggregates, last[what].events_a_commit);
    print_processor_us(last[what].processor_us);
    if (wants_floor)
      fmt::print("  {:<40}{:>12.0f}   the engine has {:.2f} of it (median of the rounds' ratios)\n",
                 "raw LMDB, the same records", median(floors), median(ratios));
  }
  return all;
}

/// What the second half of them adds: buffers, and what the allocator keeps, are there by then. The
/// index may keep little in memory, as its delta is for events, however many aggregates there are.
[[nodiscard]] json memory_part(const settings& with) {
  const store_directory directory(with.directory);
  runtime::engine_options options;
  options.index.memory = std::size_t{16} << 20U;
  auto engine = value_or_give_up(
    runtime::engine::open<mover>(value_or_give_up(storage::open_log(directory.store())), options));
  const auto half = with.live / 2;
  send_all(*engine, half, with.live, with.window);
  const auto before = anonymous_bytes();
  const auto counted = engine->counters().aggregate_memory;
  send_all(*engine, with.live, with.live, with.window); // the first half once more, too
  const auto more = static_cast<double>(with.live - half);
  const auto each = (anonymous_bytes() - before) / more;
  const auto counted_each =
    static_cast<double>(engine->counters().aggregate_memory - counted) / more;
  fmt::print("A live aggregate: {:.0f} bytes of memory with its state of {} bytes and its place in "
             "the registry;\n  {:.0f} as the engine counts them\n",
             each, sizeof(mover::state), counted_each);
  return {{"bytes", each}, {"bytes_counted", counted_each}};
}

/// Of each round, in microseconds.
struct round_times {
  std::vector<double> p50;
  std::vector<double> p99;

  void add(std::vector<double>&& round) {
    p50.push_back(percentile(round, 50));
    p99.push_back(percentile(round, 99));
  }
};

[[nodiscard]] double median_ratio(const std::vector<double>& of, const std::vector<double>& to) {
  std::vector<double> ratios(of.size());
  std::ranges::transform(of, to, ratios.begin(), std::divides<>());
  return median(std::move(ratios));
}

/// What a command cannot be faster than.
struct floor_times {
  commit_kind kind;
  const char* name;
  round_times times;
};

[[nodiscard]] std::vector<floor_times> floors_of(storage::durability durability) {
  if (durability == storage::durability::power)
    return {{commit_kind::synced, "a bare commit", {}}};
  return {{commit_kind::plain, "a bare commit", {}},
          {commit_kind::holding, "a bare commit, a reader holding a state", {}},
          {commit_kind::synced_behind, "the same, and a thread that syncs", {}}};
}

struct one_floor {
  one_floor(const fs::path& below, commit_kind kind)
      : directory(below), commits(directory.path(), kind) {}
  store_directory directory;
  single_commits commits;
  std::vector<double> taken;
};

/// In turns of a hundred, so that a noisy moment falls on all.
[[nodiscard]] runtime::command_latencies closed_loop_round(const settings& with,
                                                           storage::durability durability,
                                                           const runtime::engine_options& options,
                                                           round_times& commands,
                                                           std::vector<floor_times>& floors) {
  const store_directory directory(with.directory);
  auto engine = value_or_give_up(runtime::engine::open<mover>(
    value_or_give_up(storage::open_log(directory.store(), {.durability = durability})), options));
  std::vector<std::unique_ptr<one_floor>> bare;
  bare.reserve(floors.size());
  for (const auto& one : floors)
    bare.push_back(std::make_unique<one_floor>(with.directory, one.kind));
  std::vector<double> taken;
  for (std::uint64_t i = 0; i < with.asks; ++i) {
    const auto start = clock::now();
    value_or_give_up(engine->ask<mover>(i % 100, mover::command{1}));
    taken.push_back(seconds_since(start) * 1e6);
    if (i % 100 == 99)
      for (const auto& one : bare)
        for (int k = 0; k < 100; ++k)
          one->taken.push_back(one->commits.commit_us());
  }
  commands.add(std::move(taken));
  for (std::size_t i = 0; i < floors.size(); ++i)
    floors[i].times.add(std::move(bare[i]->taken));
  return engine->latencies<mover>();
}

[[nodiscard]] json print_stages(const runtime::command_latencies& of) {
  json all;
  fmt::print("    stages, p50/p99 us:");
  const auto stage = [&](const char* name, const runtime::latency_histogram& times) {
    const auto p50 = static_cast<double>(times.percentile_ns(50)) / 1e3;
    const auto p99 = static_cast<double>(times.percentile_ns(99)) / 1e3;
    fmt::print(" {} {:.1f}/{:.1f}", name, p50, p99);
    all[name] = {{"p50_us", p50}, {"p99_us", p99}};
  };
  stage("mailbox", of.mailbox);
  stage("decide", of.decide);
  stage("stage", of.stage);
  stage("commit", of.commit);
  stage("receipt", of.receipt);
  fmt::print("\n");
  return all;
}

[[nodiscard]] json closed_loop(const settings& with, const char* what,
                               storage::durability durability,
                               const runtime::engine_options& options) {
  round_times commands;
  auto floors = floors_of(durability);
  runtime::command_latencies stages;
  for (int round = 0; round < with.rounds; ++round)
    stages = closed_loop_round(with, durability, options, commands, floors);
  const auto p50 = median(commands.p50);
  const auto p99 = median(commands.p99);
  fmt::print("  {:<44} p50 {:>7.1f} us   p99 {:>7.1f} us\n", what, p50, p99);
  json found{{"what", what}, {"p50_us", p50}, {"p99_us", p99}, {"floors", json::array()}};
  for (const auto& [kind, name, times] : floors) {
    const auto of_p50 = median_ratio(commands.p50, times.p50);
    const auto of_p99 = median_ratio(commands.p99, times.p99);
    fmt::print("    {:<42} p50 {:>7.1f} us   p99 {:>7.1f} us   a command takes {:.2f} and {:.2f} "
               "of it\n",
               name, median(times.p50), median(times.p99), of_p50, of_p99);
    found["floors"].push_back({{"what", name},
                               {"p50_us", median(times.p50)},
                               {"p99_us", median(times.p99)},
                               {"p50_ratio", of_p50},
                               {"p99_ratio", of_p99}});
  }
  found["stages"] = print_stages(stages);
  return found;
}

[[nodiscard]] json latency_part(const settings& with) {
  fmt::print("One command at a time, {} commands, medians of {} rounds\n", with.asks, with.rounds);
  using runtime::commit_by;
  using runtime::waiting;
  const runtime::engine_options plain{.latency_sample = 1};
  const runtime::engine_options by_worker{
    .workers = 1, .commit = commit_by::worker, .latency_sample = 1};
  const runtime::engine_options spinning{.workers = 1,
                                         .pin_workers = true,
                                         .wait = waiting::spin,
                                         .commit = commit_by::worker,
                                         .latency_sample = 1};
  using storage::durability;
  auto found = json::array();
  found.push_back(closed_loop(with, "power", durability::power, plain));
  found.push_back(
    closed_loop(with, "power, committed by the worker", durability::power, by_worker));
  found.push_back(closed_loop(with, "process", durability::process, plain));
  found.push_back(
    closed_loop(with, "process, by the worker, pinned, spinning", durability::process, spinning));
  fmt::print(
    "  (holding a state: as process holds the last one synced, or LMDB would write over its "
    "pages, and\n   nothing would be left to go back to when the power goes)\n");
  return found;
}

/// Orders that come, and whose like comes again now and then.
[[nodiscard]] double many_orders(const settings& with, std::size_t budget, double& most_memory,
                                 runtime::engine_counters& counters) {
  const store_directory directory(with.directory);
  auto engine = value_or_give_up(runtime::engine::open<mover>(
    value_or_give_up(storage::open_log(directory.store())), {.memory_budget = budget}));
  sim::acknowledgements answered;
  std::mt19937_64 random(7);
  const auto start = clock::now();
  std::uint64_t sent = 0;
  const auto send = [&](std::uint64_t key) {
    if (sent - answered.done() >= with.window)
      answered.wait_for(sent - with.window / 2);
    value_or_give_up(engine->tell<mover>(key, mover::command{1},
                                         [&](runtime::outcome&& how) {
                                           if (!how)
                                             give_up(how.error().message());
                                           answered.settle_one();
                                         },
                                         {.wait_for_room = std::chrono::minutes(1)}));
    ++sent;
  };
  for (std::uint64_t order = 0; order < with.orders; ++order) {
    send(order);
    send(order < 1'000 ? order : order - random() % 1'000); // it is young when it moves
    if (order % 20 == 19)
      send(random() % order); // and some are old
    if (order % 65'536 == 0)
      most_memory = std::max(most_memory, anonymous_bytes());
  }
  answered.wait_for(sent);
  const std::chrono::duration<double> elapsed = clock::now() - start;
  most_memory = std::max(most_memory, anonymous_bytes());
  counters = engine->counters();
  return static_cast<double>(sent) / elapsed.count();
}

[[nodiscard]] json passivation_part(const settings& with) {
  const auto budget = with.budget_mib << 20U;
  double memory = 0;
  double memory_without = 0;
  runtime::engine_counters counters;
  runtime::engine_counters without;
  const auto before = anonymous_bytes();
  const auto rate = many_orders(with, budget, memory, counters);
  const auto rate_without = many_orders(with, 0, memory_without, without);
  fmt::print("{} orders, durability power, each with two commands at its birth and one in twenty "
             "later\n",
             with.orders);
  fmt::print("  {:<36}{:>12.0f} commands/s   at most {:.0f} MiB of memory (before: {:.0f}); "
             "{} passivated, {} loaded again\n",
             fmt::format("with {} MiB", with.budget_mib), rate, memory / (1 << 20),
             before / (1 << 20), counters.passivated, counters.recoveries);
  fmt::print("  {:<36}{:>12.0f} commands/s   at most {:.0f} MiB   ratio {:.2f}\n",
             "with all of them in memory", rate_without, memory_without / (1 << 20),
             rate / rate_without);
  return {{"orders", with.orders},
          {"budget_bytes", budget},
          {"commands_per_s", rate},
          {"memory_bytes", memory},
          {"passivated", counters.passivated},
          {"recoveries", counters.recoveries},
          {"commands_per_s_without", rate_without},
          {"memory_bytes_without", memory_without}};
}

void write_json(const fs::path& path, const json& all) {
  std::fflush(stdout); // which may be what `path` leads to
  auto file = value_or_give_up(apps::output_file::create(path));
  file.write(all.dump(2) + "\n");
  value_or_give_up(file.finish());
}

} // namespace

} // namespace acta::bench

int main(int argc, char** argv) {
  acta::bench::settings with;
  with.directory = std::filesystem::temp_directory_path();
  CLI::App app(
    "acta-bench-runtime: commands a second against raw LMDB, one command alone against a "
    "bare commit,\nmemory of a live aggregate, and what passivation costs. Each in the "
    "same run as its floor.\nExample: acta-bench-runtime latency --asks 20000",
    "acta-bench-runtime");
  app.add_option("part", with.part, "throughput, memory, latency, passivation, or all")
    ->check(CLI::IsMember({"throughput", "memory", "latency", "passivation", "all"}))
    ->capture_default_str();
  app.add_option("--commands", with.commands, "Commands of a throughput round")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--live", with.live, "Live aggregates of the large rounds")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--asks", with.asks, "Commands sent one at a time, a round")
    ->check(CLI::Range(100, 1'000'000'000))
    ->capture_default_str();
  app.add_option("--orders", with.orders, "Orders of the passivation run")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--budget", with.budget_mib, "Its memory budget, in MiB")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--window", with.window, "Commands not answered at a time")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--rounds", with.rounds, "Rounds; the figures are their medians")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--directory", with.directory, "Where to make the stores: the device measured")
    ->check(CLI::ExistingDirectory)
    ->capture_default_str();
  app.add_option("--json", with.json_file, "The figures as JSON, too")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  using namespace acta::bench;
  json all;
  const auto run = [&](const char* part, json (*measure)(const settings&)) {
    if (with.part == "all" || with.part == part)
      all[part] = measure(with);
  };
  run("memory", memory_part);
  run("throughput", throughput_part);
  run("latency", latency_part);
  run("passivation", passivation_part);
  if (!with.json_file.empty())
    write_json(with.json_file, all);
}
