// What an engine refuses and survives: aggregates that misbehave, limits, unusable arguments.
#include "../support/engine_fixture.hpp"
#include "../support/log_doubles.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/base/limits.hpp>
#include <acta/storage/faulty_log.hpp>

#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

namespace acta::tests {
namespace {

using namespace domain::trading;
using runtime::engine;
using runtime::outcome;

class refusals_test : public engine_fixture {};

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

TEST_F(refusals_test, survives_a_decide_that_throws_and_stores_nothing_of_it) { // G119
  auto e = engine::open<troublemaker>(std::make_unique<storage::forwarding_log>(log));
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

TEST_F(refusals_test, survives_a_state_that_cannot_be_made) {
  auto e = engine::open<stillborn>(std::make_unique<storage::forwarding_log>(log));
  for (int i = 0; i < 2; ++i) {
    const auto failed = (*e)->ask<stillborn>(1, {});
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code(), errc::handler_failed);
    EXPECT_NE(failed.error().message().find("stillborn/1: making its state threw: no state"),
              std::string::npos)
      << failed.error().message();
  }
}

TEST_F(refusals_test, refuses_an_event_over_the_size_limit_whole) {
  auto e = engine::open<troublemaker>(std::make_unique<storage::forwarding_log>(log));
  ASSERT_TRUE(e.has_value());
  const auto large = (*e)->ask<troublemaker>(1, {.ballast = limits::max_payload_size});
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code(), errc::too_large);
  EXPECT_TRUE((*e)->ask<troublemaker>(1, {.ballast = limits::max_payload_size / 2}).has_value());
  EXPECT_EQ(log->tail(), log_position(1));
}

/// Two commands of 40 MiB and a small one wait behind a commit that is held: the next one reaches
/// its size within the second, and must take it whole.
TEST_F(refusals_test, commits_a_command_whole_when_the_size_of_a_commit_is_reached_within_it) {
  auto e = engine::open<troublemaker>(storage::make_faulty_log(log, faults_), {.workers = 1});
  ASSERT_TRUE(e.has_value());
  const auto decided_before = troublemaker::decisions.load();
  std::atomic<int> receipts = 0;
  const auto tell = [&](std::uint64_t key, troublemaker::command command) {
    const auto count = [&](runtime::outcome&& how) { receipts += how.has_value() ? 1 : 0; };
    ASSERT_TRUE((*e)->tell<troublemaker>(key, command, count).has_value());
  };
  faults_->hold_commits();
  tell(1, {});
  faults_->wait_for_held_commit();
  tell(1, {});
  tell(2, {.ballast = 1'000'000, .times = 40});
  tell(3, {.ballast = 1'000'000, .times = 40});
  tell(4, {}); // when this is decided, all before it are staged
  for (auto now = troublemaker::decisions.load(); now < decided_before + 5;
       now = troublemaker::decisions.load())
    troublemaker::decisions.wait(now);
  faults_->release_commits();
  (*e)->stop();
  EXPECT_EQ(receipts, 5);
  EXPECT_EQ(log->tail(), log_position(83));
}

TEST_F(refusals_test, refuses_a_command_over_the_size_limit_whole) {
  auto e = engine::open<troublemaker>(std::make_unique<storage::forwarding_log>(log));
  ASSERT_TRUE(e.has_value());
  const auto large = (*e)->ask<troublemaker>(1, {.ballast = 1'000'000, .times = 70});
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code(), errc::too_large);
  EXPECT_EQ(log->tail(), log_position(0));
  EXPECT_TRUE((*e)->ask<troublemaker>(1, {.ballast = 1'000'000, .times = 60}).has_value());
}

