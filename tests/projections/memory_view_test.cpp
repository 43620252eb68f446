// Readers of a view in memory, on threads of their own.
#include <acta/projections/left_right.hpp>
#include <acta/projections/memory_view.hpp>

#include "sums.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;

TEST(left_right, shows_readers_whole_values_that_never_go_back) {
  projections::left_right<std::vector<std::uint64_t>> held(std::vector<std::uint64_t>(64, 0));
  std::atomic<bool> done{false};
  std::atomic<int> reading{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&, i] {
      std::uint64_t newest = 0;
      while (!done.load(std::memory_order_relaxed)) {
        held.read([&](const auto& now) {
          for (const auto one : now)
            ASSERT_EQ(one, now.front()) << "changed while it was read";
          ASSERT_GE(now.front(), newest) << "went back";
          newest = now.front();
        });
        reading.fetch_or(1 << i, std::memory_order_relaxed);
      }
    });
  while (reading.load(std::memory_order_relaxed) != 3)
    std::this_thread::yield();
  for (std::uint64_t value = 1; value <= 2'000; ++value) {
    for (auto& one : held.spare())
      one = value;
    held.publish();
    for (auto& one : held.spare())
      one = value;
  }
  done.store(true, std::memory_order_relaxed);
  readers.clear();
  EXPECT_EQ(held.published().back(), 2'000U);
}

class memory_view_test : public projection_fixture {};

TEST_F(memory_view_test, is_as_it_was_where_a_step_fails) {
  put(1, 6);
  told->left[5] = 1;
  ASSERT_TRUE(view.attach(engine->log()));
  const auto snapshot = engine->log().snapshot().value();
  std::vector<storage::record_view> records;
  for (std::uint64_t position = 1; position <= 6; ++position)
    records.push_back(snapshot->at(log_position(position)).value());
  const auto done = view.apply({.records = records, .reached = log_position(6)});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().at, 4U);
  EXPECT_EQ(text(), "") << "nothing of it";
  ASSERT_TRUE(view.apply({.records = records, .reached = log_position(6)}));
  EXPECT_EQ(text(), "1 2 3 4 5 6 ");
}

/// Far behind it handles each event once and shows it some time later: what readers see is always
/// what some step left, and what fails takes back only what nobody saw.
TEST_F(memory_view_test, shows_later_what_it_did_where_much_is_left) {
  put(1, 3);
  ASSERT_TRUE(view.attach(engine->log()));
  const auto snapshot = engine->log().snapshot().value();
  const std::vector one{snapshot->at(log_position(1)).value()};
  const auto step = [&](std::uint64_t left) {
    return view.apply({.records = one, .reached = log_position(1), .left = left}).has_value();
  };
  std::size_t shown = 0;
  const auto run_ahead = [&] { // it is shown where this takes limits::view_show_every
    do {
      ASSERT_TRUE(step(1'000'000));
      ++shown;
    } while (view.is_shown());
    --shown;
  };
  run_ahead();
  EXPECT_EQ(text().size(), 2 * shown) << "the last is not there yet";
  ASSERT_TRUE(step(0));
  shown += 2;
  EXPECT_TRUE(view.is_shown());
  EXPECT_EQ(text().size(), 2 * shown) << "with the next that is, it is";
  ASSERT_TRUE(step(0));
  ++shown;
  EXPECT_EQ(text().size(), 2 * shown) << "the other copy was made as the first";

  run_ahead();
  told->left[1] = 1;
  EXPECT_FALSE(step(1'000'000));
  EXPECT_TRUE(view.is_shown());
  ASSERT_TRUE(step(0));
  ++shown;
  EXPECT_EQ(text().size(), 2 * shown) << "what was not shown is taken back with what failed";

  run_ahead();
  ASSERT_TRUE(view.attach(engine->log())) << "another projector begins where readers are";
  ASSERT_TRUE(step(0));
  EXPECT_EQ(text().size(), 2 * (shown + 1));
}

TEST_F(memory_view_test, is_refused_beside_a_log_that_is_shorter) {
  put(1, 3);
  start();
  projector.reset();
  auto other = runtime::engine::open<wallet>(storage::make_memory_log(), {.deterministic_seed = 1});
  ASSERT_TRUE(other) << other.error().message();
  const auto started = projections::projector::start(**other, view);
  ASSERT_FALSE(started) << "it would pass over the first events of that log";
  EXPECT_EQ(started.error().code(), errc::corrupt);
  EXPECT_TRUE(started.error().message().contains("'sums'")) << started.error().message();
  EXPECT_EQ(text(), "1 2 3 ");
}

/// Fails at the second call.
struct failing_once {
  static constexpr std::string_view name = "failing";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;
  void on(const added& event, const storage::record_view&) {
    if (++*calls == 2)
      throw std::runtime_error("the second time");
    sum += event.amount();
  }
  std::shared_ptr<int> calls = std::make_shared<int>(0);
  std::int64_t sum = 0;
};

