#include "../support/atomic_fixture.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using domain::decision;
using runtime::atomic;
using runtime::engine;
using runtime::part;

class atomic_threads_test : public atomic_fixture {};

/// What a log has, as far as these tests look.
struct entry {
  std::string stream;
  std::uint64_t version;
  command_id command;
  std::int64_t amount;
};

[[nodiscard]] std::vector<entry> entries_of(const storage::event_log& log) {
  std::vector<entry> all;
  const auto now = log.snapshot();
  for (log_position at(1); at <= (*now)->tail(); at = at.next()) {
    const auto record = (*now)->at(at);
    EXPECT_TRUE(record.has_value() && record->verify().has_value());
    const auto* event = domain::verified<added>(record->payload());
    if (event != nullptr)
      all.push_back({record->stream().to_string(), record->version().value(),
                     record->header().command, event->amount()});
  }
  return all;
}

/// That no transfer is half in the log at any of its tails: those have no command id here, and
/// what has one is no transfer.
class transfer_watch {
public:
  explicit transfer_watch(engine& of)
      : log_(of.log()), subscription_(of.on_tail([this](log_position tail) { look(tail); })) {}

private:
  void look(log_position tail) {
    const auto now = log_.snapshot();
    for (at_ = at_.next(); at_ <= tail; at_ = at_.next()) {
      const auto record = (*now)->at(at_);
      if (record->header().command.empty())
        sum_ += domain::verified<added>(record->payload())->amount();
    }
    at_ = tail;
    EXPECT_EQ(sum_, 0) << "at position " << tail.value();
  }

  const storage::event_log& log_;
  log_position at_;
  std::int64_t sum_ = 0;
  std::unique_ptr<engine::tail_subscription> subscription_;
};

/// Two threads move to and fro, and a third one adds.
void transfer_in_opposite_directions(engine& e, int rounds) {
  std::atomic<int> moved = 0;
  {
    std::vector<std::jthread> threads;
    for (const bool forward : {true, false})
      threads.emplace_back([&, forward] {
        const std::uint64_t from = forward ? 1 : 2;
        for (int i = 0; i < rounds; ++i) {
          const auto third = part<counter>(3 + static_cast<std::uint64_t>(i) % 4);
          const auto one =
            i % 2 == 0 ? e.ask_all(atomic(part<counter>(from), part<counter>(3 - from)), moving(1))
                       : e.ask_all(atomic(part<counter>(from), third, part<counter>(3 - from)),
                                   [](auto& a, auto& b, auto& c) -> decision {
                                     add_to(a, -1);
                                     add_to(b, 0);
                                     add_to(c, 1);
                                     return domain::accept();
                                   });
          ASSERT_TRUE(one.has_value()) << one.error().message();
          ++moved;
        }
      });
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i)
        ASSERT_TRUE(e.ask<counter>(1 + static_cast<std::uint64_t>(i) % 6, add{1},
                                   {.id = command_id::of(1, static_cast<std::uint64_t>(i) + 1)}));
    });
  }
  EXPECT_EQ(moved, 2 * rounds);
}

TEST_F(atomic_threads_test, never_deadlocks_nor_loses_anything_among_threads) {
  constexpr int rounds = 300;
  for (const unsigned workers : {1U, 2U, 4U}) {
    SCOPED_TRACE(workers);
    log = storage::make_memory_log();
    snapshots_ = std::move(*storage::open_snapshots(*log));
    auto e = open({.workers = workers, .snapshot_every = 50});
    auto watch = std::make_unique<transfer_watch>(*e);
    ASSERT_TRUE(e->ask<counter>(1, add{1'000}, {.id = command_id::of(2, 1)}));
    ASSERT_TRUE(e->ask<counter>(2, add{1'000}, {.id = command_id::of(2, 2)}));
    transfer_in_opposite_directions(*e, rounds);
    std::int64_t total = 0;
    for (std::uint64_t key = 1; key <= 6; ++key)
      total += sum(*e, key);
    EXPECT_EQ(total, 2'000 + rounds);
    watch.reset();
    e.reset();
    std::int64_t stored = 0;
    std::map<std::string, std::uint64_t> versions;
    for (const auto& one : entries_of(*log)) {
      EXPECT_EQ(one.version, ++versions[one.stream]); // I2
      stored += one.amount;
    }
    EXPECT_EQ(stored, total);
  }
}

TEST_F(atomic_threads_test, makes_room_in_the_mailbox_of_what_it_held) {
  const auto e = open({.workers = 1, .max_mailbox = 1});
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(e->tell_all(
      atomic(part<counter>(1)),
      [](auto& one) -> decision {
        add_to(one, 1);
        return domain::accept();
      },
      [](auto&&) {}, {.wait_for_room = 1h}));
    ASSERT_TRUE(e->tell<counter>(1, add{1}, [](auto&&) {}, {.wait_for_room = 1h}));
  }
  e->stop();
  EXPECT_EQ(log->tail(), log_position(400));
}

TEST_F(atomic_threads_test, works_where_the_worker_commits) {
  auto e = open({.workers = 1, .commit = runtime::commit_by::worker});
  ASSERT_TRUE(e->ask<counter>(1, add{1'000}));
  ASSERT_TRUE(e->ask<counter>(2, add{1'000}));
  transfer_in_opposite_directions(*e, 50);
  EXPECT_EQ(e->counters<counter>().failed, 0U);
}

} // namespace
} // namespace acta::tests
