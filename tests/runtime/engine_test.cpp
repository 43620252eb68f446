#include "../support/log_doubles.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <latch>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;
using runtime::engine;
using runtime::outcome;

[[nodiscard]] submit buy(std::int64_t quantity, std::int64_t price = 100) {
  return {.instrument = 1, .side = side::buy, .price = price, .quantity = quantity};
}

/// Throws, or emits an event of any size, or one that is none.
struct troublemaker {
  static constexpr std::string_view category = "troublemaker";
  struct state {
    int events = 0;
  };
  struct command {
    bool throws = false;
    std::size_t ballast = 0;
    std::size_t times = 1;
    bool malformed = false;
  };
  using events = domain::event_list<trade_printed>;
  static inline std::atomic<int> decisions = 0;

  static domain::decision decide(const state&, const command& what,
                                 domain::emitter<troublemaker>& out) {
    ++decisions;
    decisions.notify_all();
    const auto emit = [&](flatbuffers::FlatBufferBuilder& builder) {
      const auto bytes = builder.CreateVector(std::vector<std::uint8_t>(what.ballast, 0xff));
      if (what.malformed)
        return flatbuffers::Offset<trade_printed>(bytes.o);
      return Createtrade_printed(builder, 1, 1);
    };
    for (std::size_t i = 0; i < what.times; ++i)
      out.emit<trade_printed>(emit);
    if (what.throws)
      throw std::runtime_error("as told");
    return domain::accept();
  }
  static void evolve(state& now, const trade_printed&) noexcept { ++now.events; }
};

