#pragma once

#include "../support/wallet.hpp"

#include <acta/base/clock.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {

/// At which positions the handler of `sums` fails, how often, and how often it did.
struct told_failures {
  std::map<std::uint64_t, int> left;
  std::map<std::uint64_t, int> happened;
};

/// What was put into wallets, in order: as text, and by wallet.
struct sums {
  static constexpr std::string_view name = "sums";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;

  void on(const added& event, const storage::record_view& record) {
    const auto position = record.position().value();
    if (told != nullptr && told->left.contains(position) && told->left[position] > 0) {
      --told->left[position];
      ++told->happened[position];
      throw std::runtime_error("told to fail");
    }
    text += std::to_string(event.amount()) + ' ';
    by_wallet[record.integer_key()].push_back(event.amount());
  }

  std::shared_ptr<told_failures> told;
  std::string text{};
  std::map<std::uint64_t, std::vector<std::int64_t>> by_wallet{};
};

/// An engine without threads, whose clock the test moves, and a view of it.
class projection_fixture : public testing::Test {
protected:
  using view_type = projections::memory_view<sums>;

  void SetUp() override {
    auto opened = runtime::engine::open<wallet>(storage::make_faulty_log(log, faults),
                                                {.deterministic_seed = 1, .clock = &time});
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
  }
  /// Event n of wallet n % 3 puts n in.
  void put(std::int64_t first, std::int64_t last) {
    for (auto n = first; n <= last; ++n)
      ASSERT_TRUE(engine->ask<wallet>(static_cast<std::uint64_t>(n % 3), put_in{n}));
  }
  void start(projections::projector_options options = {}) {
    auto started = projections::projector::start(*engine, view, std::move(options));
    ASSERT_TRUE(started) << started.error().message();
    projector = std::move(*started);
    run();
  }
  void run() {
    while (engine->run_one()) {
    }
  }
  void pass(std::chrono::nanoseconds by) {
    time.advance_ns(by.count());
    run();
  }
  [[nodiscard]] std::string text() const {
    return view.read([](const sums& now) { return now.text; });
  }
  [[nodiscard]] std::vector<std::uint64_t> dead() const {
    std::vector<std::uint64_t> positions;
    const auto letters = view.dead_letters();
    for (const auto& one : letters.value())
      positions.push_back(one.position.value());
    return positions;
  }

  std::shared_ptr<told_failures> told = std::make_shared<told_failures>();
  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults = std::make_shared<storage::log_faults>();
  manual_clock time{1'000'000'000};
  std::unique_ptr<runtime::engine> engine;
  view_type view{sums{.told = told}};
  std::unique_ptr<projections::projector> projector; // ends first
};

} // namespace acta::tests
