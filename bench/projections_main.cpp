// acta-bench-projections: how fast views catch up with a log, against a bare scan of it by LMDB's
// cursor in the same run.
#include "counting.hpp"
#include "driver.hpp"
#include "floors.hpp"
#include "generator.hpp"
#include "live_bench.hpp"
#include "rebuild_bench.hpp"
#include "support.hpp"

#include <acta/domain/aggregate.hpp>
#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/projections/stored_order_book.hpp>
#include <acta/runtime/engine.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace acta::bench {

namespace {

namespace fs = std::filesystem;
using steady = std::chrono::steady_clock;
using domain::trading::limit_order;

struct settings {
  std::uint64_t orders = 1'000'000; ///< With some three events each.
  int rounds = 5;
  bool json = false;
  fs::path directory; ///< Where the store is made and removed again.
};

/// Events by order, in LMDB.
struct by_order {
  static constexpr std::string_view name = "by_order";
  static constexpr std::uint32_t version = 1;
  using events = limit_order::events;
  static constexpr projections::ordered_table<std::uint64_t, std::uint64_t> counts{1};

  void on(const auto&, const storage::record_view& record, projections::table_writer& to) {
    to.put(counts, record.integer_key(), to.get(counts, record.integer_key()).value_or(0) + 1);
  }
};

/// The same in SQLite.
struct by_order_in_sql {
  static constexpr std::string_view name = "by_order_in_sql";
  static constexpr std::uint32_t version = 1;
  using events = limit_order::events;

  static result<void> create(projections::sqlite::database& to) {
    return to.script("create table counts (id integer primary key, count integer) strict");
  }
  result<void> on(const auto&, const storage::record_view& record,
                  projections::sqlite::database& to) {
    return to.run("insert into counts values (?1, 1) on conflict (id) do update set "
                  "count = count + 1",
                  {static_cast<std::int64_t>(record.integer_key())});
  }
};

/// A store full of generated order flow. At `process`: what is measured reads it.
void fill(const fs::path& store, std::uint64_t orders) {
  auto engine = value_or_give_up(runtime::engine::open<limit_order, domain::trading::instrument>(
    value_or_give_up(storage::open_log(store, {.durability = storage::durability::process}))));
  projections::memory_view<projections::order_book> book;
  const auto following = value_or_give_up(projections::projector::start(*engine, book));
  sim::generator flow(orders, 1, 10);
  const sim::decided_commands none;
  const std::atomic<bool> interrupted = false;
  sim::driver drive({.engine = *engine,
                     .from = flow,
                     .decided = none,
                     .book = book,
                     .book_projector = *following,
                     .window = 8'192,
                     .interrupted = interrupted,
                     .on_progress = [] {}});
  value_or_give_up(drive.run());
}

using open_engine = std::unique_ptr<runtime::engine>;

[[nodiscard]] open_engine open(const fs::path& store) {
  return value_or_give_up(runtime::engine::open<limit_order, domain::trading::instrument>(
    value_or_give_up(storage::open_log(store, {.durability = storage::durability::process}))));
}

/// Events a second until views, fed at the same time, have all of the log.
template <class... View>
[[nodiscard]] double catch_up(runtime::engine& engine, View&... views) {
  std::vector<std::unique_ptr<projections::projector>> all;
  (all.push_back(value_or_give_up(projections::projector::start(engine, views, {.paused = true}))),
   ...);
  const auto tail = engine.log().tail();
  const auto start = steady::now();
  for (const auto& one : all)
    one->resume();
  for (const auto& one : all)
    value_or_give_up(one->wait_for(tail, std::chrono::minutes(10)));
  return static_cast<double>(tail.value()) / seconds_since(start);
}

/// What is measured, in the order it is shown.
struct measured {
  std::string what;
  std::function<double(runtime::engine&)> run;
  std::vector<double> events_a_second{};
};

template <class Model>
[[nodiscard]] double in_memory(runtime::engine& engine) {
  projections::memory_view<Model> view;
  return catch_up(engine, view);
}

template <class Model>
[[nodiscard]] double in_two_parts(runtime::engine& engine) {
  projections::memory_view<Model> first(Model(), {.part = 0, .parts = 2});
  projections::memory_view<Model> second(Model(), {.part = 1, .parts = 2});
  return catch_up(engine, first, second);
}

template <class View>
[[nodiscard]] double on_disk(runtime::engine& engine) {
  View view;
  return catch_up(engine, view);
}

[[nodiscard]] double in_lmdb_in_two_parts(runtime::engine& engine) {
  projections::lmdb_view<by_order> first({.part = 0, .parts = 2});
  projections::lmdb_view<by_order> second({.part = 1, .parts = 2});
  return catch_up(engine, first, second);
}

[[nodiscard]] double in_sqlite_in_two_parts(runtime::engine& engine) {
  projections::sqlite_view<by_order_in_sql> first({}, {.part = 0, .parts = 2});
  projections::sqlite_view<by_order_in_sql> second({}, {.part = 1, .parts = 2});
  return catch_up(engine, first, second);
}

void run(const settings& with) {
  const store_directory directory(with.directory);
  fill(directory.store(), with.orders);
  std::vector<measured> all{
    {"counting, in memory", in_memory<counting>},
    {"order book, in memory", in_memory<projections::order_book>},
    {"order book, in memory, in two parts", in_two_parts<projections::order_book>},
    {"order book, in LMDB", on_disk<projections::lmdb_view<projections::stored_order_book>>},
    {"by order, in LMDB", on_disk<projections::lmdb_view<by_order>>},
    {"by order, in LMDB, in two parts", in_lmdb_in_two_parts},
    {"by order, in SQLite", on_disk<projections::sqlite_view<by_order_in_sql>>},
    {"by order, in SQLite, in two parts", in_sqlite_in_two_parts},
  };
  std::vector<double> floor;
  std::uint64_t events = 0;
  for (int round = 0; round < with.rounds; ++round) {
    floor.push_back(scan_lmdb(directory.store() / "log", events));
    for (auto& one : all) {
      fs::remove_all(directory.store() / "views");
      one.events_a_second.push_back(one.run(*open(directory.store())));
    }
  }
  const auto scanned = median(floor);
  if (with.json) {
    nlohmann::ordered_json out{
      {"events", events}, {"rounds", with.rounds}, {"bare_scan_events_a_second", scanned}};
    for (const auto& one : all)
      out["views"].push_back({{"what", one.what},
                              {"events_a_second", median(one.events_a_second)},
                              {"of_bare_scan", median(one.events_a_second) / scanned}});
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("Catching up with {} events of {} orders, from the page cache; medians of {} rounds\n"
             "  {:<38} {:>12.0f} events/s\n",
             events, with.orders, with.rounds, "a bare scan by LMDB's cursor", scanned);
  for (const auto& one : all)
    fmt::print("  {:<38} {:>12.0f} events/s   {:.2f} of the scan\n", one.what,
               median(one.events_a_second), median(one.events_a_second) / scanned);
}

} // namespace

} // namespace acta::bench

