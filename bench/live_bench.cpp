// Projections that follow an engine under load: how far behind they are, and what they cost it.
#include "live_bench.hpp"

#include "acknowledgements.hpp"
#include "counting.hpp"
#include "support.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/trade_tape.hpp>
#include <acta/projections/trading_bars.hpp>
#include <acta/runtime/engine.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::bench {

namespace {

using namespace domain::trading;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using engine_type = std::unique_ptr<runtime::engine>;

constexpr std::uint64_t sampled = 64; ///< Each such command is timed.

/// How long after a receipt a view shows its events. Receipts come on the engine's threads, moves
/// on the projector's.
class lag_watch final : projections::progress::listener {
public:
  explicit lag_watch(const projections::projection& view) : view_(view) {
    view_.progress().add_listener(*this);
  }
  ~lag_watch() { view_.progress().remove_listener(*this); }
  lag_watch(const lag_watch&) = delete;
  lag_watch& operator=(const lag_watch&) = delete;

  void expect(log_position position, steady::time_point received) {
    const std::lock_guard guard(mutex_);
    if (view_.position() >= position)
      us_.push_back(0); // it was quicker than the receipt
    else
      expected_.emplace_back(position, received);
  }
  [[nodiscard]] std::vector<double> take_us() {
    const std::lock_guard guard(mutex_);
    return std::move(us_);
  }

private:
  void moved() noexcept override {
    const auto reached = view_.position();
    const std::lock_guard guard(mutex_);
    while (!expected_.empty() && expected_.front().first <= reached) {
      us_.push_back(seconds_since(expected_.front().second) * 1e6);
      expected_.pop_front();
    }
  }

  const projections::projection& view_;
  std::mutex mutex_;
  std::deque<std::pair<log_position, steady::time_point>> expected_;
  std::vector<double> us_;
};

/// The projections of a trading system, and how far they are.
class followers {
public:
  explicit followers(runtime::engine& engine) : views_{&count_, &book_, &tape_, &bars_} {
    for (auto* view : views_) {
      watches_.push_back(std::make_unique<lag_watch>(*view));
      fed_.push_back(value_or_give_up(projections::projector::start(engine, *view)));
    }
  }

  void expect(log_position position, steady::time_point received) {
    for (const auto& one : watches_)
      one->expect(position, received);
  }
  /// By name, once they have all of the log.
  [[nodiscard]] std::map<std::string, std::vector<double>> lags_us(log_position tail) {
    std::map<std::string, std::vector<double>> all;
    for (std::size_t i = 0; i < views_.size(); ++i) {
      value_or_give_up(fed_[i]->wait_for(tail, 60s));
      all[std::string(views_[i]->name())] = watches_[i]->take_us();
    }
    return all;
  }

private:
  projections::memory_view<counting> count_;
  projections::memory_view<projections::order_book> book_;
  projections::memory_view<projections::trade_tape> tape_;
  projections::lmdb_view<projections::trading_bars> bars_;
  std::vector<projections::projection*> views_;
  std::vector<std::unique_ptr<lag_watch>> watches_;
  std::vector<std::unique_ptr<projections::projector>> fed_; // end first
};

/// Orders that are submitted, modified some time later, and executed again later.
[[nodiscard]] std::pair<std::uint64_t, limit_order::command> command_at(std::uint64_t i) {
  constexpr std::uint64_t later = 10'000;
  const auto newest = i / 3;
  const auto price = [](std::uint64_t order) {
    return static_cast<std::int64_t>(100 + order % 50) * 1'000'000'000;
  };
  if (i % 3 == 1 && newest >= later)
    return {newest - later, modify{.price = price(newest), .quantity = 90}};
  if (i % 3 == 2 && newest >= 2 * later)
    return {newest - 2 * later, execute{.quantity = 90, .price = {}}};
  const auto order = i % 3 == 0 ? newest : i % 3 * 1'000'000'000 + newest; // at the beginning
  return {order, submit{.instrument = static_cast<std::uint32_t>(order % 10),
                        .side = order % 2 == 0 ? side::buy : side::sell,
                        .price = price(order),
                        .quantity = 100}};
}

struct one_run {
  double commands_a_second = 0;
  std::vector<double> latencies_us; ///< From when a command was due until its receipt.
  std::map<std::string, std::vector<double>> lags_us;
  std::map<std::string, double> processor_us; ///< A command, by thread.
};

/// `rate` 0: as fast as it goes, with 16,384 commands not answered at a time.
[[nodiscard]] one_run measure(const live_settings& with, std::uint64_t rate, bool is_followed) {
  const store_directory directory(with.directory);
  auto engine = value_or_give_up(
    runtime::engine::open<limit_order>(value_or_give_up(storage::open_log(directory.store()))));
  auto following = is_followed ? std::make_unique<followers>(*engine) : nullptr;
  one_run found;
  sim::acknowledgements answered;
  std::uint64_t sent = 0;
  const auto send = [&](steady::time_point due) {
    const auto [order, command] = command_at(sent);
    const bool is_timed = sent++ % sampled == 0;
    value_or_give_up(
      engine->tell<limit_order>(order, command, [&, due, is_timed](runtime::outcome&& how) {
        if (!how)
          give_up(how.error().message());
        if (is_timed) {
          const auto now = steady::now();
          found.latencies_us.push_back(
            std::chrono::duration<double, std::micro>(now - due).count());
          if (following)
            following->expect(how->position, now);
        }
        answered.settle_one();
      }));
  };
  const auto before = processor_times();
  const auto start = steady::now();
  const auto end = start + std::chrono::seconds(with.seconds);
  if (rate == 0) {
    constexpr std::uint64_t window = 16'384;
    while (steady::now() < end) {
      for (int i = 0; i < 64; ++i)
        send(steady::now());
      if (sent - answered.done() >= window)
        answered.wait_for(sent - window / 2);
    }
  } else {
    constexpr auto tick = 200us;
    const auto a_tick = rate * tick.count() / 1'000'000;
    for (auto due = start; due < end; due += tick) {
      std::this_thread::sleep_until(due);
      for (std::uint64_t i = 0; i < a_tick; ++i)
        send(due);
    }
  }
  answered.wait_for(sent);
  found.commands_a_second = static_cast<double>(sent) / seconds_since(start);
  if (following)
    found.lags_us = following->lags_us(engine->log().tail());
  found.processor_us = processor_us_since(before, sent);
  return found;
}

/// Of several runs of the same kind.
struct all_runs {
  std::vector<double> rates;
  std::vector<double> p50;
  std::vector<double> p99;
  std::map<std::string, std::vector<double>> lag_p99;
  std::map<std::string, double> processor_us; ///< Of the last.

