#pragma once

#include "counter.hpp"
#include "engine_fixture.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/subscription.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {

using positions_seen = std::vector<std::uint64_t>;

[[nodiscard]] inline positions_seen positions_of(const projections::event_batch& events) {
  positions_seen all;
  for (const auto& record : events.records())
    all.push_back(record.position().value());
  return all;
}

/// What a log has behind a position for a filter, found without any of what subscriptions use.
[[nodiscard]] inline positions_seen expected(const storage::event_log& log,
                                             const projections::event_filter& filter,
                                             log_position after,
                                             log_position up_to = log_position(UINT64_MAX)) {
  positions_seen all;
  const auto snapshot = log.snapshot();
  for (auto at = after.next(); at <= std::min(up_to, (*snapshot)->tail()); at = at.next()) {
    const auto record = (*snapshot)->at(at);
    EXPECT_TRUE(record) << record.error().message();
    const auto type = log.event_type_name(record->event_type());
    const auto& types = filter.event_types;
    if ((!filter.stream || record->stream() == *filter.stream)
        && (filter.category == category_id(0) || record->stream().category() == filter.category)
        && (types.empty() || std::ranges::find(types, type) != types.end()))
      all.push_back(at.value());
  }
  return all;
}

/// Notes what a subscription hands it. Used by one thread at a time.
struct collector {
  positions_seen seen{};
  std::size_t largest = 0; ///< Batch.
  std::optional<result<void>> ended{};
  /// Called behind each batch; the subscription is the one that calls.
  std::function<void(projections::subscription&)> then{};

  [[nodiscard]] projections::subscription::handler handler() {
    return [this](projections::subscription& from, projections::event_batch events) {
      EXPECT_FALSE(ended) << "nothing comes behind the end";
      EXPECT_LE(events.records().back().position(), events.reached());
      EXPECT_LT(from.position(), events.records().front().position());
      for (const auto& record : events.records())
        EXPECT_TRUE(record.verify());
      const auto got = positions_of(events);
      seen.insert(seen.end(), got.begin(), got.end());
      largest = std::max(largest, got.size());
      if (then)
        then(from);
    };
  }
  [[nodiscard]] projections::subscription::end_handler end_handler() {
    return [this](const result<void>& why) {
      EXPECT_FALSE(ended) << "there is one end";
      ended = why;
    };
  }
};

/// An engine of counters and orders over a log in memory, which does nothing but in steps.
class subscription_fixture : public testing::Test {
protected:
  void SetUp() override { open({.deterministic_seed = 7}); }
  void TearDown() override { engine.reset(); }
  void open(const runtime::engine_options& options) {
    engine.reset();
    auto opened = runtime::engine::open<counter, domain::trading::limit_order>(
      std::make_unique<storage::forwarding_log>(log), options);
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
  }

  [[nodiscard]] auto subscribe(collector& to, projections::subscription_options options = {}) {
    auto made = projections::subscription::open(*engine, options, to.handler(), to.end_handler());
    EXPECT_TRUE(made) << made.error().message();
    return std::move(*made);
  }
  [[nodiscard]] auto pull(projections::subscription_options options = {}) {
    auto made = projections::pull_subscription::open(*engine, options);
    EXPECT_TRUE(made) << made.error().message();
    return std::move(*made);
  }
  [[nodiscard]] errc refusal(const projections::subscription_options& options,
                             std::string_view names) {
    const auto made = projections::pull_subscription::open(*engine, options);
    EXPECT_FALSE(made);
    EXPECT_NE(made.error().message().find(names), std::string::npos) << made.error().message();
    return made.error().code();
  }
  /// So many events of a counter, in one commit.
  log_position add(std::uint64_t key, int times = 1) {
    const auto receipt = engine->ask<counter>(key, tests::add{.times = times});
    EXPECT_TRUE(receipt) << receipt.error().message();
    return receipt ? receipt->position : log_position();
  }
  log_position submit(std::uint64_t order) {
    const auto receipt = engine->ask<domain::trading::limit_order>(order, buy(1));
    EXPECT_TRUE(receipt) << receipt.error().message();
    return receipt ? receipt->position : log_position();
  }
  [[nodiscard]] projections::event_filter counter_filter(std::uint64_t key) const {
    return {.stream = engine->stream<counter>(key)};
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::unique_ptr<runtime::engine> engine;
};

} // namespace acta::tests
