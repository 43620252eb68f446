#include "../support/log_doubles.hpp"
#include "../support/subscription_fixture.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/on_change.hpp>
#include <acta/projections/projector.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using projections::on_change;

struct total {
  static constexpr std::string_view name = "total";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;

  void on(const added& event, const storage::record_view&) { sum += event.amount(); }

  std::int64_t sum = 0;
};

/// Asks the view again whenever it is told.
class on_change_test : public subscription_fixture {
protected:
  void SetUp() override { start({.deterministic_seed = 3}); }
  void TearDown() override {
    projector_.reset();
    subscription_fixture::TearDown();
  }
  void start(const runtime::engine_options& options) {
    projector_.reset();
    open(options);
    auto started = projections::projector::start(*engine, view_);
    ASSERT_TRUE(started) << started.error().message();
    projector_ = std::move(*started);
  }
  [[nodiscard]] std::int64_t sum() const {
    return view_.read([](const total& now) { return now.sum; });
  }

  projections::memory_view<total> view_;
  std::unique_ptr<projections::projector> projector_;
};

TEST_F(on_change_test, asks_at_first_and_whenever_the_view_has_moved) {
  add(1, 2);
  engine->run_until_idle();
  std::vector<std::int64_t> sums;
  const auto live = on_change(*engine, view_, [&](log_position) { sums.push_back(sum()); });
  engine->run_until_idle();
  EXPECT_EQ(sums, (std::vector<std::int64_t>{2})) << "once, of what there is";
  engine->run_until_idle();
  EXPECT_EQ(sums.size(), 1) << "not where nothing has moved";
  add(1, 3);
  engine->run_until_idle();
  EXPECT_EQ(sums, (std::vector<std::int64_t>{2, 5}));
}

TEST_F(on_change_test, is_told_no_more_once_it_has_ended) {
  int calls = 0;
  {
    const auto live = on_change(*engine, view_, [&](log_position) { ++calls; });
    engine->run_until_idle();
  }
  EXPECT_EQ(calls, 1);
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(sum(), 1) << "the view goes on";
}

TEST_F(on_change_test, asks_again_when_the_view_has_stopped) {
  std::vector<bool> sound;
  const auto live = on_change(
    *engine, view_, [&](log_position) { sound.push_back(view_.progress().status().has_value()); });
  engine->run_until_idle();
  view_.progress().stop(error(errc::engine_stopped, "the view was replaced"));
  engine->run_until_idle();
  EXPECT_EQ(sound, (std::vector<bool>{true, false}));
}

TEST_F(on_change_test, ends_where_its_function_throws_and_hurts_nobody) { // I170
  int calls = 0;
  const auto bad = on_change(*engine, view_, [&](log_position) {
    ++calls;
    throw std::runtime_error("told to throw");
  });
  log_position last;
  const auto good = on_change(*engine, view_, [&](log_position at) { last = at; });
  add(1);
  engine->run_until_idle();
  add(1);
  engine->run_until_idle();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(last, log_position(2));
  EXPECT_TRUE(good->status());
  ASSERT_FALSE(bad->status());
  EXPECT_EQ(bad->status().error().code(), errc::handler_failed);
  EXPECT_NE(bad->status().error().message().find("view 'total'"), std::string::npos);
  EXPECT_TRUE(projector_->status());
}

TEST_F(on_change_test, tells_many_moves_at_once_and_holds_the_view_back_never) {
  start({});
  gate at;
  at.close();
  std::atomic<int> calls{0};
  std::atomic<std::int64_t> seen{0};
  const auto slow = on_change(*engine, view_, [&](log_position) {
    at.pass();
    ++calls;
    seen = sum();
  });
  at.wait_for_arrival(); // at the first call
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(projector_->wait_for(add(1), 10s)) << "while it stands at the gate";
  at.open();
  while (seen != 200)
    std::this_thread::yield();
  EXPECT_LE(calls, 2) << "two hundred moves in one";
}

} // namespace
} // namespace acta::tests
