// Views that are built anew while they are read.
#include "sums.hpp"

#include <acta/projections/served_view.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;

/// Adds up what was put into wallets, times a factor, which tells the views apart.
struct scaled {
  static constexpr std::string_view name = "scaled";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;

  void on(const added& event, const storage::record_view& record) {
    if (record.position() == fails_at)
      throw std::runtime_error("told to fail");
    if (go_on != nullptr)
      go_on->wait();
    sum += factor * event.amount();
  }

  std::int64_t factor = 1;
  log_position fails_at{};
  std::int64_t sum = 0;
  std::shared_ptr<std::latch> go_on{};
};
using scaled_view = projections::memory_view<scaled>;

class served_view_test : public testing::Test {
protected:
  void SetUp() override {
    auto opened = runtime::engine::open<wallet>(storage::make_memory_log());
    ASSERT_TRUE(opened);
    engine = std::move(*opened);
    ASSERT_TRUE(served.start(*engine, std::make_shared<scaled_view>()));
  }
  log_position put(std::int64_t amount) {
    return engine->ask<wallet>(static_cast<std::uint64_t>(amount % 7), put_in{amount})->position;
  }

  std::unique_ptr<runtime::engine> engine;
  projections::served_view<scaled_view> served;
};

TEST_F(served_view_test, is_replaced_in_one_step_while_readers_and_writers_go_on) {
  for (int i = 0; i < 5'000; ++i)
    put(1);
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> reads{0};
  std::jthread writer([&] {
    while (!done.load(std::memory_order_relaxed))
      put(1);
  });
  std::jthread reader([&] {
    std::int64_t newest = 0;
    bool is_new = false;
    while (!done.load(std::memory_order_relaxed)) {
      const auto [factor, sum] =
        served.read([](const scaled& now) { return std::pair(now.factor, now.sum); });
      EXPECT_FALSE(is_new && factor == 1) << "the old one answered after the new one had";
      is_new = is_new || factor == 10;
      EXPECT_GE(sum / factor, newest) << "it went back";
      newest = sum / factor;
      reads.fetch_add(1, std::memory_order_relaxed);
    }
    EXPECT_TRUE(is_new);
  });
  std::jthread waiting([&] {
    while (!done.load(std::memory_order_relaxed)) {
      const auto at = put(1);
      const auto sum = served.read(at, 20s, [](const scaled& now) { return now.sum / now.factor; });
      ASSERT_TRUE(sum) << sum.error().message();
      EXPECT_GE(*sum, static_cast<std::int64_t>(at.value()));
    }
  });
  while (reads.load(std::memory_order_relaxed) < 100)
    std::this_thread::yield();
  const auto rebuilt = served.rebuild(*engine, std::make_shared<scaled_view>(scaled{.factor = 10}));
  EXPECT_TRUE(rebuilt) << rebuilt.error().message();
  const auto after = reads.load(std::memory_order_relaxed);
  while (reads.load(std::memory_order_relaxed) < after + 100)
    std::this_thread::yield();
  done.store(true, std::memory_order_relaxed);
}

TEST_F(served_view_test, stays_as_it_was_where_the_new_one_cannot_be_built) {
  const auto last = [&] {
    log_position at;
    for (int i = 1; i <= 10; ++i)
      at = put(1);
    return at;
  }();
  const auto failed = served.rebuild(
    *engine, std::make_shared<scaled_view>(scaled{.factor = 10, .fails_at = log_position(5)}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), errc::handler_failed);
  EXPECT_EQ(served.read(last, 10s, [](const scaled& now) { return now.sum; }), 10);
  const auto further = put(5);
  EXPECT_EQ(served.read(further, 10s, [](const scaled& now) { return now.sum; }), 15);
}

TEST_F(served_view_test, is_read_with_all_the_time_there_is) {
  const auto at = put(1);
  const auto sum =
    served.read(at, std::chrono::nanoseconds::max(), [](const scaled& now) { return now.sum; });
  ASSERT_TRUE(sum) << sum.error().message();
  EXPECT_EQ(*sum, 1);
}

TEST_F(served_view_test, is_not_rebuilt_by_a_projector_that_waits) {
  const auto never = served.rebuild(*engine, std::make_shared<scaled_view>(scaled{.factor = 10}),
                                    {.projector = {.paused = true}});
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code(), errc::invalid_argument);
  EXPECT_TRUE(never.error().message().contains("paused")) << never.error().message();
}

TEST_F(served_view_test, tells_how_far_it_is) {
  for (int i = 0; i < 100; ++i)
    put(1);
  std::vector<projections::rebuild_progress> seen;
  const auto told = std::make_shared<std::latch>(1);
  const auto rebuilt =
    served.rebuild(*engine, std::make_shared<scaled_view>(scaled{.factor = 10, .go_on = told}),
                   {.progress =
                      [&](const auto& now) {
                        if (seen.empty())
                          told->count_down();
                        seen.push_back(now);
                      },
                    .progress_every = 1ms});
  ASSERT_TRUE(rebuilt);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front().position, log_position(0));
  EXPECT_EQ(seen.front().tail, log_position(100));
  EXPECT_EQ(served.read([](const scaled& now) { return now.sum; }), 1'000);
}

} // namespace
} // namespace acta::tests