class engine_test : public testing::Test {
protected:
  std::unique_ptr<engine> open(const runtime::engine_options& options = {}) {
    auto opened =
      engine::open<limit_order, instrument>(std::make_unique<gated_log>(log, gate_), options);
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  std::vector<storage::record_header> headers() const {
    std::vector<storage::record_header> all;
    auto snapshot = log->snapshot();
    auto cursor = (*snapshot)->scan(log_position(1));
    for (;;) {
      auto records = (*cursor)->next();
      EXPECT_TRUE(records.has_value());
      if (!records || records->empty())
        return all;
      for (const auto& record : *records) {
        EXPECT_EQ(record.position().value(), all.size() + 1);
        EXPECT_TRUE(record.verify().has_value());
        all.push_back(record.header());
      }
    }
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<gate> gate_ = std::make_shared<gate>();
};

TEST_F(engine_test, gives_a_receipt_with_version_position_and_number_of_events) {
  auto e = open();
  const auto first = e->ask<limit_order>(7, buy(10));
  ASSERT_TRUE(first.has_value()) << first.error().message();
  EXPECT_EQ(first->version, stream_version(1));
  EXPECT_EQ(first->position, log_position(1));
  EXPECT_EQ(first->events, 1U);
  EXPECT_FALSE(first->repeat);
  const auto second = e->ask<limit_order>(7, reduce{.quantity = 4});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->version, stream_version(2));
  EXPECT_EQ(second->position, log_position(2));
}

TEST_F(engine_test, dates_records_by_the_clock_it_was_given) {
  manual_clock now(5'000);
  auto e = open({.clock = &now});
  ASSERT_TRUE(e->ask<limit_order>(7, buy(10)));
  now.advance_ns(1'000);
  ASSERT_TRUE(e->ask<limit_order>(7, reduce{.quantity = 4}));
  const auto all = headers();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].recorded_at_ns, 5'000);
  EXPECT_EQ(all[1].recorded_at_ns, 6'000);
}

TEST_F(engine_test, answers_a_refused_command_with_the_domains_code_and_stores_nothing) {
  auto e = open();
  const auto refused = e->ask<limit_order>(7, reduce{.quantity = 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), errc::rejected);
  EXPECT_EQ(refused.error().rejection(), static_cast<std::uint16_t>(refusal::unknown_order));
  EXPECT_EQ(log->tail(), log_position(0));
}

TEST_F(engine_test, accepts_a_command_that_emits_nothing) {
  auto e = open();
  ASSERT_TRUE(e->ask<limit_order>(7, buy(10)).has_value());
  const auto nothing = e->ask<limit_order>(7, modify{});
  ASSERT_TRUE(nothing.has_value());
  EXPECT_EQ(nothing->events, 0U);
  EXPECT_EQ(nothing->version, stream_version(1));
  EXPECT_EQ(nothing->position, log_position(1));
}

TEST_F(engine_test, gives_no_receipt_before_the_commit) { // I1
  auto e = open();
  gate_->close();
  std::atomic<int> answered{0};
  std::latch both(2);
  const auto count = [&](outcome&&) {
    ++answered;
    both.count_down();
  };
  ASSERT_TRUE(e->tell<limit_order>(7, buy(10), count).has_value());
  gate_->wait_for_arrival();
  EXPECT_EQ(answered, 0);
  // Pipelining: the next command of the aggregate is decided before the first one is durable.
  ASSERT_TRUE(e->tell<limit_order>(7, reduce{.quantity = 10}, count).has_value());
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(log->tail(), log_position(0));
  gate_->open();
  both.wait();
  EXPECT_EQ(log->tail(), log_position(2));
}

TEST_F(engine_test, keeps_positions_and_versions_free_of_gaps_under_concurrent_callers) { // I2, I3
  constexpr int callers = 4;
  constexpr int commands = 5'000;
  {
    auto e = open({.workers = 2, .max_in_flight = 1U << 20U});
    std::atomic<int> answered{0};
    std::vector<std::jthread> threads;
    for (int caller = 0; caller < callers; ++caller)
      threads.emplace_back([&, caller] {
        std::mt19937_64 random(static_cast<std::uint64_t>(caller));
        for (int i = 0; i < commands; ++i) {
          const auto sides = (random() & 1U) != 0 ? side::buy : side::sell;
          const replace command{.instrument = 1, .side = sides, .price = 5, .quantity = i + 1};
          const auto id =
            command_id::of(static_cast<std::uint64_t>(caller) + 1, static_cast<std::uint64_t>(i));
          auto sent = e->tell<limit_order>(random() % 50, command,
                                           [&](outcome&& how) { answered += how ? 1 : 0; }, {id});
          EXPECT_TRUE(sent.has_value());
        }
      });
    threads.clear();
    e->stop();
    EXPECT_EQ(answered, callers * commands);
  }
  std::map<std::uint64_t, std::uint64_t> versions;
  auto snapshot = log->snapshot();
  command_id command;
  std::uint16_t remaining = 0;
  std::uint64_t split = 0;
  for (std::uint64_t position = 1; position <= (*snapshot)->tail().value(); ++position) {
    const auto record = (*snapshot)->at(log_position(position));
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->version().value(), ++versions[record->integer_key()]);
    if (remaining != 0) {
      ++split;
      EXPECT_EQ(record->header().command, command);
      EXPECT_EQ(record->header().remaining, remaining - 1);
    }
    command = record->header().command;
    remaining = record->header().remaining;
  }
  EXPECT_EQ(remaining, 0);
  EXPECT_GT(split, 100U) << "the test should have had commands of two events";
}

TEST_F(engine_test, handles_one_callers_commands_in_order) {
  auto e = open({.workers = 2});
  std::latch done(1'000);
  ASSERT_TRUE(e->ask<limit_order>(1, buy(1)).has_value());
  std::uint64_t last_version = 1;
  bool in_order = true;
  for (int i = 2; i <= 1'001; ++i)
    ASSERT_TRUE(e->tell<limit_order>(1, modify{.price = i, .quantity = {}},
                                     [&](outcome&& how) {
                                       in_order = in_order && how.has_value()
                                                  && how->version.value() == last_version + 1;
                                       last_version = how->version.value();
                                       done.count_down();
                                     })
                  .has_value());
  done.wait();
  EXPECT_TRUE(in_order);
}

TEST_F(engine_test, fails_everything_from_the_failed_commit_on_and_loses_nothing_before) { // I5
  {
    auto e = open();
    ASSERT_TRUE(e->ask<limit_order>(1, buy(10)).has_value());
    gate_->close();
    std::latch settled(3);
    std::mutex mutex;
    std::vector<errc> codes;
    const auto record = [&](outcome&& how) {
      const std::lock_guard guard(mutex);
      codes.push_back(how ? errc{} : how.error().code());
      settled.count_down();
    };
    gate_->fail_append(1);
    ASSERT_TRUE(e->tell<limit_order>(1, reduce{.quantity = 4}, record).has_value());
    gate_->wait_for_arrival();
    // Both are decided on a state that will never be true: also the refusal must not be believed.
    ASSERT_TRUE(e->tell<limit_order>(1, execute{.quantity = 10, .price = {}}, record).has_value());
    ASSERT_TRUE(e->tell<limit_order>(2, buy(1), record).has_value());
    gate_->open();
    settled.wait();
    EXPECT_EQ(codes, std::vector(3, errc::commit_failed));
    ASSERT_TRUE(e->failed().has_value());
    EXPECT_NE(e->failed()->message().find("no space"), std::string::npos);
    const auto refused = e->ask<limit_order>(3, buy(1));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), errc::commit_failed);
  }
  EXPECT_EQ(headers().size(), 1U);
  gate_ = std::make_shared<gate>();
  auto again = open();
  const auto executed = again->ask<limit_order>(1, execute{.quantity = 10, .price = {}});
  ASSERT_TRUE(executed.has_value()) << "the state must be that of the log: 10 rest";
  EXPECT_EQ(executed->position, log_position(2));
  EXPECT_EQ(executed->version, stream_version(2));
}

TEST_F(engine_test, answers_a_repeated_command_with_its_first_receipt) { // I8
  const auto id = command_id::of(1, 1);
  runtime::receipt first;
  {
    auto e = open();
    ASSERT_TRUE(e->ask<limit_order>(9, buy(5)).has_value());
    const auto receipt = e->ask<limit_order>(1, buy(10), {id});
    ASSERT_TRUE(receipt.has_value());
    first = *receipt;
    ASSERT_TRUE(e->ask<limit_order>(1, reduce{.quantity = 1}).has_value());
    const auto repeat = e->ask<limit_order>(1, buy(10), {id});
    ASSERT_TRUE(repeat.has_value()) << repeat.error().message();
    EXPECT_TRUE(repeat->repeat);
    EXPECT_EQ(repeat->position, first.position);
    EXPECT_EQ(repeat->version, first.version);
    EXPECT_EQ(repeat->events, first.events);
  }
  auto again = open();
  const auto repeat = again->ask<limit_order>(1, buy(10), {id});
  ASSERT_TRUE(repeat.has_value());
  EXPECT_TRUE(repeat->repeat);
  EXPECT_EQ(repeat->position, first.position);
  EXPECT_EQ(log->tail(), log_position(3));
}

TEST_F(engine_test, answers_a_repeat_of_a_command_that_is_not_committed_yet) { // I8, I1
  auto e = open();
  gate_->close();
  const auto id = command_id::of(1, 2);
  std::latch both(2);
  std::vector<runtime::receipt> receipts;
  const auto keep = [&](outcome&& how) {
    ASSERT_TRUE(how.has_value());
    receipts.push_back(*how);
    both.count_down();
  };
  ASSERT_TRUE(e->tell<limit_order>(1, buy(10), keep, {id}).has_value());
  gate_->wait_for_arrival();
  ASSERT_TRUE(e->tell<limit_order>(1, buy(10), keep, {id}).has_value());
  gate_->open();
  both.wait();
  EXPECT_FALSE(receipts.at(0).repeat);
  EXPECT_TRUE(receipts.at(1).repeat);
  EXPECT_EQ(receipts.at(0).position, receipts.at(1).position);
  EXPECT_EQ(log->tail(), log_position(1));
}

/// Commands of random ids, many of them sent before, against a list of the newest that stored
/// events; also after the engine was opened again and the aggregate loaded.
TEST_F(engine_test, remembers_as_many_command_ids_as_its_window_has) {
  std::mt19937_64 random(1);
  for (const std::size_t window : {0U, 1U, 2U, 4U, 5U, 16U, 17U, 100U}) {
    log = storage::make_memory_log();
    auto e = open({.repeat_window = window});
    std::vector<std::pair<std::uint64_t, runtime::receipt>> newest; // oldest first
    for (int i = 0; i < 600; ++i) {
      if (i % 200 == 100) {
        e.reset();
        e = open({.repeat_window = window});
      }
      const auto id = random() % (2 * window + 3);
      const auto known =
        std::ranges::find(newest, id, &std::pair<std::uint64_t, runtime::receipt>::first);
      const auto changed =
        replace{.instrument = 1, .side = side::buy, .price = 1 + i, .quantity = 1 + i % 7};
      const auto got = e->ask<limit_order>(1, changed, {command_id::of(7, id)});
      ASSERT_TRUE(got.has_value());
      ASSERT_EQ(got->repeat, known != newest.end()) << "window " << window << ", command " << i;
      if (got->repeat) {
        EXPECT_EQ(got->position, known->second.position);
        EXPECT_EQ(got->version, known->second.version);
        EXPECT_EQ(got->events, known->second.events);
        continue;
      }
      newest.emplace_back(id, *got);
      if (newest.size() > window)
        newest.erase(newest.begin());
    }
  }
}

TEST_F(engine_test, drops_closed_aggregates_and_loads_them_when_asked_again) {
  constexpr std::uint64_t orders = 2'000;
  auto e = open({.workers = 2});
  for (std::uint64_t order = 1; order <= orders; ++order) {
    const auto ignore = [](outcome&&) {};
    ASSERT_TRUE(e->tell<limit_order>(order, buy(1), ignore, {command_id::of(7, order)}));
    ASSERT_TRUE(e->tell<limit_order>(order, cancel{}, ignore));
  }
  ASSERT_TRUE(e->ask<limit_order>(orders + 1, buy(1)).has_value());
  // Dropping follows the commit in the background; commands that drive it along bound the wait.
  std::uint64_t key = orders + 2;
  while (e->counters().live_aggregates > orders / 2 && key < 1'000'000) {
    ASSERT_TRUE(e->ask<limit_order>(key, buy(1)).has_value());
    ASSERT_TRUE(e->ask<limit_order>(key++, cancel{}).has_value());
  }
  EXPECT_LE(e->counters().live_aggregates, orders / 2);
  for (std::uint64_t order = 1; order <= orders; order += 97) {
    const auto closed = e->ask<limit_order>(order, reduce{.quantity = 1});
    ASSERT_FALSE(closed.has_value());
    EXPECT_EQ(closed.error().rejection(), static_cast<std::uint16_t>(refusal::order_closed));
    const auto repeat = e->ask<limit_order>(order, buy(1), {command_id::of(7, order)});
    ASSERT_TRUE(repeat.has_value());
    EXPECT_TRUE(repeat->repeat);
    EXPECT_EQ(repeat->version, stream_version(1));
  }
}

TEST_F(engine_test, loses_and_repeats_no_command_while_aggregates_are_dropped_and_loaded) {
  // `replace` opens a closed order again, so each key is dropped and loaded over and over.
  constexpr std::uint64_t rounds = 20'000;
  constexpr std::uint64_t keys = 16;
  std::atomic<std::uint64_t> accepted{0};
  {
    auto e = open({.workers = 2, .max_in_flight = 1U << 20U});
    const auto count = [&](outcome&& how) { accepted += how.has_value() ? 1U : 0U; };
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const replace again{.instrument = 1, .side = side::buy, .price = 5, .quantity = 1};
      ASSERT_TRUE(e->tell<limit_order>(i % keys, again, count).has_value());
      ASSERT_TRUE(e->tell<limit_order>(i % keys, cancel{}, count).has_value());
      if (i % 64 == 0) {
        ASSERT_TRUE(e->ask<instrument>(1, print_trade{.price = 1, .quantity = 1}).has_value());
      }
    }
    e->stop();
  }
  EXPECT_EQ(accepted, 2 * rounds);
  std::map<std::pair<std::uint16_t, std::uint64_t>, std::uint64_t> versions;
  auto snapshot = log->snapshot();
  for (std::uint64_t p = 1; p <= (*snapshot)->tail().value(); ++p) {
    const auto record = (*snapshot)->at(log_position(p));
    const auto stream = record->stream();
    auto& version = versions[{stream.category().value(), stream.integer()}];
    EXPECT_EQ(record->version().value(), ++version);
  }
}

TEST_F(engine_test, refuses_more_commands_than_it_may_have_in_flight) {
  auto e = open({.max_in_flight = 2});
  gate_->close();
  std::latch both(2);
  const auto done = [&](outcome&&) { both.count_down(); };
  ASSERT_TRUE(e->tell<limit_order>(1, buy(1), done).has_value());
  ASSERT_TRUE(e->tell<limit_order>(2, buy(1), done).has_value());
  const auto third = e->tell<limit_order>(3, buy(1), [](outcome&&) { FAIL(); });
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code(), errc::overloaded);
  EXPECT_NE(third.error().message().find("max_in_flight"), std::string::npos);
  gate_->open();
  both.wait();
}

