// A device that is full or fails, at every write and sync of a store's life.
#include "disk_recorder.hpp"
#include "power_cuts.hpp"
#include "store_script.hpp"

#include "../support/scratch_directory.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using storage::durability;

constexpr std::uint64_t never = 10'000; ///< More writes and syncs than any script here has.

constexpr std::array all_faults{disk_fault::no_space, disk_fault::io, disk_fault::io_for_good,
                                disk_fault::short_write, disk_fault::lost_sync};
constexpr std::array names_of_faults{"no_space", "io", "io_for_good", "short_write", "lost_sync"};

/// The message names a file below `place` and says what to do, and the code fits the fault.
void expect_explained(const error& why, disk_fault fault, const std::filesystem::path& place) {
  EXPECT_NE(why.message().find(place.string()), std::string::npos) << why.message();
  const bool full = fault == disk_fault::no_space;
  EXPECT_NE(why.message().find(full ? "free space" : "; "), std::string::npos) << why.message();
  // A write that the device cut short says nothing of the reason, nor does LMDB the second time.
  const bool again = why.message().find("MDB_PANIC") != std::string::npos;
  const bool fits = why.code() == (full && !again ? errc::no_space : errc::io)
                    || (fault == disk_fault::short_write && why.code() == errc::no_space);
  EXPECT_TRUE(fits) << name(why.code()) << ": " << why.message();
}

/// A fault, a level, and whether there is an index on disk.
class fault_test : public testing::TestWithParam<std::tuple<disk_fault, durability, bool>> {
protected:
  [[nodiscard]] static disk_fault fault() { return std::get<0>(GetParam()); }
  [[nodiscard]] static store_options options() {
    return {.log = {.durability = std::get<1>(GetParam()), .sync_every = 1ms},
            .index_memory = std::get<2>(GetParam()) ? small_index : 0};
  }
};

[[nodiscard]] std::string name_of_fault(const testing::TestParamInfo<fault_test::ParamType>& of) {
  return std::string(names_of_faults.at(static_cast<std::size_t>(std::get<0>(of.param)))) + "_at_"
         + std::string(storage::name(std::get<1>(of.param)))
         + (std::get<2>(of.param) ? "_with_index" : "");
}

/// Runs the script until a step fails; returns how many were done.
std::size_t run_until_failure(const store_script& script, const std::filesystem::path& store,
                              const store_options& options, std::optional<error>& why) {
  open_store opened;
  for (std::size_t step = 0; step < script.size(); ++step) {
    if (auto done = script.run(step, store, options, opened); !done) {
      why = std::move(done.error());
      return step;
    }
  }
  return script.size();
}

/// What is left opens, has all that was done, and goes on.
void expect_nothing_lost(const store_script& script, const std::filesystem::path& store,
                         const store_options& options, std::size_t done) {
  open_store opened;
  const auto opens = script.run(0, store, options, opened);
  ASSERT_TRUE(opens) << "it does not open: " << opens.error().message();
  const auto found = script.steps_in(opened, done, done + 1);
  ASSERT_TRUE(found) << found.error().message();
  const auto next = std::max<std::size_t>(*found, 1); // opening it was step 0
  const auto goes_on = script.run(next, store, options, opened);
  ASSERT_TRUE(goes_on) << goes_on.error().message();
  ASSERT_TRUE(script.run(0, store, options, opened));
  const auto after = script.steps_in(opened, next + 1, next + 1);
  EXPECT_TRUE(after) << after.error().message();
}

/// Every one; under a sanitizer, which makes each ten times as slow, every seventh by default.
[[nodiscard]] std::uint64_t stride() {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return std::getenv("ACTA_LONG_TESTS") != nullptr ? 1 : 7;
#endif
#endif
  return 1;
}

TEST_P(fault_test, at_any_write_or_sync_is_an_error_that_names_the_file_and_loses_nothing) {
  const store_script script(9);
  int errors = 0;
  bool failed = true;
  for (std::uint64_t n = 1; failed; n += stride()) {
    SCOPED_TRACE("at write or sync " + std::to_string(n));
    ASSERT_LT(n, never);
    const scratch_directory directory(fast_directory());
    const auto store = directory.path() / "store";
    disk_recorder recorder(directory.path());
    recorder.fail(fault(), n);
    std::optional<error> why;
    const auto done = run_until_failure(script, store, options(), why);
    failed = recorder.heal();
    if (why) {
      EXPECT_TRUE(failed) << "it failed by itself: " << why->message();
      expect_explained(*why, fault(), directory.path()); // its parent is synced too
      ++errors;
    } else {
      EXPECT_EQ(done, script.size());
    }
    expect_nothing_lost(script, store, options(), done);
    if (HasFailure())
      return;
  }
  EXPECT_GT(errors, stride() == 1 ? 10 : 1) << "the writes were not intercepted";
}

