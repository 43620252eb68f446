// Cuts the power at every sync of a store, and in between. What is assumed: docs/power-loss.md.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"
#include "store_script.hpp"

#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using storage::durability;
/// The levels a store is opened at, in turn.
using levels = std::vector<durability>;

/// What is recorded.
struct subject {
  levels opened_at;
  bool with_index = false;
};

[[nodiscard]] store_options options_of(durability level, bool with_index,
                                       std::chrono::milliseconds every = 1ms) {
  return {.log = {.durability = level, .sync_every = every},
          .index_memory = with_index ? small_index : 0};
}

/// Says in the recording what the log says of itself: `done` steps are, or those whose records are
/// synced.
void mark_held(disk_recorder& recorder, const store_script& script, std::size_t done,
               const storage::event_log& log) {
  if (log.durability() != durability::power)
    done = script.steps_until(log.synced_tail().value());
  if (done > 0)
    recorder.mark(mark_of(done - 1, true));
}

/// At `process`: waits until the background sync has come as far, which it must.
void wait_until_synced(const storage::event_log& log) {
  while (log.synced_tail() != log.tail())
    std::this_thread::yield();
}

/// Does all the steps of a script, and returns what that did to the disk.
/// With another interval than 1 ms it does not wait for the background sync now and then.
[[nodiscard]] journal record(const store_script& script, const subject& of,
                             std::chrono::milliseconds every = 1ms) {
  const scratch_directory directory(fast_directory());
  boot();
  disk_recorder recorder(directory.path());
  open_store store;
  std::size_t opened = 0;
  for (std::size_t step = 0; step < script.size(); ++step) {
    const auto level = of.opened_at[opened % of.opened_at.size()];
    opened += script.opens(step) ? 1U : 0U;
    recorder.mark(mark_of(step, false));
    const auto options = options_of(level, of.with_index, every);
    const auto done = script.run(step, directory.path() / "store", options, store);
    EXPECT_TRUE(done) << done.error().message();
    if (script.opens(step)) // the store was closed, or restored; both sync what there is
      recorder.mark(mark_of(step, true));
    if (step % 3 == 0 && every == 1ms)
      wait_until_synced(*store.log);
    mark_held(recorder, script, step + 1, *store.log);
  }
  return recorder.operations();
}

/// Does the steps of a script while the n-th write or sync fails; then opens the store again, at
/// the last of the levels, and goes on a step. Empty if nothing failed.
[[nodiscard]] journal record_with_fault(const store_script& script, const subject& of,
                                        disk_fault fault, std::uint64_t n) {
  const scratch_directory directory(fast_directory());
  const auto path = directory.path() / "store";
  boot();
  disk_recorder recorder(directory.path());
  recorder.fail(fault, n);
  open_store store;
  std::size_t done = 0;
  for (; done < script.size(); ++done) {
    recorder.mark(mark_of(done, false));
    if (!script.run(done, path, options_of(of.opened_at.front(), of.with_index), store))
      break;
    mark_held(recorder, script, done + 1, *store.log);
  }
  store.close();
  if (!recorder.heal())
    return {};
  const auto options = options_of(of.opened_at.back(), of.with_index);
  const auto opened = script.run(0, path, options, store);
  EXPECT_TRUE(opened) << opened.error().message();
  const auto found = script.steps_in(store, done, done + 1);
  EXPECT_TRUE(found) << found.error().message();
  const auto next = std::max<std::size_t>(found.value_or(0), 1);
  mark_held(recorder, script, next, *store.log);
  recorder.mark(mark_of(next, false));
  EXPECT_TRUE(script.run(next, path, options, store));
  mark_held(recorder, script, next + 1, *store.log);
  return recorder.operations();
}

/// Opens what a power loss left, checks it, and goes on with it: empty if all is well. `recorder`
/// sees what is done, with marks.
[[nodiscard]] std::string check(const store_script& script, const std::filesystem::path& disk,
                                const progress& before, const store_options& options,
                                disk_recorder* recorder) {
  open_store store;
  if (const auto opened = script.run(0, disk / "store", options, store); !opened)
    return "it does not open: " + opened.error().message();
  const auto steps = script.steps_in(store, before.receipted, before.begun);
  if (!steps)
    return steps.error().message();
  const auto next = std::max<std::size_t>(*steps, 1); // opening it was step 0
  if (recorder != nullptr) {
    mark_held(*recorder, script, next, *store.log);
    recorder->mark(mark_of(next, false));
  }
  if (const auto done = script.run(next, disk / "store", options, store); !done)
    return "it does not go on: " + done.error().message();
  if (recorder != nullptr)
    mark_held(*recorder, script, next + 1, *store.log);
  const auto after = script.steps_in(store, next + 1, next + 1);
  return after ? std::string() : "after going on: " + after.error().message();
}