TEST_F(engine_test, answers_every_command_before_it_stops_and_none_after) {
  auto e = open({.max_in_flight = 1U << 20U});
  std::atomic<int> answered{0};
  for (std::uint64_t i = 0; i < 10'000; ++i)
    ASSERT_TRUE(e->tell<limit_order>(i, buy(1), [&](outcome&&) { ++answered; }).has_value());
  e->stop();
  EXPECT_EQ(answered, 10'000);
  EXPECT_EQ(log->tail(), log_position(10'000));
  const auto late = e->ask<limit_order>(1, buy(1));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code(), errc::engine_stopped);
}

TEST_F(engine_test, survives_a_decide_that_throws_and_stores_nothing_of_it) {
  auto e = engine::open<troublemaker>(std::make_unique<shared_log>(log));
  ASSERT_TRUE(e.has_value());
  const auto thrown = (*e)->ask<troublemaker>(1, {.throws = true});
  ASSERT_FALSE(thrown.has_value());
  EXPECT_EQ(thrown.error().code(), errc::handler_failed);
  EXPECT_NE(thrown.error().message().find("as told"), std::string::npos);
  const auto next = (*e)->ask<troublemaker>(1, {});
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->version, stream_version(1));
  EXPECT_EQ(next->position, log_position(1));
}

/// Throws where nobody expects it.
struct stillborn {
  static constexpr std::string_view category = "stillborn";
  struct state {
    state() { throw std::runtime_error("no state today"); }
  };
  struct command {};
  using events = domain::event_list<trade_printed>;

  static domain::decision decide(const state&, const command&, domain::emitter<stillborn>&) {
    return domain::accept();
  }
  static void evolve(state&, const trade_printed&) noexcept {}
};

TEST_F(engine_test, survives_a_state_that_cannot_be_made) {
  auto e = engine::open<stillborn>(std::make_unique<shared_log>(log));
  for (int i = 0; i < 2; ++i) {
    const auto failed = (*e)->ask<stillborn>(1, {});
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code(), errc::handler_failed);
    EXPECT_NE(failed.error().message().find("stillborn/1: making its state threw: no state"),
              std::string::npos)
      << failed.error().message();
  }
}

TEST_F(engine_test, refuses_an_event_over_the_size_limit_whole) {
  auto e = engine::open<troublemaker>(std::make_unique<shared_log>(log));
  ASSERT_TRUE(e.has_value());
  const auto large = (*e)->ask<troublemaker>(1, {.ballast = limits::max_payload_size});
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code(), errc::too_large);
  EXPECT_TRUE((*e)->ask<troublemaker>(1, {.ballast = limits::max_payload_size / 2}).has_value());
  EXPECT_EQ(log->tail(), log_position(1));
}

