// acta-bench-runtime: how many commands a second, how long each takes and where, how much memory.
#include "floors.hpp"

#include "acknowledgements.hpp"

#include <acta/domain/aggregate.hpp>
#include <acta/projections/projection.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include "bench/moves_generated.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace acta::bench {

namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

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
};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "acta-bench-runtime: {}\n", why);
  std::exit(1);
}

template <class T>
T value_or_give_up(result<T>&& of) {
  if (!of)
    give_up(of.error().message());
  if constexpr (!std::is_void_v<T>)
    return std::move(*of);
}

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
class counting final : public projections::event_handlers<counting, domain::event_list<moved>> {
public:
  [[nodiscard]] std::string_view name() const noexcept override { return "counting"; }
  void on(const moved& e, const storage::record_view&) { sum_ += e.amount(); }

private:
  std::int64_t sum_ = 0;
};

class store_directory {
public:
  explicit store_directory(const fs::path& below) {
    auto pattern = (below / "acta-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      give_up(fmt::format("'{}': no directory can be made there", below.string()));
    path_ = pattern;
  }
  ~store_directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  store_directory(const store_directory&) = delete;
  store_directory& operator=(const store_directory&) = delete;
  [[nodiscard]] fs::path store() const { return path_ / "store"; }
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

private:
  fs::path path_;
};

/// Bytes of this process that belong to no file.
[[nodiscard]] double anonymous_bytes() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;)
    if (word == "RssAnon:") {
      double kib = 0;
      in >> kib;
      return kib * 1'024;
    }
  give_up("/proc/self/status has no RssAnon");
}

/// Seconds of processor time of this process's threads, by their names.
[[nodiscard]] std::map<std::string, double> processor_times() {
  std::map<std::string, double> times;
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "stat");
    std::string line;
    std::getline(in, line);
    const auto open = line.find('(');
    const auto close = line.rfind(')');
    if (open == std::string::npos || close == std::string::npos)
      continue;
    std::istringstream rest(line.substr(close + 2));
    std::vector<std::string> fields;
    for (std::string field; rest >> field;)
      fields.push_back(field);
    times[line.substr(open + 1, close - open - 1)] +=
      (std::stod(fields.at(11)) + std::stod(fields.at(12)))
      / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return times;
}

[[nodiscard]] double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.empty() ? 0 : of[of.size() / 2];
}

[[nodiscard]] double percentile_us(std::vector<double>& of, double percent) {
  std::ranges::sort(of);
  const auto rank = static_cast<std::size_t>(percent / 100 * static_cast<double>(of.size()));
  return of.at(std::min(rank, of.size() - 1));
}

[[nodiscard]] record_bytes records_of(const storage::event_log& log) {
  record_bytes all;
  auto snapshot = value_or_give_up(log.snapshot());
  auto cursor = value_or_give_up(snapshot->scan(log_position(1)));
  for (;;) {
    const auto records = value_or_give_up(cursor->next());
    if (records.empty())
      return all;
    for (const auto& record : records)
      all.add(record.bytes());
  }
}

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
    counting view;
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
    for (const auto& [name, seconds] : processor_times()) {
      const auto was = before.find(name);
      found.processor_us[name] = (seconds - (was == before.end() ? 0 : was->second)) * 1e6 / count;
    }
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

void print_processor_times(const throughput& of) {
  fmt::print("    processor time, us a command:");
  for (const auto& [name, us] : of.processor_us)
    if (us >= 0.005)
      fmt::print(" {} {:.2f}", name, us);
  fmt::print("\n");
}

void throughput_part(const settings& with) {
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
  for (const auto& [what, how, wants_floor] : rows) {
    fmt::print("  {:<40}{:>12.0f}   (of {} aggregates, {} events a commit)\n", what,
               median(rates[what]), how.aggregates, last[what].events_a_commit);
    print_processor_times(last[what]);
    if (wants_floor)
      fmt::print("  {:<40}{:>12.0f}   the engine has {:.2f} of it (median of the rounds' ratios)\n",
                 "raw LMDB, the same records", median(floors), median(ratios));
  }
}