/// The second copy, too: it fails there after it went well with the first.
TEST_F(memory_view_test, mends_a_copy_whose_handler_failed_the_second_time) {
  projections::memory_view<failing_once> one;
  put(1, 3);
  const auto fed = projections::projector::start(*engine, one, {.batch = 1});
  ASSERT_TRUE(fed);
  run();
  EXPECT_EQ(one.read([](const auto& now) { return now.sum; }), 6);
  put(4, 4);
  run();
  EXPECT_EQ(one.read([](const auto& now) { return now.sum; }), 10);
  put(5, 5);
  run();
  EXPECT_EQ(one.read([](const auto& now) { return now.sum; }), 15);
}

/// Copying it fails when so many copies were made.
struct hard_to_copy {
  static constexpr std::string_view name = "hard_to_copy";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;
  hard_to_copy() = default;
  hard_to_copy(const hard_to_copy& from) : sum(from.sum), left(from.left) { count(); }
  hard_to_copy& operator=(const hard_to_copy& from) {
    sum = from.sum;
    count();
    return *this;
  }
  ~hard_to_copy() = default;
  void on(const added& event, const storage::record_view&) { sum += event.amount(); }
  void count() const {
    if (--*left == 0)
      throw std::bad_alloc();
  }
  std::int64_t sum = 0;
  std::shared_ptr<int> left = std::make_shared<int>(0);
};

TEST_F(memory_view_test, goes_on_from_what_it_shows_where_it_could_not_be_emptied) {
  put(1, 7);
  const auto snapshot = engine->log().snapshot().value();
  bool was_emptied = false;
  for (int copies = 1; !was_emptied; ++copies) {
    const hard_to_copy first;
    projections::memory_view<hard_to_copy> one(first);
    ASSERT_TRUE(one.attach(engine->log()));
    const auto apply = [&](std::uint64_t position) {
      const auto record = snapshot->at(log_position(position)).value();
      ASSERT_TRUE(one.apply({.records = {&record, 1}, .reached = log_position(position)}));
    };
    const auto sum = [&] { return one.read([](const auto& now) { return now.sum; }); };
    apply(5);
    *first.left = copies;
    try {
      was_emptied = one.clear().has_value();
    } catch (const std::bad_alloc&) {
    }
    *first.left = 0;
    const auto shown = sum();
    EXPECT_TRUE(shown == 0 || shown == 5);
    apply(6);
    EXPECT_EQ(sum(), shown + 6) << copies;
    apply(7);
    EXPECT_EQ(sum(), shown + 6 + 7) << copies;
  }
}

TEST_F(memory_view_test, reads_ones_own_writes_or_says_how_far_it_is) {
  put(1, 2);
  start();
  const auto seen = view.read(log_position(2), 1s, [](const sums& now) { return now.text; });
  ASSERT_TRUE(seen);
  EXPECT_EQ(*seen, "1 2 ");
  const auto late = view.read(log_position(5), 1ms, [](const sums& now) { return now.text; });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), errc::timed_out);
  EXPECT_TRUE(late.error().message().contains("at 2, 3 behind")) << late.error().message();
}

TEST(memory_view_threads, readers_see_what_a_prefix_of_the_log_adds_up_to) {
  auto engine = runtime::engine::open<wallet>(storage::make_memory_log());
  ASSERT_TRUE(engine);
  projections::memory_view<sums> view;
  auto following = projections::projector::start(**engine, view);
  ASSERT_TRUE(following);
  std::atomic<bool> done{false};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      std::size_t newest = 0;
      while (!done.load(std::memory_order_relaxed)) {
        const auto [events, wallets] = view.read([](const sums& now) {
          std::size_t count = 0;
          for (const auto& [key, amounts] : now.by_wallet)
            count += amounts.size();
          const auto in_text = std::ranges::count(now.text, ' ');
          EXPECT_EQ(static_cast<std::size_t>(in_text), count) << "half an event";
          return std::pair(count, now.by_wallet.size());
        });
        ASSERT_GE(events, newest);
        ASSERT_LE(wallets, 5U);
        newest = events;
      }
    });
  log_position last;
  for (std::int64_t n = 0; n < 2'000; ++n)
    last = (*engine)->ask<wallet>(static_cast<std::uint64_t>(n % 5), put_in{1})->position;
  EXPECT_TRUE((*following)->wait_for(last, 20s));
  done.store(true, std::memory_order_relaxed);
  readers.clear();
  EXPECT_EQ(view.read([](const sums& now) { return now.by_wallet.at(4).size(); }), 400U);
}

} // namespace
} // namespace acta::tests