/// Two commands of 40 MiB and a small one wait behind a commit that is held: the next one reaches
/// its size within the second, and must take it whole.
TEST_F(engine_test, commits_a_command_whole_when_the_size_of_a_commit_is_reached_within_it) {
  const auto at = std::make_shared<gate>();
  auto e = engine::open<troublemaker>(std::make_unique<gated_log>(log, at), {.workers = 1});
  ASSERT_TRUE(e.has_value());
  const auto decided_before = troublemaker::decisions.load();
  std::atomic<int> receipts = 0;
  const auto tell = [&](std::uint64_t key, troublemaker::command command) {
    const auto count = [&](runtime::outcome&& how) { receipts += how.has_value() ? 1 : 0; };
    ASSERT_TRUE((*e)->tell<troublemaker>(key, command, count).has_value());
  };
  at->close();
  tell(1, {});
  at->wait_for_arrival();
  tell(1, {});
  tell(2, {.ballast = 1'000'000, .times = 40});
  tell(3, {.ballast = 1'000'000, .times = 40});
  tell(4, {}); // when this is decided, all before it are staged
  for (auto now = troublemaker::decisions.load(); now < decided_before + 5;
       now = troublemaker::decisions.load())
    troublemaker::decisions.wait(now);
  at->open();
  (*e)->stop();
  EXPECT_EQ(receipts, 5);
  EXPECT_EQ(log->tail(), log_position(83));
}

