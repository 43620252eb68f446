#include "../support/any_log.hpp"
#include "../support/cart_fixture.hpp"
#include "../support/subscription_fixture.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using projections::pull_subscription;

/// Of streams whose history is long, or lies far apart.
class subscription_history_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    shared_ = std::move(log);
    auto opened = runtime::engine::open<counter>(std::make_unique<storage::forwarding_log>(shared_),
                                                 {.snapshot_every = 1'000'000});
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
  }
  void add(std::uint64_t key, int times = 1) {
    ASSERT_TRUE(engine_->ask<counter>(key, tests::add{.times = times}));
  }
  /// From these positions, in batches of several sizes: what there is, and what follows.
  void check(std::uint64_t key, const std::vector<std::uint64_t>& begins) {
    const projections::event_filter filter{.stream = engine_->stream<counter>(key)};
    for (const auto after : begins)
      for (const std::size_t buffer : {1U, 2U, 256U, 100'000U}) {
        const auto made = pull_subscription::open(
          *engine_, {.filter = filter, .after = log_position(after), .buffer = buffer});
        ASSERT_TRUE(made) << made.error().message();
        positions_seen seen;
        take_all(**made, seen);
        EXPECT_EQ((*made)->position(), shared_->tail());
        add(key);
        add(99);
        take_all(**made, seen);
        EXPECT_EQ(seen, expected(*shared_, filter, log_position(after)))
          << "after " << after << " by " << buffer;
      }
  }

  std::shared_ptr<storage::event_log> shared_;
  std::unique_ptr<runtime::engine> engine_;

private:
  static void take_all(pull_subscription& from, positions_seen& seen) {
    for (auto some = from.next(0ns);; some = from.next(0ns)) {
      ASSERT_TRUE(some) << some.error().message();
      if (some->empty())
        return;
      const auto got = positions_of(*some);
      seen.insert(seen.end(), got.begin(), got.end());
    }
  }
};

constexpr int many = static_cast<int>(limits::subscription_history) / 2 + 1;

TEST_P(subscription_history_test, of_a_short_stream_in_a_long_log_is_seen_whole) {
  add(2, many);
  add(1, 2);
  add(2, many);
  add(1);
  add(2, many);
  check(1, {0, many + 1, many + 2, many + many + 3, many + many + 5});
}

TEST_P(subscription_history_test, of_a_long_stream_is_seen_whole) {
  for (int i = 0; i < 3; ++i) {
    add(1, many);
    add(2);
  }
  check(1, {0, many, many + 1, 3 * many});
}

TEST_P(subscription_history_test, that_was_truncated_is_seen_as_long_as_it_is_in_the_log) {
  add(1, 3);
  add(2, 2 * many);
  add(1, 2);
  ASSERT_TRUE(engine_->truncate<counter>(1));
  add(1);
  check(1, {0, 2, 3, 4});
  ASSERT_TRUE(engine_->remove<counter>(1));
  check(1, {0, 4});
}

INSTANTIATE_TEST_SUITE_P(logs, subscription_history_test, any_log, name_of_log);

/// How often records were asked for.
struct looks {
  int at = 0;
  int scans = 0;
};

class watched_snapshot final : public storage::log_snapshot {
public:
  watched_snapshot(std::unique_ptr<storage::log_snapshot> of, looks& counted)
      : of_(std::move(of)), looks_(counted) {}
  log_position first() const noexcept override { return of_->first(); }
  log_position tail() const noexcept override { return of_->tail(); }
  result<void> refresh() override { return of_->refresh(); }
  result<storage::record_view> at(log_position position) const& override {
    ++looks_.at;
    return of_->at(position);
  }
  result<std::unique_ptr<storage::log_cursor>>
  scan(log_position from, const storage::scan_options& options) const& override {
    ++looks_.scans;
    return of_->scan(from, options);
  }

private:
  std::unique_ptr<storage::log_snapshot> of_;
  looks& looks_;
};

class watched_log final : public storage::forwarding_log {
public:
  watched_log(std::shared_ptr<storage::event_log> to, looks& counted)
      : forwarding_log(std::move(to)), looks_(counted) {}
  result<std::unique_ptr<storage::log_snapshot>> snapshot() const override {
    auto made = forwarding_log::snapshot();
    if (!made)
      return made;
    return std::make_unique<watched_snapshot>(std::move(*made), looks_);
  }

private:
  looks& looks_;
};