/// What the second half of them adds: buffers, and what the allocator keeps, are there by then. The
/// index may keep little in memory, as its delta is for events, however many aggregates there are.
void memory_part(const settings& with) {
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
  fmt::print("A live aggregate: {:.0f} bytes of memory with its state of {} bytes and its place in "
             "the registry;\n  {:.0f} as the engine counts them\n",
             (anonymous_bytes() - before) / more, sizeof(mover::state),
             static_cast<double>(engine->counters().aggregate_memory - counted) / more);
}

void closed_loop(const settings& with, const char* what, storage::durability durability,
                 const runtime::engine_options& options) {
  std::vector<double> engine_p50;
  std::vector<double> engine_p99;
  std::vector<double> ratio_p50;
  std::vector<double> ratio_p99;
  std::vector<double> floor_p50;
  std::vector<double> floor_p99;
  runtime::command_latencies stages;
  for (int round = 0; round < with.rounds; ++round) {
    const store_directory directory(with.directory);
    const store_directory raw(with.directory);
    auto engine = value_or_give_up(runtime::engine::open<mover>(
      value_or_give_up(storage::open_log(directory.store(), {.durability = durability})), options));
    single_commits floor(raw.path(), durability == storage::durability::power);
    std::vector<double> taken;
    std::vector<double> bare;
    // In turns of a hundred, so that a noisy moment falls on both.
    for (std::uint64_t i = 0; i < with.asks; ++i) {
      const auto start = clock::now();
      value_or_give_up(engine->ask<mover>(i % 100, mover::command{1}));
      taken.push_back(std::chrono::duration<double, std::micro>(clock::now() - start).count());
      if (i % 100 == 99)
        for (int k = 0; k < 100; ++k)
          bare.push_back(floor.commit_us());
    }
    stages = engine->latencies<mover>();
    engine_p50.push_back(percentile_us(taken, 50));
    engine_p99.push_back(percentile_us(taken, 99));
    floor_p50.push_back(percentile_us(bare, 50));
    floor_p99.push_back(percentile_us(bare, 99));
    ratio_p50.push_back(engine_p50.back() / floor_p50.back());
    ratio_p99.push_back(engine_p99.back() / floor_p99.back());
  }
  fmt::print("  {:<44} p50 {:>7.1f} us ({:.2f} of a bare commit, {:.1f})   p99 {:>7.1f} us ({:.2f} "
             "of {:.1f})\n",
             what, median(engine_p50), median(ratio_p50), median(floor_p50), median(engine_p99),
             median(ratio_p99), median(floor_p99));
  fmt::print("    stages, p50/p99 us:");
  const auto stage = [](const char* name, const runtime::latency_histogram& of) {
    fmt::print(" {} {:.1f}/{:.1f}", name, static_cast<double>(of.percentile_ns(50)) / 1e3,
               static_cast<double>(of.percentile_ns(99)) / 1e3);
  };
  stage("mailbox", stages.mailbox);
  stage("decide", stages.decide);
  stage("stage", stages.stage);
  stage("commit", stages.commit);
  stage("receipt", stages.receipt);
  fmt::print("\n");
}

void latency_part(const settings& with) {
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
  closed_loop(with, "power", storage::durability::power, plain);
  closed_loop(with, "power, committed by the worker", storage::durability::power, by_worker);
  closed_loop(with, "process", storage::durability::process, plain);
  closed_loop(with, "process, by the worker, pinned, spinning", storage::durability::process,
              spinning);
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

void passivation_part(const settings& with) {
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
}

} // namespace

} // namespace acta::bench

int main(int argc, char** argv) {
  acta::bench::settings with{.directory = std::filesystem::temp_directory_path()};
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
  CLI11_PARSE(app, argc, argv);
  const auto wants = [&](const char* part) { return with.part == "all" || with.part == part; };
  using namespace acta::bench;
  if (wants("memory"))
    memory_part(with);
  if (wants("throughput"))
    throughput_part(with);
  if (wants("latency"))
    latency_part(with);
  if (wants("passivation"))
    passivation_part(with);
}