TEST_F(engine_test, refuses_a_command_over_the_size_limit_whole) {
  auto e = engine::open<troublemaker>(std::make_unique<shared_log>(log));
  ASSERT_TRUE(e.has_value());
  const auto large = (*e)->ask<troublemaker>(1, {.ballast = 1'000'000, .times = 70});
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code(), errc::too_large);
  EXPECT_EQ(log->tail(), log_position(0));
  EXPECT_TRUE((*e)->ask<troublemaker>(1, {.ballast = 1'000'000, .times = 60}).has_value());
}

TEST_F(engine_test, stages_commands_that_span_many_blocks) {
  auto e = engine::open<troublemaker>(std::make_unique<shared_log>(log));
  ASSERT_TRUE(e.has_value());
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto made = (*e)->ask<troublemaker>(i % 3, {.throws = i % 2 == 1, .ballast = i * 4'000});
    EXPECT_EQ(made.has_value(), i % 2 == 0);
  }
  EXPECT_EQ(headers().size(), 100U);
}

TEST_F(engine_test, refuses_unusable_options_and_doubled_categories) {
  const auto no_flight =
    engine::open<limit_order>(std::make_unique<shared_log>(log), {.max_in_flight = 0});
  ASSERT_FALSE(no_flight.has_value());
  EXPECT_EQ(no_flight.error().code(), errc::invalid_argument);
  const auto endless = engine::open<limit_order>(std::make_unique<shared_log>(log),
                                                 {.repeat_window = limits::max_repeat_window + 1});
  ASSERT_FALSE(endless.has_value());
  EXPECT_NE(endless.error().message().find("repeat_window"), std::string::npos);
  const auto twice = engine::open<limit_order, limit_order>(std::make_unique<shared_log>(log));
  ASSERT_FALSE(twice.has_value());
  EXPECT_NE(twice.error().message().find("limit_order"), std::string::npos);
  EXPECT_FALSE(engine::open<limit_order>(nullptr).has_value());
}

TEST_F(engine_test, refuses_commands_of_an_aggregate_that_is_not_the_streams) {
  auto e = open();
  const auto expect_refused = [](const outcome& how, const char* part) {
    ASSERT_FALSE(how.has_value());
    EXPECT_EQ(how.error().code(), errc::invalid_argument);
    EXPECT_NE(how.error().message().find(part), std::string::npos) << how.error().message();
  };
  expect_refused(e->ask<limit_order>(e->stream<instrument>(1), buy(1)), "instrument/1");
  expect_refused(e->ask<troublemaker>(1, {}), "engine::open<...>");
  const auto unheard = e->tell<limit_order>(1, buy(1), nullptr);
  ASSERT_FALSE(unheard.has_value());
  EXPECT_EQ(unheard.error().code(), errc::invalid_argument);
  EXPECT_TRUE(e->ask<limit_order>(1, buy(1)).has_value()) << "none of them counts as in flight";
}

TEST_F(engine_test, takes_any_number_as_the_limit_of_commands_in_flight) {
  auto e = open({.max_in_flight = std::numeric_limits<std::size_t>::max()});
  EXPECT_TRUE(e->ask<limit_order>(1, buy(1)).has_value());
}

TEST_F(engine_test, stores_no_event_that_could_not_be_read_again) {
  auto e = engine::open<troublemaker>(std::make_unique<shared_log>(log));
  const auto malformed = (*e)->ask<troublemaker>(1, {.ballast = 64, .malformed = true});
  ASSERT_FALSE(malformed.has_value());
  EXPECT_EQ(malformed.error().code(), errc::handler_failed);
  EXPECT_NE(malformed.error().message().find("verifier"), std::string::npos);
  EXPECT_EQ(log->tail(), log_position(0));
  EXPECT_TRUE((*e)->ask<troublemaker>(1, {}).has_value());
}

TEST_F(engine_test, refuses_a_stream_of_a_category_it_does_not_run) {
  auto e = open();
  const auto lost = e->ask<limit_order>(stream_id(category_id(99), 1), buy(1));
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code(), errc::invalid_argument);
}

} // namespace
} // namespace acta::tests
