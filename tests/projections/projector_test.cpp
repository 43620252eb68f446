#include "../support/scratch_directory.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/archive.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using namespace domain::trading;
using projections::projector;
using runtime::engine;

/// Checks that each position comes once and in order, and can fail or wait at one.
class counting final : public projections::projection {
public:
  std::string_view name() const noexcept override { return "counting"; }
  std::uint32_t version() const noexcept override { return 1; }
  result<storage::scan_options> attach(const storage::event_log&) override { return {}; }
  projections::step_result apply(const projections::view_step& step) override {
    auto seen = last;
    for (std::size_t i = 0; i < step.records.size(); ++i) {
      const auto position = step.records[i].position();
      EXPECT_EQ(position, seen.next());
      if (position == fails_at)
        return std::unexpected(
          projections::failed_step{error(errc::io, "counting: told to fail"), i});
      if (position == waits_at)
        go_on.wait();
      seen = position;
    }
    last = seen;
    return {};
  }
  result<void> clear() override {
    last = {};
    return {};
  }
  result<std::vector<projections::dead_letter>> dead_letters() const override { return {}; }

  log_position last;
  std::optional<log_position> fails_at;
  std::optional<log_position> waits_at;
  std::latch go_on{1};
};

class projector_test : public testing::Test {
protected:
  void SetUp() override { reopen(); }
  void reopen() {
    engine_.reset();
    auto opened = engine::open<limit_order>(std::make_unique<storage::forwarding_log>(log_));
    ASSERT_TRUE(opened.has_value());
    engine_ = std::move(*opened);
  }
  log_position submit_orders(std::uint64_t first, std::uint64_t last) {
    for (auto id = first; id < last; ++id)
      EXPECT_TRUE(engine_->tell<limit_order>(id, order_, [](runtime::outcome&&) {}).has_value());
    return engine_->ask<limit_order>(last, order_)->position;
  }

  submit order_{.instrument = 1, .side = side::buy, .price = 5, .quantity = 1};
  std::shared_ptr<storage::event_log> log_ = storage::make_memory_log();
  std::unique_ptr<engine> engine_;
};

TEST_F(projector_test, shows_a_command_once_its_receipts_position_is_reached) { // G144
  counting view;
  auto running = projector::start(*engine_, view);
  ASSERT_TRUE(running.has_value());
  for (std::uint64_t id = 1; id <= 100; ++id) {
    const auto receipt = engine_->ask<limit_order>(id, order_);
    ASSERT_TRUE(receipt.has_value());
    ASSERT_TRUE((*running)->wait_for(receipt->position, 10s).has_value());
    EXPECT_GE((*running)->position(), receipt->position);
  }
}