  void add(one_run&& one) {
    rates.push_back(one.commands_a_second);
    p50.push_back(percentile(one.latencies_us, 50));
    p99.push_back(percentile(one.latencies_us, 99));
    for (auto& [name, us] : one.lags_us)
      lag_p99[name].push_back(percentile(us, 99));
    processor_us = std::move(one.processor_us);
  }
  [[nodiscard]] nlohmann::ordered_json to_json() const {
    nlohmann::ordered_json out{{"commands_a_second", median(rates)},
                               {"receipt_p50_us", median(p50)},
                               {"receipt_p99_us", median(p99)},
                               {"processor_us_a_command", processor_us}};
    for (const auto& [name, us] : lag_p99)
      out["lag_p99_us"][name] = median(us);
    return out;
  }
  void print(const char* what) const {
    fmt::print("  {:<46}{:>10.0f} commands/s   receipts p50 {:>6.0f} us, p99 {:>7.0f} us\n", what,
               median(rates), median(p50), median(p99));
    for (const auto& [name, us] : lag_p99)
      fmt::print("    {:<16} p99 {:>7.0f} us behind the receipt\n", name, median(us));
    print_processor_us(processor_us);
  }
};

} // namespace

void run_live(const live_settings& with) {
  struct row {
    std::string what;
    std::uint64_t rate;
    bool is_followed;
    all_runs found{};
  };
  std::vector<row> rows{
    {fmt::format("{} a second, no projection", with.rate), with.rate, false},
    {fmt::format("{} a second, four projections", with.rate), with.rate, true},
    {"as fast as it goes, no projection", 0, false},
    {"as fast as it goes, four projections", 0, true},
  };
  for (int round = 0; round < with.rounds; ++round)
    for (auto& [what, rate, is_followed, found] : rows)
      found.add(measure(with, rate, is_followed));
  if (with.json) {
    nlohmann::ordered_json out{
      {"durability", "power"}, {"seconds", with.seconds}, {"rounds", with.rounds}};
    for (const auto& one : rows) {
      auto figures = one.found.to_json();
      figures["what"] = one.what;
      out["runs"].push_back(std::move(figures));
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print(
    "Orders submitted, modified and executed, durability power; counting, book and tape in "
    "memory, bars\nin LMDB; {} seconds each, medians of {} rounds\n",
    with.seconds, with.rounds);
  for (const auto& one : rows)
    one.found.print(one.what.c_str());
}

} // namespace acta::bench
