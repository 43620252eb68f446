// What an engine knows of pending timers when a store is opened: from the checkpoint beside the
// log, or from the log alone.
#include "../support/alarm_fixture.hpp"

#include <acta/storage/archive.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/timer_checkpoint.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

/// Another aggregate with timers.
struct sleeper {
  static constexpr std::string_view category = "sleeper";
  struct state {};
  struct command {};
  using events = domain::event_list<added>;
  static domain::decision decide(const state&, const command&, domain::emitter<sleeper>&) {
    return domain::accept();
  }
  static domain::decision on_timer(const state&, timer_id, domain::emitter<sleeper>&) {
    return domain::accept();
  }
  static void evolve(state&, const added&) noexcept {}
};

class timer_checkpoint_test : public alarm_fixture {
protected:
  [[nodiscard]] fs::path file() const { return store() / "timers"; }
  [[nodiscard]] std::string bytes() const {
    std::ifstream in(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& all) const {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << all;
  }
  [[nodiscard]] result<std::optional<storage::timer_checkpoint>> loaded() const {
    const auto read = log->snapshot();
    return storage::load_timer_checkpoint(*log, **read);
  }
  /// Three alarms are set, and one is cancelled; the store is closed and opened again.
  void set_some() {
    open({.snapshot_every = 0});
    ASSERT_TRUE(set(1, bell::first, 2'000));
    ASSERT_TRUE(set(1, bell::second, 2'000));
    ASSERT_TRUE(set(1, bell::second, 0));
    ASSERT_TRUE(
      engine->ask<alarm>(*stream_id::from_text(engine->category<alarm>(), "a text as a key"),
                         set_bell{bell::third, 3'000}));
    ASSERT_TRUE(set(2, bell::first, 4'000));
    engine.reset();
    open_log();
  }
  /// By alarm.
  [[nodiscard]] rings sorted() const {
    auto all = rung();
    std::ranges::sort(all, {}, &ring::key);
    return all;
  }
  void expect_that_all_fire() {
    open({.snapshot_every = 0});
    run_to(9'000);
    EXPECT_EQ(sorted(), (rings{{0, 3, 9'000}, {1, 1, 9'000}, {2, 1, 9'000}}));
  }
  /// What verify_store() says of the store, which is closed for it.
  [[nodiscard]] std::vector<storage::finding> verified() {
    engine.reset();
    log.reset();
    auto done = storage::verify_store(store());
    open_log();
    EXPECT_TRUE(done) << done.error().message();
    return done ? std::move(done->findings) : std::vector<storage::finding>{};
  }
  void expect_one_finding(const std::string& part) {
    const auto found = verified();
    ASSERT_EQ(found.size(), 1U) << part;
    EXPECT_EQ(found.front().file, "timers");
    EXPECT_NE(found.front().what.find(part), std::string::npos) << found.front().what;
    EXPECT_NE(found.front().what.find("from the log"), std::string::npos) << "says the way out";
  }
  void expect_one_warning(const std::string& part) {
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings.front().find(part), std::string::npos) << warnings.front();
  }
};

TEST_P(timer_checkpoint_test, is_saved_when_an_engine_ends) {
  set_some();
  const auto saved = loaded();
  ASSERT_TRUE(saved) << saved.error().message();
  ASSERT_TRUE(*saved);
  EXPECT_EQ((*saved)->through, log_position(5));
  ASSERT_EQ((*saved)->pending.size(), 3U);
  for (const auto& one : (*saved)->pending)
    if (one.stream.kind() == key_kind::text) {
      EXPECT_EQ(one.id, bell::third);
      EXPECT_EQ(one.due_ns, 3'000);
      EXPECT_EQ(one.version, stream_version(1));
    }
  expect_that_all_fire();
  EXPECT_EQ(warnings, std::vector<std::string>{});
}

TEST_P(timer_checkpoint_test, is_what_an_engine_begins_with) {
  set_some();
  const auto read = log->snapshot();
  ASSERT_TRUE(
    storage::save_timer_checkpoint(*log, **read, {.through = log_position(5), .pending = {}}));
  open();
  run_to(9'000);
  EXPECT_EQ(rung(), rings{}) << "the log before it is not read";
}

TEST_P(timer_checkpoint_test, may_lag_behind_the_log) {
  set_some();
  const auto old = bytes();
  open();
  ASSERT_TRUE(set(1, bell::first, 0));
  ASSERT_TRUE(engine->remove<alarm>(2));
  ASSERT_TRUE(set(3, bell::first, 5'000));
  ASSERT_TRUE(set(4, bell::first, 5'000));
  ASSERT_TRUE(engine->truncate<alarm>(4));
  engine.reset();
  write(old);
  open_log();
  open();
  run_to(9'000);
  EXPECT_EQ(sorted(), (rings{{0, 3, 9'000}, {3, 1, 9'000}, {4, 1, 9'000}}));
}

TEST_P(timer_checkpoint_test, may_be_removed) {
  set_some();
  fs::remove(file());
  expect_that_all_fire();
  EXPECT_EQ(warnings, std::vector<std::string>{});
}

TEST_P(timer_checkpoint_test, is_not_used_where_a_byte_of_it_is_damaged) {
  set_some();
  const auto whole = bytes();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    write(damaged);
    const auto found = loaded();
    ASSERT_FALSE(found) << "byte " << i;
    ASSERT_TRUE(found.error().code() == errc::corrupt || found.error().code() == errc::newer_format)
      << found.error().message();
  }
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(whole.substr(0, size));
    const auto found = loaded();
    ASSERT_FALSE(found) << size << " bytes";
    ASSERT_EQ(found.error().code(), errc::corrupt);
  }
  expect_that_all_fire();
  expect_one_warning("is damaged; the timers are read from the log instead");
}

TEST_P(timer_checkpoint_test, is_not_used_where_it_is_another_stores) {
  set_some();
  const auto of_this = bytes();
  engine.reset();
  log.reset();
  fs::remove_all(store());
  open_log();
  set_some();
  write(of_this);
  const auto found = loaded();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), errc::foreign_store);
  expect_one_finding("it is of store ");
  expect_that_all_fire();
  expect_one_warning("is another store's");
}

TEST_P(timer_checkpoint_test, is_not_used_where_the_log_lost_what_it_goes_up_to) {
  set_some();
  const auto kept = store().string() + ".kept";
  log.reset();
  fs::copy(store(), kept, fs::copy_options::recursive);
  open_log();
  open();
  ASSERT_TRUE(set(1, bell::first, 0)); // position 6, which is lost with the power
  engine.reset();
  const auto ahead = bytes();
  log.reset();
  fs::remove_all(store());
  fs::rename(kept, store());
  write(ahead);
  open_log();
  const auto found = loaded();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_FALSE(*found) << "it is ahead of the log";
  EXPECT_EQ(verified().size(), 0U) << "which a power loss does";
  open();
  ASSERT_TRUE(set(7, bell::second, 0)) << "nothing";
  ASSERT_TRUE(set(7, bell::second, 7'000)) << "another event at position 6";
  engine.reset();
  write(ahead);
  const auto other = loaded();
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), errc::foreign_store);
  expect_one_finding("it is of another log");
  open();
  run_to(9'000);
  EXPECT_EQ(rung().size(), 4U);
  expect_one_warning("is of another log");
}

TEST_P(timer_checkpoint_test, is_compared_with_the_log_when_the_store_is_verified) {
  set_some();
  EXPECT_EQ(verified().size(), 0U);
  const auto whole = bytes();
  for (const std::size_t at : {std::size_t{0}, whole.size() / 2, whole.size() - 1}) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    write(damaged);
    expect_one_finding("is damaged");
  }
  write("");
  expect_one_finding("is empty");
  write(whole);
  auto saved = **loaded();
  saved.pending.front().version = stream_version(9);
  {
    const auto read = log->snapshot();
    ASSERT_TRUE(storage::save_timer_checkpoint(*log, **read, saved));
  }
  const auto found = verified();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().stream, saved.pending.front().stream);
  expect_one_finding("event of version 9, which its stream does not have");
  fs::remove(file());
  EXPECT_EQ(verified().size(), 0U) << "as it says";
  expect_that_all_fire();
}

TEST_P(timer_checkpoint_test, is_not_needed_for_timers_whose_events_were_archived) {
  open({.snapshot_every = 1});
  ASSERT_TRUE(set(1, bell::first, 2'000));
  ASSERT_TRUE(engine->truncate<alarm>(1)); // with what it knows of timers
  ASSERT_TRUE(set(2, bell::first, 2'000)); // a snapshot has it
  ASSERT_TRUE(set(3, bell::first, 2'000));
  ASSERT_TRUE(engine->remove<alarm>(3));
  ASSERT_TRUE(set(3, bell::second, 2'000));
  ASSERT_TRUE(set(4, bell::first, 2'000));
  ASSERT_TRUE(engine->truncate<alarm>(4));
  ASSERT_TRUE(set(4, bell::first, 0)); // not in the kept state
  ASSERT_TRUE(set(4, bell::second, 2'000));
  const auto end = log->tail();
  engine->run_until_idle();
  engine.reset();
  log.reset();
  // But for the last two events: what is in front of them is kept in states, stored behind them.
  const auto done =
    storage::archive(store(), log_position(end.value() - 1), store().string() + ".archive");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_GT(done->archived, 0U);
  fs::remove(file());
  fs::remove_all(store().string() + ".archive");
  open_log();
  open();
  run_to(9'000);
  auto all = sorted();
  for (auto& one : all)
    one.at_ns = 0; // archiving dates by the wall clock, and dates never fall
  EXPECT_EQ(all, (rings{{1, 1, 0}, {2, 1, 0}, {3, 2, 0}, {4, 2, 0}}));
}

TEST_P(timer_checkpoint_test, keeps_the_timers_of_aggregates_that_an_engine_does_not_have) {
  set_some();
  {
    std::vector<std::string> warned;
    runtime::engine_options options{.deterministic_seed = 1, .clock = &now};
    options.warning = [&](const error& one) { warned.push_back(one.message()); };
    auto other =
      runtime::engine::open<sleeper>(std::make_unique<storage::forwarding_log>(log), options);
    ASSERT_TRUE(other) << other.error().message();
    now.advance_ns(5'000);
    (*other)->run_until_idle();
    ASSERT_EQ(warned.size(), 1U);
    EXPECT_NE(warned.front().find("3 pending timers are of aggregates that this engine was not"),
              std::string::npos)
      << warned.front();
  }
  now.advance_ns(-5'000);
  expect_that_all_fire();
}

INSTANTIATE_TEST_SUITE_P(logs, timer_checkpoint_test,
                         ::testing::Values(storage::durability::process), name_of_alarm_log);

} // namespace
} // namespace acta::tests
