#include "rebuild_bench.hpp"

#include "progress.hpp"
#include "support.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/served_view.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/view_directory.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::bench {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using domain::trading::limit_order;
using steady = std::chrono::steady_clock;

/// Events by order and in all, and each times the model's version: so every answer says which
/// version it is of, and whether it is of one whole state.
struct tally {
  std::uint64_t events = 0;
  std::uint64_t weight = 0;
};
template <std::uint32_t Version>
struct flow {
  static constexpr std::string_view name = "flow";
  static constexpr std::uint32_t version = Version;
  using events = limit_order::events;
  static constexpr projections::ordered_table<std::uint64_t, tally> orders{1};
  static constexpr projections::ordered_table<std::uint8_t, tally> all{2};

  void on(const auto&, const storage::record_view& record, projections::table_writer& to) {
    const auto add = [&](const auto& table, auto key) {
      const auto before = to.get(table, key).value_or(tally{});
      to.put(table, key, tally{before.events + 1, before.weight + Version});
    };
    add(orders, record.integer_key());
    add(all, std::uint8_t{0});
  }
};
using served_flow = projections::served_view<projections::any_lmdb_view>;

enum class phase : std::uint8_t { before, during, after };
constexpr std::array<const char*, 3> names{"before", "during", "after"};

struct latencies {
  std::uint64_t queries = 0;
  std::chrono::nanoseconds slowest{};
  std::chrono::nanoseconds sum{};
};

/// What one reader saw: each answer is held against the one before.
class witness {
public:
  explicit witness(const std::atomic<phase>& now) : now_(now) {}

  /// Asks for what there is, or for `at_least`, of an order and of all.
  void ask(const served_flow& of, std::uint64_t order, log_position at_least) {
    const auto in = now_.load(std::memory_order_relaxed);
    const auto begin = steady::now();
    const auto found = of.read(at_least, 60s, [&](const projections::table_reader& now) {
      return answer{now.get(flow<1>::orders, order).value_or(tally{}),
                    now.get(flow<1>::all, 0).value_or(tally{}), now.position()};
    });
    const std::chrono::nanoseconds took = steady::now() - begin;
    auto& to = taken.at(static_cast<std::size_t>(in));
    ++to.queries;
    to.slowest = std::max(to.slowest, took);
    to.sum += took;
    if (!found)
      return fail(found.error().message());
    check(*found, at_least);
  }
  void fail(const std::string& why) {
    ++failures;
    if (first_failure.empty())
      first_failure = why;
  }

  std::array<latencies, names.size()> taken{};
  std::uint64_t failures = 0;
  std::uint64_t swaps = 0; ///< Answers of another version than the one before.
  std::string first_failure;

private:
  struct answer {
    tally order;
    tally all;
    log_position at;
  };

  void check(const answer& now, log_position at_least) {
    const auto version = now.all.events == 0 ? 0 : now.all.weight / now.all.events;
    if (now.all.weight != version * now.all.events || now.order.weight != version * now.order.events
        || version > 2)
      fail(fmt::format("position {}: it is of no one version", now.at.value()));
    if (now.at < last_ || now.at < at_least || now.all.events < events_)
      fail(fmt::format("position {} after {}: it went back", now.at.value(), last_.value()));
    if (now.all.events > now.at.value())
      fail(fmt::format("position {}: it has {} events", now.at.value(), now.all.events));
    if (version_ != 0 && version < version_)
      fail(fmt::format("position {}: version {} after {}", now.at.value(), version, version_));
    swaps += version_ != 0 && version != version_ ? 1 : 0;
    version_ = version;
    last_ = now.at;
    events_ = now.all.events;
  }

  const std::atomic<phase>& now_;
  log_position last_;
  std::uint64_t events_ = 0;
  std::uint64_t version_ = 0;
};

/// New orders, so many in flight at most.
class writer {
public:
  explicit writer(runtime::engine& engine) : engine_(engine) {}
  ~writer() {
    for (std::ptrdiff_t i = 0; i < window; ++i)
      room_.acquire();
  }
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  void send() {
    room_.acquire();
    value_or_give_up(engine_.tell<limit_order>(next_++, new_order, [this](const auto& receipt) {
      settled_.fetch_add(receipt ? 1 : 0, std::memory_order_relaxed);
      room_.release();
    }));
  }
  [[nodiscard]] std::uint64_t settled() const { return settled_.load(std::memory_order_relaxed); }

  static constexpr domain::trading::submit new_order{
    .instrument = 1, .side = domain::trading::side::buy, .price = 1, .quantity = 1};

private:
  static constexpr std::ptrdiff_t window = 256;
  runtime::engine& engine_;
  std::uint64_t next_ = std::uint64_t{1} << 60U;
  std::atomic<std::uint64_t> settled_{0};
  std::counting_semaphore<window> room_{window};
};

struct outcome {
  std::uint64_t events = 0; ///< Of the rebuild.
  double seconds = 0;
  std::uint64_t commands = 0;
  std::array<latencies, names.size()> taken{};
  std::uint64_t failures = 0;
  bool is_one_swap = true; ///< For each reader.
  std::string first_failure;
};