int main(int argc, char** argv) {
  acta::bench::settings with;
  acta::bench::live_settings live;
  with.directory = std::filesystem::temp_directory_path();
  CLI::App app("acta-bench-projections: how fast views catch up with a log, against a bare scan of "
               "it in the same run;\nlive: how far behind they are while commands come, and what "
               "they cost the write side.\nExamples:\n  acta-bench-projections --orders 1000000 "
               "--rounds 5\n  acta-bench-projections live --rate 300000");
  app.add_option("--orders", with.orders, "Generated orders, of some three events each")
    ->check(CLI::Range(std::uint64_t{1'000}, std::uint64_t{100'000'000}))
    ->capture_default_str();
  app.add_option("--rounds", with.rounds, "Rounds, of which the median is told")
    ->check(CLI::Range(1, 1'000))
    ->capture_default_str();
  app.add_option("--directory", with.directory, "Where the store is made, and removed again")
    ->check(CLI::ExistingDirectory)
    ->capture_default_str();
  app.add_flag("--json", with.json, "JSON instead of a table");
  auto* is_live = app.add_subcommand("live", "Projections that follow an engine under load");
  is_live->fallthrough();
  is_live->add_option("--rate", live.rate, "Commands a second")
    ->check(CLI::Range(std::uint64_t{5'000}, std::uint64_t{10'000'000}))
    ->capture_default_str();
  is_live->add_option("--seconds", live.seconds, "How long each run takes")
    ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{3'600}))
    ->capture_default_str();
  acta::bench::rebuild_settings rebuilding;
  auto* rebuild = app.add_subcommand("rebuild", "Build a view anew, in LMDB, while it is read and "
                                                "written; status 1 if a query failed");
  rebuild->fallthrough();
  rebuild->add_option("--events", rebuilding.events, "In the log, at least")
    ->check(CLI::Range(std::uint64_t{1'000}, std::uint64_t{1'000'000'000}))
    ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (*is_live) {
    live.rounds = with.rounds;
    live.json = with.json;
    live.directory = with.directory;
    acta::bench::run_live(live);
    return 0;
  }
  if (rebuild->parsed()) {
    rebuilding.directory = with.directory;
    rebuilding.json = with.json;
    return acta::bench::run_rebuild(rebuilding, acta::bench::fill);
  }
  acta::bench::run(with);
}