/// As check(), and then the power goes a second time, at any moment of it.
[[nodiscard]] std::string check_twice(const store_script& script, const std::filesystem::path& disk,
                                      const progress& before, const store_options& options,
                                      std::uint64_t seed) {
  journal operations;
  std::size_t adopted = 0;
  {
    disk_recorder recorder(disk);
    adopted = recorder.operations().size();
    if (auto wrong = check(script, disk, before, options, &recorder); !wrong.empty())
      return wrong;
    operations = recorder.operations();
  }
  const auto at = adopted + seed % (operations.size() - adopted + 1);
  const scratch_directory again(fast_directory());
  make_image(operations, {.at = at, .seed = seed}, again.path());
  const auto since = progress_at(operations, at);
  const progress both{.begun = std::max(before.begun, since.begun),
                      .receipted = std::max(before.receipted, since.receipted)};
  boot();
  const auto wrong = check(script, again.path(), both, options, nullptr);
  return wrong.empty() ? wrong : fmt::format("after a second cut, at {}: {}", at, wrong);
}

[[nodiscard]] std::string lose_power(const store_script& script, const journal& operations,
                                     const power_cut& cut, bool with_index) {
  boot();
  const scratch_directory disk(fast_directory());
  make_image(operations, cut, disk.path());
  const auto before = progress_at(operations, cut.at);
  const auto level = (cut.seed >> 8U) % 2 == 0 ? durability::power : durability::process;
  const auto options = options_of(level, with_index);
  return cut.seed % 4 == 0 ? check_twice(script, disk.path(), before, options, cut.seed)
                           : check(script, disk.path(), before, options, nullptr);
}

/// Cuts a recording at each of these places; returns how many times.
std::size_t expect_nothing_lost(const store_script& script, const journal& operations,
                                const std::vector<std::size_t>& cuts, std::mt19937_64& random,
                                bool with_index) {
  int failures = 0;
  for (const auto at : cuts) {
    const power_cut cut{.at = at, .seed = random()};
    const auto wrong = lose_power(script, operations, cut, with_index);
    EXPECT_EQ(wrong, "") << "cut at operation " << cut.at << " of " << operations.size()
                         << ", seed of the cut " << cut.seed;
    failures += wrong.empty() ? 0 : 1;
    if (failures == 5)
      break;
  }
  testing::Test::RecordProperty("cuts", std::to_string(cuts.size()));
  return cuts.size();
}

class power_loss_test : public testing::TestWithParam<subject> {};

TEST_P(power_loss_test, leaves_a_store_that_opens_at_any_moment_of_its_making) {
  std::mt19937_64 random(choose_seed());
  const store_script script(1);
  const auto operations = record(script, GetParam());
  std::vector<std::size_t> cuts;
  for (int round = 0; round < (long_tests ? 20 : 4); ++round)
    for (std::size_t at = 0; at <= operations.size(); ++at)
      cuts.push_back(at);
  EXPECT_GT(expect_nothing_lost(script, operations, cuts, random, GetParam().with_index), 100U);
}

TEST_P(power_loss_test, takes_nothing_that_the_store_said_it_holds_and_it_always_opens) {
  std::mt19937_64 random(choose_seed());
  const store_script script(long_tests ? 60 : 30);
  const auto operations = record(script, GetParam());
  const std::size_t count = long_tests ? 1'000 : 100;
  auto cuts = cuts_of(operations, count, random);
  if (!long_tests) {
    std::ranges::shuffle(cuts, random); // a sample of them
    cuts.resize(count);
  }
  EXPECT_GE(expect_nothing_lost(script, operations, cuts, random, GetParam().with_index), count);
}

/// After a sync that failed, the kernel has bytes that the disk has not, and takes them for
/// written.
TEST_P(power_loss_test, after_a_failed_write_or_sync_takes_nothing_either) {
  std::mt19937_64 random(choose_seed());
  const store_script script(6);
  std::size_t cuts = 0;
  for (const auto fault : {disk_fault::no_space, disk_fault::io, disk_fault::io_for_good,
                           disk_fault::short_write, disk_fault::lost_sync}) {
    // Where nothing can be written, not even that a sync failed cannot: docs/power-loss.md.
    bool failed =
      fault != disk_fault::io_for_good || GetParam().opened_at.front() == durability::power;
    const std::uint64_t step = long_tests ? 1 : 4; // a sample of them
    for (std::uint64_t n = 1 + random() % step; failed && !HasFailure(); n += step) {
      SCOPED_TRACE(fmt::format("fault {} at write or sync {}", static_cast<int>(fault), n));
      const auto operations = record_with_fault(script, GetParam(), fault, n);
      failed = !operations.empty();
      std::vector<std::size_t> places;
      for (int i = 0; failed && i < (long_tests ? 15 : 4); ++i)
        places.push_back(operations.size() - random() % (operations.size() / 2));
      cuts += expect_nothing_lost(script, operations, places, random, GetParam().with_index);
    }
  }
  EXPECT_GT(cuts, 100U);
  RecordProperty("cuts", std::to_string(cuts));
}

constexpr auto power = durability::power;
constexpr auto process = durability::process;