TEST(subscription_to_a_short_stream, looks_at_nothing_else_of_a_long_log) {
  looks counted;
  auto engine = runtime::engine::open<counter>(
    std::make_unique<watched_log>(storage::make_memory_log(), counted), {.deterministic_seed = 1});
  ASSERT_TRUE(engine) << engine.error().message();
  const auto add = [&](std::uint64_t key, int times) {
    ASSERT_TRUE((*engine)->ask<counter>(key, tests::add{.times = times}));
  };
  add(2, many);
  add(1, 3);
  add(2, many);
  const auto made = pull_subscription::open(
    **engine, {.filter = {.stream = (*engine)->stream<counter>(1)}, .after = log_position(0)});
  ASSERT_TRUE(made) << made.error().message();
  (*engine)->run_until_idle();
  counted = {};
  EXPECT_EQ((*made)->next(0ns)->records().size(), 3);
  EXPECT_EQ((*made)->position(), log_position(many + 3 + many));
  EXPECT_EQ(counted.at, 3);
  EXPECT_EQ(counted.scans, 0);
}

} // namespace
} // namespace acta::tests

namespace acta::tests::cart {
namespace {

using namespace std::chrono_literals;

class subscription_upcasting_test : public cart_fixture {};

TEST_P(subscription_upcasting_test, subscribers_get_events_as_they_are_now) {
  write_added(1, 2);
  write_noted();
  write_put(3);
  const auto engine = open();
  ASSERT_TRUE(engine) << engine.error().message();
  const auto all = projections::pull_subscription::open(**engine, {.after = log_position(0)});
  const auto puts = projections::pull_subscription::open(
    **engine,
    {.filter = {.event_types = {put::GetFullyQualifiedName()}}, .after = log_position(0)});
  const auto old = projections::pull_subscription::open(
    **engine,
    {.filter = {.event_types = {added::GetFullyQualifiedName()}}, .after = log_position(0)});
  for (const auto* one : {&*all, &*puts}) {
    const auto got = (*one)->next(0ns);
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_EQ(positions_of(*got), (positions_seen{1, 3})) << "without what upcasters drop";
    const auto* first = domain::verified<put>(got->records()[0].payload());
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->pieces(), 24);
    EXPECT_EQ(got->reached(), log_position(3));
  }
  EXPECT_TRUE((*old)->next(0ns)->empty()) << "as they were called nobody gets them";
  EXPECT_EQ((*old)->position(), log_position(3));
}

TEST_P(subscription_upcasting_test, an_upcaster_that_fails_ends_it) {
  write_put(1);
  write_added(1, 2);
  const auto engine =
    open({{.from_type = added::GetFullyQualifiedName(),
           .to_type = put::GetFullyQualifiedName(),
           .convert = [](auto, auto&) { return domain::upcast_outcome::malformed; }}});
  const auto all =
    projections::pull_subscription::open(**engine, {.after = log_position(0), .buffer = 1});
  EXPECT_EQ(positions_of(*(*all)->next(0ns)), (positions_seen{1}));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ((*all)->next(0ns).error().code(), errc::corrupt);
  EXPECT_EQ((*all)->position(), log_position(1));
}

TEST_P(subscription_upcasting_test, large_events_come_in_smaller_batches) {
  const std::string text(limits::max_buffer_size / 5, 'x');
  for (int i = 0; i < 8; ++i)
    write(put::GetFullyQualifiedName(), 1,
          payload_of([&](auto& b) { return CreateputDirect(b, 1, text.c_str()); }));
  const auto engine = open();
  const auto all = projections::pull_subscription::open(**engine, {.after = log_position(0)});
  EXPECT_EQ(positions_of(*(*all)->next(0ns)), (positions_seen{1, 2, 3, 4, 5}));
  EXPECT_EQ(positions_of(*(*all)->next(0ns)), (positions_seen{6, 7, 8}));
}

INSTANTIATE_TEST_SUITE_P(logs, subscription_upcasting_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests::cart