TEST_F(refusals_test, stages_commands_that_span_many_blocks) { // G133
  auto e = engine::open<troublemaker>(std::make_unique<storage::forwarding_log>(log));
  ASSERT_TRUE(e.has_value());
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto made = (*e)->ask<troublemaker>(i % 3, {.throws = i % 2 == 1, .ballast = i * 4'000});
    EXPECT_EQ(made.has_value(), i % 2 == 0);
  }
  EXPECT_EQ(headers().size(), 100U);
}

/// The index's disk stands still, and then does not.
TEST_F(refusals_test, refuses_commands_while_the_index_is_too_far_behind_and_takes_them_then) {
  const scratch_directory directory(memory_folder());
  auto opened = storage::open_log(directory.path() / "store");
  ASSERT_TRUE(opened) << opened.error().message();
  const auto held = std::make_shared<held_index_log::state>();
  held->at.close();
  const std::shared_ptr<storage::event_log> on_disk = std::move(*opened);
  auto engine = engine::open<troublemaker>(std::make_unique<held_index_log>(on_disk, held),
                                           {.index = {.memory = 65'536}});
  ASSERT_TRUE(engine) << engine.error().message();
  constexpr std::size_t events = 1'000;
  constexpr std::size_t more_than_enough = 1'000;
  std::size_t done = 0;
  outcome refused = runtime::receipt{};
  for (; refused && done < more_than_enough; done += refused ? 1U : 0U)
    refused = (*engine)->ask<troublemaker>(1, {.times = events});
  ASSERT_FALSE(refused) << "the index is " << done * events << " events behind";
  EXPECT_EQ(refused.error().code(), errc::overloaded);
  EXPECT_NE(refused.error().message().find("events behind the log"), std::string::npos)
    << refused.error().message();
  EXPECT_GT(done * events, 131'072U);
  EXPECT_EQ((*engine)->log().tail(), log_position(done * events)) << "nothing of it was stored";
  held->at.open();
  auto again = (*engine)->ask<troublemaker>(1, {.times = 1});
  for (; !again; again = (*engine)->ask<troublemaker>(1, {.times = 1})) {
    ASSERT_EQ(again.error().code(), errc::overloaded) << again.error().message();
    std::this_thread::yield();
  }
  EXPECT_EQ(again->version, stream_version(done * events + 1));
  const auto snapshot = (*engine)->log().snapshot();
  const auto read = (*engine)->read((*engine)->stream<troublemaker>(1), **snapshot);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->records.size(), done * events + 1);
}

TEST_F(refusals_test, refuses_unusable_options_and_doubled_categories) {
  const auto no_flight =
    engine::open<limit_order>(std::make_unique<storage::forwarding_log>(log), {.max_in_flight = 0});
  ASSERT_FALSE(no_flight.has_value());
  EXPECT_EQ(no_flight.error().code(), errc::invalid_argument);
  const auto endless = engine::open<limit_order>(std::make_unique<storage::forwarding_log>(log),
                                                 {.repeat_window = limits::max_repeat_window + 1});
  ASSERT_FALSE(endless.has_value());
  EXPECT_NE(endless.error().message().find("repeat_window"), std::string::npos);
  const auto crowded = engine::open<limit_order>(std::make_unique<storage::forwarding_log>(log),
                                                 {.workers = limits::max_workers + 1});
  ASSERT_FALSE(crowded.has_value());
  EXPECT_NE(crowded.error().message().find("at most 1024"), std::string::npos);
  const auto twice =
    engine::open<limit_order, limit_order>(std::make_unique<storage::forwarding_log>(log));
  ASSERT_FALSE(twice.has_value());
  EXPECT_NE(twice.error().message().find("limit_order"), std::string::npos);
  EXPECT_FALSE(engine::open<limit_order>(nullptr).has_value());
}

TEST_F(refusals_test, refuses_commands_of_an_aggregate_that_is_not_the_streams) {
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

TEST_F(refusals_test, takes_any_number_as_the_limit_of_commands_in_flight) {
  auto e = open({.max_in_flight = std::numeric_limits<std::size_t>::max()});
  EXPECT_TRUE(e->ask<limit_order>(1, buy(1)).has_value());
}

// C58
TEST_F(refusals_test, stores_no_event_that_could_not_be_read_again_but_those_around_it) { // G127
  auto e = engine::open<troublemaker>(std::make_unique<storage::forwarding_log>(log));
  EXPECT_EQ((*e)->ask<troublemaker>(1, {})->version, stream_version(1));
  const auto malformed = (*e)->ask<troublemaker>(1, {.ballast = 64, .malformed = true});
  ASSERT_FALSE(malformed.has_value());
  EXPECT_EQ(malformed.error().code(), errc::handler_failed);
  EXPECT_NE(malformed.error().message().find("verifier"), std::string::npos);
  EXPECT_EQ(log->tail(), log_position(1));
  EXPECT_EQ((*e)->ask<troublemaker>(1, {})->version, stream_version(2));
}

TEST_F(refusals_test, refuses_a_stream_of_a_category_it_does_not_run) {
  auto e = open();
  const auto lost = e->ask<limit_order>(stream_id(category_id(99), 1), buy(1));
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code(), errc::invalid_argument);
}

} // namespace
} // namespace acta::tests