INSTANTIATE_TEST_SUITE_P(stores, power_loss_test,
                         testing::Values(subject{{power}}, subject{{process}},
                                         subject{{process, power}}, subject{{power}, true},
                                         subject{{process}, true}, subject{{process, power}, true}),
                         [](const auto& of) {
                           return std::string(storage::name(of.param.opened_at.front()))
                                  + (of.param.opened_at.size() > 1 ? "_in_turn" : "")
                                  + (of.param.with_index ? "_with_index" : "");
                         });

/// The device takes not even a mark that a sync of the index failed, and is sound again when the
/// store is opened: the power goes soon after that.
TEST(power_loss, takes_nothing_of_an_index_whose_failed_sync_could_not_be_marked) {
  std::mt19937_64 random(choose_seed());
  const store_script script(6);
  const subject with_index{{durability::power}, true};
  const int cuts = long_tests ? 40 : 10;
  std::uint64_t n = 40; // before, the store is being made
  for (; !HasFailure(); ++n) {
    SCOPED_TRACE(fmt::format("at write or sync {}", n));
    const auto operations = record_with_fault(script, with_index, disk_fault::io_for_good, n);
    if (operations.empty())
      break;
    std::vector<std::size_t> places;
    for (int i = 0; i < cuts; ++i)
      places.push_back(operations.size() - random() % 10);
    expect_nothing_lost(script, operations, places, random, true);
  }
  EXPECT_GT(n, 80U);
}

/// What the same check says to what must not be, in a process of its own: LMDB may end it over
/// pages that are not there.
[[nodiscard]] bool is_found(const std::function<std::string()>& check_it) {
  const auto child = ::fork();
  if (child == 0) {
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO); // what LMDB or a sanitizer says of it
    ::_exit(check_it().empty() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status != 0;
}

/// Cuts on a device that lies, of which something was lost.
[[nodiscard]] int count_losses(device kind_of_device, durability level) {
  std::mt19937_64 random(1); // the same cuts every time
  const store_script script(10);
  const auto operations = record(script, {{level}});
  int losses = 0;
  for (int i = 0; i < 40; ++i) {
    const power_cut cut{
      .at = random() % (operations.size() + 1), .seed = random() | 1U, .kind = kind_of_device};
    losses += is_found([&] { return lose_power(script, operations, cut, false); }) ? 1 : 0;
  }
  return losses;
}

TEST(power_loss, is_found_where_the_device_forgets_what_it_said_was_synced) {
  EXPECT_GT(count_losses(device::forgets_everything, durability::power), 10);
  EXPECT_GT(count_losses(device::forgets_everything, durability::process), 10);
}

TEST(power_loss, is_found_where_commits_are_synced_and_their_pages_are_not) {
  EXPECT_GT(count_losses(device::forgets_file_syncs, durability::power), 5);
}

/// LMDB's MDB_NOSYNC by itself: what `process` would be without the meta page that is put back.
TEST(power_loss, is_found_at_process_where_the_start_of_the_machine_goes_unnoticed) {
  std::mt19937_64 random(1); // the same cuts every time
  const store_script script(20);
  const auto operations = record(script, {{process}}, 1h);
  int losses = 0;
  for (int i = 0; i < 40; ++i) {
    const scratch_directory disk(fast_directory());
    const auto at = random() % (operations.size() + 1);
    make_image(operations, {.at = at, .seed = random()}, disk.path());
    const auto before = progress_at(operations, at); // and no boot() after it
    losses += is_found([&] {
      return check(script, disk.path(), before, options_of(power, false), nullptr);
    })
                ? 1
                : 0;
  }
  EXPECT_GT(losses, 5);
}

[[nodiscard]] std::map<std::string, std::string> files_in(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const auto name = entry.path().lexically_relative(directory).string();
    std::ifstream in(entry.path(), std::ios::binary);
    if (entry.is_regular_file() && entry.path().filename() != "lock.mdb")
      files[name] = {std::istreambuf_iterator<char>(in), {}};
  }
  return files;
}

/// What the other tests rest on: that no write of a store goes past the recorder.
TEST(power_loss, is_tested_with_all_that_a_store_writes) {
  const scratch_directory directory(fast_directory());
  const scratch_directory copy(fast_directory());
  const store_script script(30);
  journal operations;
  {
    disk_recorder recorder(directory.path());
    open_store store;
    for (std::size_t step = 0; step < script.size(); ++step) {
      const auto options = options_of(step % 2 == 0 ? process : power, true);
      ASSERT_TRUE(script.run(step, directory.path() / "store", options, store));
    }
    store.close();
    operations = recorder.operations();
  }
  make_image(operations, {.at = operations.size(), .keeps_all = true}, copy.path());
  const auto expected = files_in(directory.path());
  const auto recorded = files_in(copy.path());
  EXPECT_GT(expected.size(), 4U);
  EXPECT_TRUE(expected == recorded) << "a file differs: it was written past the recorder";
}

} // namespace
} // namespace acta::tests
