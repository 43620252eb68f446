#include "../support/scratch_directory.hpp"
#include "../support/spawn.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>

#include <caf/all.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;
using runtime::engine;
using runtime::outcome;

[[nodiscard]] replace order_of(std::int64_t quantity) {
  return {.instrument = 1, .side = side::buy, .price = 5, .quantity = quantity};
}

/// Notes in which pieces records come to it.
class noting final : public projections::projection {
public:
  std::string_view name() const noexcept override { return "noting"; }
  std::uint32_t version() const noexcept override { return 1; }
  result<storage::scan_options> attach(const storage::event_log&) override { return {}; }
  projections::step_result apply(const projections::view_step& step) override {
    pieces.push_back(step.reached.value());
    return {};
  }
  result<void> clear() override { return {}; }
  result<std::vector<projections::dead_letter>> dead_letters() const override { return {}; }
  std::vector<std::uint64_t> pieces;
};

/// Everything that can be seen of a run.
struct course {
  std::vector<std::string> records;
  std::vector<std::string> outcomes; ///< In the order they came.
  std::vector<std::uint64_t> pieces; ///< In which a projection got the records.
  bool operator==(const course&) const = default;
};

/// Over a log in memory, or on disk.
class deterministic_test : public testing::TestWithParam<storage::durability> {
protected:
  void SetUp() override { new_log(); }
  void new_log() {
    log.reset();
    if (GetParam() == storage::durability::memory) {
      log = storage::make_memory_log();
      return;
    }
    directory = std::make_unique<scratch_directory>();
    auto opened = storage::open_log(directory->path(), {.durability = GetParam()});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
  }
  std::unique_ptr<engine> open(std::uint64_t seed) {
    auto opened = engine::open<limit_order, instrument>(
      std::make_unique<storage::forwarding_log>(log), {.deterministic_seed = seed, .clock = &now});
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  course run(std::uint64_t seed) {
    new_log();
    course seen;
    noting view;
    auto e = open(seed);
    {
      const auto follows = projections::projector::start(*e, view);
      EXPECT_TRUE(follows);
      for (std::uint64_t i = 0; i < 60; ++i) {
        const auto order = i % 7;
        const auto id = command_id::of(order, i % 5); // some are repeats
        EXPECT_TRUE(e->tell<limit_order>(order, order_of(static_cast<std::int64_t>(i % 3)),
                                         [&seen, i](outcome&& how) {
                                           seen.outcomes.push_back(
                                             std::to_string(i) + ": "
                                             + (how ? std::to_string(how->position.value())
                                                        + (how->repeat ? " again" : "")
                                                    : how.error().message()));
                                         },
                                         {id}));
        e->run_one();
      }
      e->run_until_idle();
    }
    EXPECT_EQ(seen.outcomes.size(), 60U);
    const auto snapshot = log->snapshot();
    const auto cursor = (*snapshot)->scan(log_position(1));
    for (auto some = (*cursor)->next(); some && !some->empty(); some = (*cursor)->next())
      for (const auto& record : *some)
        seen.records.emplace_back(reinterpret_cast<const char*>(record.bytes().data()),
                                  record.bytes().size());
    seen.pieces = std::move(view.pieces);
    return seen;
  }

  manual_clock now{5'000};
  std::unique_ptr<scratch_directory> directory;
  std::shared_ptr<storage::event_log> log;
};

TEST_P(deterministic_test, takes_the_same_course_with_the_same_seed_and_others_with_others) {
  std::set<std::vector<std::string>> orders;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto first = run(seed);
    const auto again = run(seed);
    ASSERT_FALSE(first.records.empty());
    ASSERT_FALSE(first.pieces.empty());
    ASSERT_EQ(first.records, again.records);
    ASSERT_EQ(first.outcomes, again.outcomes);
    ASSERT_EQ(first.pieces, again.pieces);
    orders.insert(first.outcomes);
  }
  EXPECT_GE(orders.size(), 9U) << "that three of ten are the same is less than likely";
}

TEST_P(deterministic_test, does_nothing_that_it_is_not_told_to) {
  auto e = open(1);
  bool answered = false;
  ASSERT_TRUE(e->tell<limit_order>(7, order_of(1), [&](outcome&& how) {
    EXPECT_TRUE(how);
    answered = true;
  }));
  EXPECT_FALSE(answered);
  while (log->tail() == log_position(0)) {
    ASSERT_FALSE(answered) << "before its event is in the log"; // I1
    ASSERT_TRUE(e->run_one());
  }
  e->run_until_idle();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(e->run_one());
}

TEST_P(deterministic_test, takes_its_steps_where_a_caller_waits) {
  auto e = open(2);
  const auto id = command_id::of(1, 1);
  const auto first = e->ask<limit_order>(7, order_of(1), {id});
  ASSERT_TRUE(first);
  const auto again = e->ask<limit_order>(7, order_of(1), {id}); // the housekeeper's answer
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->repeat);
  const auto snapshot = e->log().snapshot();
  EXPECT_EQ(e->read(e->stream<limit_order>(7), **snapshot)->records.size(), 1U);
  ASSERT_TRUE(e->remove<limit_order>(7));
  bool answered = false;
  ASSERT_TRUE(e->tell<limit_order>(8, order_of(1), [&](outcome&&) { answered = true; }));
  e->stop();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(e->ask<limit_order>(8, order_of(1)));
}

TEST_P(deterministic_test, runs_other_actors_in_its_steps_too) {
  auto e = open(3);
  std::vector<int> got;
  auto adder = spawn(*e, [](caf::event_based_actor* self) -> caf::behavior {
    return {[self](int value) {
      if (value == 0)
        self->quit();
      return value + 1;
    }};
  });
  spawn(*e, [&](caf::event_based_actor* self) {
    self->request(adder, caf::infinite, 1).then([&, self](int value) {
      got.push_back(value);
      self->send(adder, 0);
    });
  });
  EXPECT_TRUE(got.empty());
  e->run_until_idle();
  EXPECT_EQ(got, std::vector{2});
}

INSTANTIATE_TEST_SUITE_P(logs, deterministic_test,
                         testing::Values(storage::durability::memory, storage::durability::process),
                         [](const auto& param) { return std::string(storage::name(param.param)); });

TEST(deterministic_engine_test, has_no_thread) {
  const auto threads = [] {
    const std::filesystem::directory_iterator all("/proc/self/task");
    return std::distance(begin(all), end(all));
  };
  const auto before = threads();
  auto e = engine::open<limit_order>(storage::make_memory_log(), {.deterministic_seed = 1});
  ASSERT_TRUE(e);
  ASSERT_TRUE((*e)->ask<limit_order>(1, order_of(1)));
  EXPECT_EQ(threads(), before);
}

TEST(deterministic_engine_test, an_engine_with_threads_takes_no_steps) {
  auto e = engine::open<limit_order>(storage::make_memory_log());
  ASSERT_TRUE(e);
  EXPECT_FALSE((*e)->run_one());
  EXPECT_EQ((*e)->run_until_idle(), 0U);
}

} // namespace
} // namespace acta::tests
