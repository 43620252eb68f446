// As power_loss_test.cpp, with commands in flight and their receipts.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"
#include "store_script.hpp"

#include "../support/scratch_directory.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/verify.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using domain::trading::limit_order;
using runtime::engine;
using storage::durability;

constexpr std::uint64_t orders = 15;
constexpr int in_flight = 32;

/// A receipt, by the number of its command.
struct receipted {
  std::uint64_t command;
  std::uint64_t position;
};

struct recording {
  journal operations;              ///< A mark is 2 * i for receipts[i],
  std::vector<receipted> receipts; ///< or 2 * p + 1 where the log said that p is synced.
};

[[nodiscard]] result<std::unique_ptr<engine>> open(const std::filesystem::path& disk,
                                                   durability level) {
  auto log = storage::open_log(disk / "store", {.durability = level, .sync_every = 1ms});
  if (!log)
    return failure(log);
  // More may be on the disk than anybody was told: no command of a run may be forgotten by then.
  return engine::open<limit_order>(
    std::move(*log), {.workers = 1, .repeat_window = 1'024, .index = {.memory = small_index}});
}

/// One to two events: an order that is there is cancelled first.
[[nodiscard]] domain::trading::replace command_of(std::uint64_t number) {
  return {.instrument = 1,
          .side = domain::trading::side::buy,
          .price = 5,
          .quantity = static_cast<std::int64_t>(number) + 1};
}

/// Sends a command, again while the index is too far behind.
void send(engine& to, std::uint64_t number,
          const std::function<void(runtime::outcome&&)>& handler) {
  for (;;) {
    const auto sent = to.tell<limit_order>(
      number % orders, command_of(number),
      [&handler](runtime::outcome&& how) { handler(std::move(how)); }, {command_id::of(1, number)});
    if (sent)
      return;
    ASSERT_EQ(sent.error().code(), errc::overloaded) << sent.error().message();
    std::this_thread::yield();
  }
}

/// Sends commands [from, to) to an engine of its own, with some in flight, and destroys it.
void send_commands(disk_recorder& recorder, const std::filesystem::path& disk, durability level,
                   std::uint64_t from, std::uint64_t to, std::vector<receipted>& receipts) {
  std::atomic<int> unsettled{0};
  std::vector<std::function<void(runtime::outcome&&)>> handlers(to - from);
  auto opened = open(disk, level);
  ASSERT_TRUE(opened) << opened.error().message();
  for (auto number = from; number < to; ++number) {
    unsettled.fetch_add(1);
    auto& handler = handlers[number - from];
    handler = [&, number](runtime::outcome&& how) {
      EXPECT_TRUE(how) << how.error().message();
      recorder.mark(2 * receipts.size());
      receipts.push_back({number, how ? how->position.value() : 0});
      unsettled.fetch_sub(1);
      unsettled.notify_one();
    };
    send(**opened, number, handler);
    for (int now = unsettled.load(); now >= in_flight; now = unsettled.load())
      unsettled.wait(now);
    recorder.mark(2 * (*opened)->log().synced_tail().value() + 1);
  }
  (*opened)->stop();
}

[[nodiscard]] recording record(durability level) {
  const scratch_directory disk(fast_directory());
  boot();
  disk_recorder recorder(disk.path());
  recording made;
  const std::uint64_t count = long_tests ? 600 : 200;
  for (std::uint64_t round = 0; round < 3; ++round)
    send_commands(recorder, disk.path(), level, round * count, (round + 1) * count, made.receipts);
  made.operations = recorder.operations();
  return made;
}

/// The receipts that a cut must not take: those given before, and at `process` synced too.
[[nodiscard]] std::vector<receipted> receipts_before(const recording& of, std::size_t cut,
                                                     durability level) {
  std::uint64_t given = 0;
  std::uint64_t synced = 0;
  for (std::size_t i = 0; i < cut; ++i) {
    const auto& operation = of.operations[i];
    if (operation.what != disk_operation::kind::mark)
      continue;
    if (operation.value % 2 == 0)
      given = operation.value / 2 + 1;
    else
      synced = std::max(synced, operation.value / 2);
  }
  std::vector<receipted> kept(of.receipts.begin(),
                              of.receipts.begin() + static_cast<std::ptrdiff_t>(given));
  if (level == durability::process)
    std::erase_if(kept, [&](const receipted& one) { return one.position > synced; });
  return kept;
}

/// Every receipt is of the last event of its command.
[[nodiscard]] std::string compare(const storage::event_log& log,
                                  const std::vector<receipted>& receipts) {
  const auto verified = storage::verify(log);
  if (!verified)
    return verified.error().message();
  if (verified->problems != 0)
    return "verify: " + verified->findings.front().what;
  const auto snapshot = log.snapshot();
  if (!snapshot)
    return snapshot.error().message();
  for (const auto& one : receipts) {
    const auto record = (*snapshot)->at(log_position(one.position));
    if (!record)
      return fmt::format("the receipt of command {} is of no event: {}", one.command,
                         record.error().message());
    if (record->header().command != command_id::of(1, one.command)
        || record->header().remaining != 0)
      return fmt::format("position {} is not the end of command {}", one.position, one.command);
  }
  return {};
}

/// The streams as the index has them, against the log read whole.
[[nodiscard]] std::string compare_streams(engine& of) {
  const auto snapshot = of.log().snapshot();
  if (!snapshot)
    return snapshot.error().message();
  std::map<std::uint64_t, std::size_t> events;
  for (std::uint64_t position = 1; position <= (*snapshot)->tail().value(); ++position)
    ++events[(*snapshot)->at(log_position(position))->integer_key()];
  for (const auto& [order, count] : events) {
    const auto read = of.read(of.stream<limit_order>(order), **snapshot);
    if (!read)
      return read.error().message();
    if (read->records.size() != count)
      return fmt::format("order {} has {} events, and the index {}", order, count,
                         read->records.size());
  }
  return {};
}

/// Opens an engine on what is left, and sends commands again. Empty if all is well.
[[nodiscard]] std::string check(const std::filesystem::path& disk, durability level,
                                const std::vector<receipted>& receipts) {
  boot();
  auto opened = open(disk, level);
  if (!opened)
    return "it does not open: " + opened.error().message();
  if (auto wrong = compare((*opened)->log(), receipts); !wrong.empty())
    return wrong;
  if (auto wrong = compare_streams(**opened); !wrong.empty())
    return wrong;
  const auto tail = (*opened)->log().tail().value();
  const auto newest = std::min<std::size_t>(receipts.size(), 20);
  for (auto one = receipts.end() - static_cast<std::ptrdiff_t>(newest); one != receipts.end();
       ++one) {
    const auto again = (*opened)->ask<limit_order>(one->command % orders, command_of(one->command),
                                                   {command_id::of(1, one->command)});
    if (!again)
      return fmt::format("command {}: {}", one->command, again.error().message());
    if (!again->repeat || again->position.value() != one->position)
      return fmt::format("command {} is not known again: a {} at position {}, and its receipt said "
                         "{}; there were {} receipts, and the log ended at {}",
                         one->command, again->repeat ? "repeat" : "new one",
                         again->position.value(), one->position, receipts.size(), tail);
  }
  const auto goes_on = (*opened)->ask<limit_order>(orders, command_of(0));
  return goes_on ? std::string() : "it does not go on: " + goes_on.error().message();
}

class engine_power_loss_test : public testing::TestWithParam<durability> {};

TEST_P(engine_power_loss_test, takes_no_receipt_that_the_level_promised) {
  std::mt19937_64 random(choose_seed());
  const auto recorded = record(GetParam());
  ASSERT_FALSE(HasFailure());
  auto cuts = cuts_of(recorded.operations, 0, random);
  std::ranges::shuffle(cuts, random);
  cuts.resize(std::min<std::size_t>(cuts.size(), long_tests ? 1'000 : 60));
  std::uint64_t receipts = 0;
  for (const auto at : cuts) {
    const scratch_directory disk(fast_directory());
    const power_cut cut{.at = at, .seed = random()};
    make_image(recorded.operations, cut, disk.path());
    const auto kept = receipts_before(recorded, at, GetParam());
    receipts += kept.size();
    ASSERT_EQ(check(disk.path(), GetParam(), kept), "")
      << "cut at operation " << at << " of " << recorded.operations.size() << ", seed of the cut "
      << cut.seed;
  }
  EXPECT_GT(receipts, cuts.size());
}

INSTANTIATE_TEST_SUITE_P(levels, engine_power_loss_test,
                         testing::Values(durability::power, durability::process),
                         [](const auto& of) { return std::string(storage::name(of.param)); });

} // namespace
} // namespace acta::tests
