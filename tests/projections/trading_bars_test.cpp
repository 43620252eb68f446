// One-minute bars against the plainest code that could be written for them.
#include "../support/scratch_directory.hpp"
#include "../support/trades.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/trading_bars.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using projections::timed_bar;
using projections::trading_bar;
using projections::trading_bars;

constexpr std::int64_t minute = 60'000'000'000;

/// All trades, kept; bars are counted when asked for.
[[nodiscard]] std::vector<timed_bar> plain_bars(const std::vector<made_trade>& trades,
                                                std::uint32_t instrument, std::int64_t from,
                                                std::int64_t to) {
  std::map<std::int64_t, trading_bar> by_minute;
  for (std::size_t i = 0; i < trades.size(); ++i) {
    const auto& one = trades[i];
    auto begin = one.at_ns / minute * minute;
    if (begin > one.at_ns)
      begin -= minute;
    if (one.instrument != instrument || begin < from || begin >= to)
      continue;
    auto& bar = by_minute[begin];
    if (bar.trades++ == 0)
      bar = {one.price, one.price, one.price, 0, 0, 1, i + 1, 0};
    bar.high = std::max(bar.high, one.price);
    bar.low = std::min(bar.low, one.price);
    bar.close = one.price;
    bar.volume += one.quantity;
    bar.last = i + 1;
  }
  std::vector<timed_bar> found;
  for (const auto& [begin, bar] : by_minute)
    found.push_back({begin, bar});
  return found;
}

class trading_bars_test : public ::testing::Test {
protected:
  void SetUp() override {
    auto opened = storage::open_log(directory_.path() / "store");
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
  }
  void trade(const made_trade& one) {
    trades.push_back(one);
    append_trade(*log, one);
  }
  void expect_as_plain(std::int64_t from, std::int64_t to) const {
    for (const std::uint32_t instrument : {1U, 2U, 3U}) {
      const auto found = view.read(
        [&](const auto& now) { return trading_bars::between(now, instrument, from, to); });
      ASSERT_TRUE(found) << found.error().message();
      EXPECT_EQ(*found, plain_bars(trades, instrument, from, to));
    }
  }

  scratch_directory directory_{memory_folder()};
  std::unique_ptr<storage::event_log> log;
  std::vector<made_trade> trades;
  projections::lmdb_view<trading_bars> view;
};

TEST_F(trading_bars_test, equal_the_plainest_reference_over_any_time) {
  std::mt19937_64 random(11);
  auto now = -3 * minute;
  for (int i = 0; i < 1'500; ++i) {
    now += static_cast<std::int64_t>(random() % (minute / 20));
    trade({.instrument = 1 + static_cast<std::uint32_t>(random() % 3),
           .price = static_cast<std::int64_t>(random() % 100) - 20,
           .quantity = 1 + static_cast<std::int64_t>(random() % 50),
           .at_ns = now,
           .printed = random() % 4 == 0});
  }
  const auto done = projections::replay(*log, view);
  ASSERT_TRUE(done) << done.error().message();
  expect_as_plain(-10 * minute, 2 * now);
  expect_as_plain(0, 0);
  for (int i = 0; i < 50; ++i) {
    const auto from = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(now));
    expect_as_plain(from - 2 * minute, from + static_cast<std::int64_t>(random() % (9 * minute)));
  }
  auto newest = plain_bars(trades, 2, -10 * minute, 2 * now);
  std::ranges::reverse(newest);
  newest.resize(4);
  EXPECT_EQ(view.read([](const auto& state) { return trading_bars::newest(state, 2, 4); }), newest);
}

TEST_F(trading_bars_test, a_trade_that_is_handled_late_takes_its_place) {
  for (const std::int64_t price : {5, 9, 2, 7})
    trade({.price = price, .at_ns = 10});
  ASSERT_TRUE(view.attach(*log));
  const auto snapshot = log->snapshot();
  const auto record = [&](std::uint64_t position) {
    return *(*snapshot)->at(log_position(position));
  };
  const std::vector<storage::record_view> in_time{record(2), record(3)};
  ASSERT_TRUE(view.apply({.records = in_time, .reached = log_position(4)}));
  for (const std::uint64_t late : {4U, 1U}) {
    const std::vector<storage::record_view> one{record(late)};
    ASSERT_TRUE(
      view.apply({.records = one, .reached = log_position(4), .revived = log_position(late)}));
  }
  expect_as_plain(0, minute);
}

TEST_F(trading_bars_test, a_volume_beyond_64_bits_is_an_error_of_its_event) {
  for (int i = 0; i < 2; ++i)
    trade({.quantity = std::int64_t{1} << 62U});
  const auto done = projections::replay(*log, view);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::handler_failed) << done.error().message();
  EXPECT_NE(done.error().message().find("position 2"), std::string::npos);
}

} // namespace
} // namespace acta::tests