INSTANTIATE_TEST_SUITE_P(all, fault_test,
                         testing::Combine(testing::ValuesIn(all_faults),
                                          testing::Values(durability::power, durability::process),
                                          testing::Bool()),
                         name_of_fault);

/// store.id says that the log was made whole. It is no reason not to open a log that is there.
TEST(a_full_device, keeps_no_store_from_being_opened) {
  const scratch_directory directory;
  const auto store = directory.path() / "store";
  ASSERT_TRUE(storage::open_log(store));
  std::filesystem::remove(store / "store.id");
  disk_recorder recorder(directory.path());
  recorder.fail(disk_fault::no_space, 1);
  const auto opened = storage::open_log(store);
  EXPECT_TRUE(recorder.heal());
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
}

using domain::trading::limit_order;
using runtime::engine;

constexpr std::uint64_t commands = 12;

/// Command `number`, to one of three orders: it stores an event whatever became of the others.
[[nodiscard]] runtime::outcome send(engine& to, std::uint64_t number) {
  const domain::trading::replace command{.instrument = 1,
                                         .side = domain::trading::side::buy,
                                         .price = 5,
                                         .quantity = static_cast<std::int64_t>(number)};
  return to.ask<limit_order>(number % 3, command, {command_id::of(1, number)});
}

class engine_fault_test : public fault_test {
protected:
  [[nodiscard]] result<std::unique_ptr<engine>> open() const {
    auto log = storage::open_log(store(), options().log);
    if (!log)
      return failure(log);
    runtime::engine_options engine_options{.workers = 1};
    if (options().index_memory != 0)
      engine_options.index.memory = options().index_memory;
    return engine::open<limit_order>(std::move(*log), engine_options);
  }
  [[nodiscard]] std::filesystem::path store() const { return directory_.path() / "store"; }

  /// Sends commands from `first` on until one fails; the receipts.
  [[nodiscard]] std::vector<runtime::receipt> send_until_failure(engine& to,
                                                                 std::uint64_t first) const {
    std::vector<runtime::receipt> receipts;
    for (auto number = first; number < first + commands; ++number) {
      auto outcome = send(to, number);
      if (outcome) {
        receipts.push_back(*outcome);
        continue;
      }
      EXPECT_EQ(outcome.error().code(), errc::commit_failed) << outcome.error().message();
      EXPECT_NE(outcome.error().message().find(store().string()), std::string::npos)
        << outcome.error().message();
      EXPECT_TRUE(to.failed());
      EXPECT_FALSE(send(to, number + 1)) << "it accepts after a commit that failed";
      break;
    }
    return receipts;
  }

  const scratch_directory directory_{fast_directory()};
};

TEST_P(engine_fault_test, at_any_write_or_sync_fails_the_command_and_takes_no_receipt_back) {
  {
    ASSERT_TRUE(open());
  }
  disk_recorder recorder(directory_.path());
  std::uint64_t n = 1;
  for (bool failed = true; failed; n += 3) { // a sample: every third
    SCOPED_TRACE("at write or sync " + std::to_string(n));
    ASSERT_LT(n, never);
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error().message();
    recorder.fail(fault(), n);
    const auto first = n * commands;
    const auto receipts = send_until_failure(**opened, first);
    opened->reset();
    failed = recorder.heal();
    auto again = open();
    ASSERT_TRUE(again) << again.error().message();
    for (std::size_t i = 0; i < commands; ++i) {
      const auto outcome = send(**again, first + i);
      ASSERT_TRUE(outcome) << outcome.error().message();
      if (i >= receipts.size())
        continue;
      EXPECT_TRUE(outcome->repeat) << "the receipt of command " << i << " was taken back";
      EXPECT_EQ(outcome->position, receipts[i].position);
    }
  }
  EXPECT_GT(n, 4U) << "the writes were not intercepted";
}

INSTANTIATE_TEST_SUITE_P(
  all, engine_fault_test,
  testing::Combine(testing::Values(disk_fault::no_space, disk_fault::io, disk_fault::lost_sync),
                   testing::Values(durability::power, durability::process), testing::Bool()),
  name_of_fault);

} // namespace
} // namespace acta::tests