TEST_F(projector_test, catches_up_with_a_log_that_was_there_before_and_follows_on) {
  const auto before = submit_orders(1, 20'000);
  reopen();
  counting view;
  auto running = projector::start(*engine_, view);
  ASSERT_TRUE(running.has_value());
  ASSERT_TRUE((*running)->wait_for(before, 10s).has_value());
  const auto after = submit_orders(20'001, 30'000);
  ASSERT_TRUE((*running)->wait_for(after, 10s).has_value());
  running->reset();
  EXPECT_EQ(view.last, log_position(30'000));
}

TEST_F(projector_test, says_how_far_behind_it_is_while_a_step_hangs) {
  counting view;
  view.waits_at = log_position(2);
  auto running = projector::start(*engine_, view, {.batch = 1});
  ASSERT_TRUE(running.has_value());
  submit_orders(1, 3);
  ASSERT_TRUE((*running)->wait_for(log_position(1), 10s).has_value());
  const auto lag = (*running)->lag();
  view.go_on.count_down();
  ASSERT_TRUE(lag.has_value());
  EXPECT_EQ(lag->events, 2U);
}

TEST_F(projector_test, says_how_far_behind_it_is_when_the_time_is_over) { // G144
  counting view;
  view.waits_at = log_position(2);
  auto running = projector::start(*engine_, view);
  const auto wanted = submit_orders(1, 3);
  const auto late = (*running)->wait_for(wanted, 20ms);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code(), errc::timed_out);
  EXPECT_NE(late.error().message().find("position 3"), std::string::npos);
  view.go_on.count_down();
  EXPECT_TRUE((*running)->wait_for(wanted, 10s).has_value());
}

TEST_F(projector_test, does_not_hold_the_write_side_back_when_it_is_slow) {
  counting view;
  view.waits_at = log_position(1);
  auto running = projector::start(*engine_, view);
  EXPECT_EQ(submit_orders(1, 5'000), log_position(5'000));
  EXPECT_EQ((*running)->position(), log_position(0));
  view.go_on.count_down();
  EXPECT_TRUE((*running)->wait_for(log_position(5'000), 10s).has_value());
}

TEST_F(projector_test, stops_at_the_first_error_and_tells_who_waits) {
  counting view;
  view.fails_at = log_position(3);
  auto running = projector::start(*engine_, view);
  const auto wanted = submit_orders(1, 10);
  const auto failed = (*running)->wait_for(wanted, 10s);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), errc::io);
  ASSERT_FALSE((*running)->status().has_value());
  const auto why = (*running)->status().error().message();
  EXPECT_TRUE(why.contains("'counting' stopped before position 3: counting: told to fail")) << why;
  EXPECT_TRUE(engine_->ask<limit_order>(99, order_).has_value()) << "the write side never notices";
}

/// Throws at the third event.
struct throwing {
  static constexpr std::string_view name = "throwing";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<order_submitted>;

  void on(const order_submitted&, const storage::record_view& record) const {
    if (record.position() == log_position(3))
      throw std::runtime_error("told to throw");
  }
};

TEST_F(projector_test, stops_at_an_exception_as_at_an_error) {
  projections::memory_view<throwing> view;
  auto running = projector::start(*engine_, view);
  const auto failed = (*running)->wait_for(submit_orders(1, 10), 10s);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), errc::handler_failed);
  EXPECT_NE(failed.error().message().find("'throwing' threw: told to throw"), std::string::npos)
    << failed.error().message();
  projections::memory_view<throwing> replayed;
  const auto reached = projections::replay(*log_, replayed);
  ASSERT_FALSE(reached.has_value());
  EXPECT_EQ(reached.error().code(), errc::handler_failed);
}

/// Fails once its projector is about to end.
struct failing_late {
  static constexpr std::string_view name = "failing_late";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<order_submitted>;
  struct moments {
    std::atomic<bool> inside{false};
    std::atomic<bool> ending{false};
  };

  void on(const order_submitted&, const storage::record_view&) const {
    at->inside = true;
    at->inside.notify_one();
    at->ending.wait(false);
    std::this_thread::sleep_for(2ms); // nobody is told when its end has begun; tsan sees the rest
    throw std::runtime_error("told to throw");
  }

  std::shared_ptr<moments> at = std::make_shared<moments>();
};

TEST_F(projector_test, may_end_while_an_event_fails_that_is_to_be_tried_again) {
  submit_orders(1, 5);
  const failing_late model;
  projections::memory_view<failing_late> view(model);
  auto running = projector::start(*engine_, view, {.retries = 1'000, .pause = 1ns});
  ASSERT_TRUE(running.has_value());
  model.at->inside.wait(false);
  model.at->ending = true;
  model.at->ending.notify_one();
  running->reset();
  std::this_thread::sleep_for(2ms); // what would be sent to it then is sent by CAF's clock
  EXPECT_TRUE(engine_->ask<limit_order>(99, order_).has_value());
}

TEST_F(projector_test, refuses_orders_whose_keys_are_no_integers) {
  const auto text = stream_id::from_text(engine_->category<limit_order>(), "alice");
  ASSERT_TRUE(engine_->ask<limit_order>(*text, order_).has_value());
  projections::memory_view<projections::order_book> book;
  const auto reached = projections::replay(*log_, book);
  ASSERT_FALSE(reached.has_value());
  EXPECT_NE(reached.error().message().find("integer keys"), std::string::npos);
}

TEST_F(projector_test, replays_a_log_without_an_engine) {
  submit_orders(1, 1'000);
  counting view;
  const auto reached = projections::replay(*log_, view);
  ASSERT_TRUE(reached.has_value());
  EXPECT_EQ(*reached, log_position(1'000));
  EXPECT_EQ(view.last, log_position(1'000));
}

TEST(projections_of_an_archived_log, are_told_of_the_events_that_they_would_miss) {
  const scratch_directory directory;
  const auto path = directory.path() / "store";
  {
    auto opened = engine::open<limit_order>(storage::open_log(path).value());
    ASSERT_TRUE(opened) << opened.error().message();
    const submit order{.instrument = 1, .side = side::buy, .price = 5, .quantity = 1};
    for (std::uint64_t id = 1; id <= 4; ++id)
      ASSERT_TRUE((*opened)->ask<limit_order>(id, order));
    for (std::uint64_t id = 1; id <= 2; ++id)
      ASSERT_TRUE((*opened)->remove<limit_order>(id));
  }
  ASSERT_TRUE(storage::archive(path, log_position(3), directory.path() / "archive"));
  auto opened = engine::open<limit_order>(storage::open_log(path).value());
  ASSERT_TRUE(opened) << opened.error().message();
  counting view;
  EXPECT_EQ(projections::replay((*opened)->log(), view).error().code(), errc::not_found);
  EXPECT_EQ(view.last, log_position(0));
  {
    const auto follower = projector::start(**opened, view);
    ASSERT_TRUE(follower);
    EXPECT_EQ((*follower)->wait_for(log_position(3), 10s).error().code(), errc::not_found);
  }
  view.last = log_position(2);
  const auto tail = projections::replay((*opened)->log(), view, log_position(0));
  ASSERT_TRUE(tail) << tail.error().message();
  EXPECT_EQ(view.last, *tail);
}

} // namespace
} // namespace acta::tests