void show(apps::progress_line& line, const projections::rebuild_progress& now) {
  line.update(static_cast<double>(now.position.value()) / static_cast<double>(now.tail.value()),
              now.position.value(), "events",
              fmt::format("  {:.0f} s left", std::chrono::duration<double>(now.left).count()));
}

[[nodiscard]] outcome rebuild_under_load(runtime::engine& engine, const fs::path& store) {
  served_flow served;
  value_or_give_up(served.start(engine, std::make_shared<projections::lmdb_view<flow<1>>>()));
  const auto filled = engine.log().tail();
  value_or_give_up(served.view()->progress().wait_for(filled, 1h, "flow"));

  std::atomic<phase> now{phase::before};
  std::atomic<bool> ended{false};
  witness any(now);
  witness own(now);
  writer orders(engine);
  outcome found;
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] { // whatever there is, without a pause
      std::uint64_t order = 0;
      while (!ended.load(std::memory_order_relaxed))
        any.ask(served, order++ % filled.value(), {});
    });
    threads.emplace_back([&] { // its own order, once it is there
      auto order = std::uint64_t{1} << 61U;
      while (!ended.load(std::memory_order_relaxed)) {
        const auto receipt = engine.ask<limit_order>(++order, writer::new_order);
        if (receipt)
          own.ask(served, order, receipt->position);
        else
          own.fail(receipt.error().message());
        const auto serving = storage::serving_version(store, {.name = "flow"});
        if (!serving || !*serving) // as other processes see it
          own.fail("the link names no version");
      }
    });
    threads.emplace_back([&] {
      while (!ended.load(std::memory_order_relaxed))
        orders.send();
    });
    std::this_thread::sleep_for(2s);
    now = phase::during;
    const auto settled = orders.settled();
    const auto begin = steady::now();
    apps::progress_line line(true);
    value_or_give_up(served.rebuild(engine, std::make_shared<projections::lmdb_view<flow<2>>>(),
                                    {.progress = [&](const auto& at) { show(line, at); }}));
    found.seconds = seconds_since(begin);
    found.events = served.view()->position().value();
    found.commands = orders.settled() - settled;
    now = phase::after;
    std::this_thread::sleep_for(2s);
    ended = true;
  }
  for (const auto* one : {&any, &own}) {
    found.failures += one->failures;
    found.is_one_swap = found.is_one_swap && one->swaps == 1;
    if (found.first_failure.empty())
      found.first_failure = one->first_failure;
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    found.taken.at(i) = any.taken.at(i);
  return found;
}

[[nodiscard]] double us(std::chrono::nanoseconds of) {
  return std::chrono::duration<double, std::micro>(of).count();
}

[[nodiscard]] double mean_us(const latencies& of) {
  return of.queries == 0 ? 0 : us(of.sum) / static_cast<double>(of.queries);
}

void print_json(const outcome& of) {
  nlohmann::ordered_json out{{"events", of.events},
                             {"seconds", of.seconds},
                             {"events_a_second", static_cast<double>(of.events) / of.seconds},
                             {"commands_meanwhile", of.commands},
                             {"failures", of.failures},
                             {"one_swap", of.is_one_swap}};
  for (std::size_t i = 0; i < names.size(); ++i)
    out["queries"][names.at(i)] = {{"count", of.taken.at(i).queries},
                                   {"mean_us", mean_us(of.taken.at(i))},
                                   {"slowest_us", us(of.taken.at(i).slowest)}};
  fmt::print("{}\n", out.dump(2));
}

void print_text(const outcome& of) {
  fmt::print("Rebuilt {} events in {:.1f} s, {:.0f} events/s, while {} commands were committed\n",
             of.events, of.seconds, static_cast<double>(of.events) / of.seconds, of.commands);
  for (std::size_t i = 0; i < names.size(); ++i)
    fmt::print("  {:<6} {:>10} queries, {:>6.1f} us each, the slowest {:>8.0f} us\n", names.at(i),
               of.taken.at(i).queries, mean_us(of.taken.at(i)), us(of.taken.at(i).slowest));
  fmt::print("  {} failed or went back; the swap was seen at {}\n{}", of.failures,
             of.is_one_swap ? "one moment" : "no or several moments",
             of.first_failure.empty() ? "" : of.first_failure + '\n');
}

} // namespace

int run_rebuild(const rebuild_settings& with, const filler& fill) {
  const store_directory directory(with.directory);
  constexpr std::uint64_t events_of_an_order = 3; // some more, in truth
  fill(directory.store(), with.events / events_of_an_order + 1);
  const auto engine = value_or_give_up(runtime::engine::open<limit_order>(value_or_give_up(
    storage::open_log(directory.store(), {.durability = storage::durability::process}))));
  const auto found = rebuild_under_load(*engine, directory.store());
  fmt::print(stderr, "\n");
  with.json ? print_json(found) : print_text(found);
  return found.failures == 0 && found.is_one_swap ? 0 : 1;
}

} // namespace acta::bench
