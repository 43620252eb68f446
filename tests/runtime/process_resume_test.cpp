// Where process managers go on from: their notes, an archived log, what other versions of them
// left.
#include "../support/process_fixture.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/archive.hpp>
#include <acta/storage/stream_writer.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::process_journal;

/// A store on disk; mostly an engine that works in steps, by a clock that is moved.
class process_resume_test : public process_fixture {
protected:
  void SetUp() override { open_store(); }
  void TearDown() override { close(); } // before the clock

  void open_store() {
    auto opened = storage::open_log(store());
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
  }
  void open_in_steps() { open({.deterministic_seed = 1, .repeat_window = 0, .clock = &clock_}); }
  /// A clerk who notes its progress as often as it can.
  void begin(const runtime::process_options& options = {.note_every = 1}) {
    open_in_steps();
    start(options);
    engine_->run_until_idle();
  }
  template <class Manager>
  void begin_as() {
    open_in_steps();
    auto started = manager::start<Manager>(*engine_);
    ASSERT_TRUE(started) << started.error().message();
    clerk_ = std::move(*started);
    engine_->run_until_idle();
  }
  /// Asks, and lets everything come to rest.
  log_position asks(const ask_for& what) {
    const auto at = ask(what);
    engine_->run_until_idle();
    return at;
  }
  void pass(std::chrono::nanoseconds time) {
    clock_.advance_ns(time.count());
    engine_->run_until_idle();
  }

  [[nodiscard]] stream_id journal() const {
    return *stream_id::from_text(engine_->category<process_journal>(), clerk::name);
  }
  /// So that everything that happened can be archived.
  void truncate_all(const std::vector<std::uint64_t>& wallets) {
    ASSERT_TRUE(engine_->remove<desk>(1));
    for (const auto key : wallets)
      ASSERT_TRUE(engine_->remove<wallet>(key));
    ASSERT_TRUE(engine_->truncate<process_journal>(journal()));
  }
  void archive_before(log_position position) {
    close();
    log.reset();
    const auto done = storage::archive(store(), position, directory_.path() / "archive");
    ASSERT_TRUE(done) << done.error().message();
    ASSERT_EQ(done->first, position);
    open_store();
  }
  [[nodiscard]] error refusal() {
    open_in_steps();
    const auto started = manager::start<clerk>(*engine_);
    EXPECT_FALSE(started);
    return started ? error(errc::invalid_argument, "it was started") : started.error();
  }
  /// An event of the desk that another program wrote.
  void write(std::span<const std::byte> payload, std::uint16_t schema_version) {
    const storage::new_event event{.type =
                                     *log->register_event_type(asked::GetFullyQualifiedName()),
                                   .payload = payload,
                                   .schema_version = schema_version};
    const stream_id stream(*log->register_category(desk::category), 1);
    const storage::stream_append step{stream, expected_version::any(), {&event, 1}};
    const auto writer = storage::stream_writer::open(*log);
    ASSERT_TRUE(writer) << writer.error().message();
    ASSERT_TRUE((*writer)->append({&step, 1}));
  }

  [[nodiscard]] std::filesystem::path store() const { return directory_.path() / "store"; }

  scratch_directory directory_{memory_folder()};
  manual_clock clock_{1'000};
};

TEST_F(process_resume_test, goes_on_where_its_oldest_instance_began_though_the_log_before_is_gone) {
  begin();
  asks({deed::start, 1, 5});
  const auto oldest = asks({deed::start, 2, 50});
  asks({deed::must_continue, 1, 1}); // of one that has come to its end when this is read again
  asks({deed::start, 1, 1});
  asks({deed::stop, 1, 1});
  asks({deed::continue_with, 2, 1});
  EXPECT_EQ(progress_of(*engine_).from, oldest.value());
  truncate_all({1, 2});
  archive_before(oldest);
  begin();
  const auto before = moved();
  asks({deed::continue_with, 1, 5}); // it is not there again
  asks({deed::must_continue, 2, 1});
  ASSERT_TRUE(clerk_->status()) << clerk_->status().error().message();
  auto expected = before;
  expected.push_back("2:+52");
  EXPECT_EQ(moved(), expected);
}

TEST_F(process_resume_test, is_refused_where_the_events_of_its_instances_were_archived) {
  begin();
  const auto oldest = asks({deed::start, 1, 5});
  asks({deed::start, 1, 1});
  truncate_all({1});
  archive_before(oldest.next());
  const auto why = refusal();
  EXPECT_EQ(why.code(), errc::not_found);
  EXPECT_EQ(why.message(),
            "process manager 'clerk': it goes on from position 2, which was archived: the log "
            "begins at 3. Open a backup from before that, or let it begin there as a new one: "
            "remove its journal, acta.process/clerk");
  ASSERT_TRUE(engine_->remove<process_journal>(journal()));
  start();
  engine_->run_until_idle();
  EXPECT_EQ(progress_of(*engine_).from, 3U);
  EXPECT_TRUE(clerk_->status());
}

TEST_F(process_resume_test, begins_where_an_archived_log_does_when_it_is_new) {
  open_in_steps();
  const auto gone = ask({deed::start, 1, 5});
  ask({deed::start, 2, 7});
  ASSERT_TRUE(engine_->remove<desk>(1));
  archive_before(gone.next());
  begin();
  EXPECT_EQ(progress_of(*engine_).from, gone.next().value());
  EXPECT_EQ(moved(), steps{"2:+7"});
  close();
  begin();
  EXPECT_EQ(moved(), steps{"2:+7"});
  asks({deed::must_continue, 1, 1});
  ASSERT_FALSE(clerk_->status());
  EXPECT_EQ(clerk_->status().error().code(), errc::not_found) << "whose beginning it has not seen";
}

TEST_F(process_resume_test, is_not_taken_for_new_where_it_noted_nothing_but_its_beginning) {
  begin({}); // which notes little
  const auto at = asks({deed::start, 1, 5});
  EXPECT_EQ(progress_of(*engine_).settled, 0U);
  truncate_all({1});
  archive_before(at);
  EXPECT_EQ(refusal().code(), errc::not_found);
}

TEST_F(process_resume_test, goes_on_from_a_note_of_an_older_program) {
  open_in_steps();
  const auto at = ask({deed::start, 1, 5});
  ASSERT_TRUE(engine_->ask<process_journal>(journal(), runtime::settle_process{at.value()}));
  start();
  engine_->run_until_idle();
  EXPECT_EQ(moved(), steps{}) << "it was settled";
  asks({deed::must_continue, 1, 1});
  EXPECT_EQ(moved(), steps{"1:+6"});
  truncate_all({1});
  archive_before(at.next());
  EXPECT_EQ(refusal().code(), errc::not_found) << "its states are made from position 1 on";
}

TEST_F(process_resume_test, does_not_write_for_each_event_that_is_not_for_it) {
  begin({.note_every = 10});
  for (int i = 0; i < 400; ++i)
    put(7, 1);
  engine_->run_until_idle();
  EXPECT_EQ(clerk_->position(), log->tail());
  EXPECT_LE(records(process_journal::category).size(), 4U) << "one each 160, and its beginning";
  EXPECT_GE(progress_of(*engine_).settled + 170, log->tail().value());
  EXPECT_GE(progress_of(*engine_).from + 170, log->tail().value());
}

TEST_F(process_resume_test, a_note_waits_for_all_that_was_sent_before) {
  begin();
  const auto waits = asks({deed::start, 1, -clerk::retried});
  asks({deed::start, 2, 5});
  asks({deed::stop, 2, 1});
  asks({deed::start, 3, 5});
  EXPECT_LT(progress_of(*engine_).settled, waits.value());
  close();
  begin();
  EXPECT_EQ(moved(), (steps{"2:+5", "2:+6", "3:+5"}));
  put(1, 300);
  pass(1ms);
  EXPECT_EQ(moved(), (steps{"2:+5", "2:+6", "3:+5", "1:+300", "1:-300"}));
  asks({deed::continue_with, 2, 5}); // ended ahead of the first
  EXPECT_EQ(moved().size(), 5U);
  EXPECT_GT(progress_of(*engine_).settled, waits.value());
  EXPECT_EQ(progress_of(*engine_).from, waits.value());
}

TEST_F(process_resume_test, pauses_by_the_engines_clock) {
  begin();
  const auto at = asks({deed::start, 1, -clerk::retried}); // in a millisecond
  put(1, 300);
  pass(999'999ns);
  EXPECT_EQ(moved(), steps{"1:+300"});
  EXPECT_LT(clerk_->position(), at);
  pass(1ns);
  EXPECT_EQ(moved(), (steps{"1:+300", "1:-300"}));
  EXPECT_EQ(clerk_->position(), log->tail());
}

TEST_F(process_resume_test, a_pause_ends_when_the_clock_is_set_back) {
  begin();
  asks({deed::start, 1, -clerk::retried});
  put(1, 300);
  pass(-1ns);
  EXPECT_EQ(moved(), (steps{"1:+300", "1:-300"})) << "it would last as long as the clock is behind";
}

TEST_F(process_resume_test, is_woken_when_the_clock_is_moved_with_threads_too) {
  open({.clock = &clock_});
  start();
  const auto at = ask({deed::start, 1, -clerk::retried});
  put(1, 300);
  result<void> settled;
  int moves = 0;
  do {
    clock_.advance_ns(1'000'000);
    settled = clerk_->wait_for(at, 10ms);
  } while (!settled && ++moves < 1'000);
  EXPECT_TRUE(settled) << settled.error().message();
}

TEST_F(process_resume_test, an_engine_that_is_stopped_while_it_waits_stops_it) {
  open({.clock = &clock_});
  start();
  const auto at = ask({deed::start, 1, -clerk::retried});
  put(1, 200);
  engine_->stop();
  result<void> settled;
  int moves = 0;
  do {
    clock_.advance_ns(1'000'000);
    settled = clerk_->wait_for(at, 10ms);
  } while (!settled && settled.error().code() == errc::timed_out && ++moves < 1'000);
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().code(), errc::engine_stopped) << settled.error().message();
  close();
  begin();
  put(1, 100);
  pass(1ms);
  EXPECT_EQ(moved(), (steps{"1:+200", "1:+100", "1:-300"}));
}

/// Waits for money as long as there are numbers.
struct patient {
  static constexpr std::string_view name = "patient";
  struct state {};
  using events = domain::event_list<asked>;
  using targets = domain::aggregate_list<wallet>;
  static domain::route route(const asked& e, const domain::event_origin&) {
    return domain::start(e.instance());
  }
  static void handle(const state&, const asked& e, const domain::event_origin&,
                     domain::commands<patient>& to) {
    to.send<wallet>(to.instance(), take_out{e.amount()});
  }
  static void evolve(state&, const asked&, const domain::event_origin&) noexcept {}
  static domain::on_failure<patient> failed(const state&, const domain::failed_command<patient>&) {
    return domain::on_failure<patient>::retry(std::chrono::nanoseconds::max());
  }
};

TEST_F(process_resume_test, the_longest_pause_is_no_obstacle_to_its_end) {
  begin_as<patient>();
  const auto at = asks({deed::start, 1, 5});
  pass(24h);
  EXPECT_LT(clerk_->position(), at);
  EXPECT_TRUE(clerk_->status());
  put(1, 5);
  close();
  begin_as<patient>();
  EXPECT_EQ(moved(), (steps{"1:+5", "1:-5"})) << "as it is new to this one";
}

/// Versions of one manager, which send each event to so many wallets.
template <std::uint64_t Wallets>
struct divider {
  static constexpr std::string_view name = "divider";
  struct state {};
  using events = domain::event_list<asked>;
  using targets = domain::aggregate_list<wallet>;
  static domain::route route(const asked& e, const domain::event_origin&) {
    return domain::start(e.instance());
  }
  static void handle(const state&, const asked& e, const domain::event_origin&,
                     domain::commands<divider>& to) {
    for (std::uint64_t i = 1; i <= Wallets; ++i)
      to.template send<wallet>(i, put_in{e.amount()});
  }
  static void evolve(state&, const asked&, const domain::event_origin&) noexcept {}
};

TEST_F(process_resume_test, another_version_of_it_sends_what_the_one_before_did_not) {
  begin_as<divider<2>>();
  asks({deed::start, 1, 5});
  close();
  begin_as<divider<3>>();
  EXPECT_EQ(moved(), (steps{"1:+5", "2:+5", "3:+5"}));
  close();
  begin_as<divider<1>>();
  asks({deed::start, 1, 7});
  EXPECT_EQ(moved(), (steps{"1:+5", "2:+5", "3:+5", "1:+7"}));
}

TEST_F(process_resume_test, sends_nothing_again_though_all_streams_it_had_to_do_with_are_removed) {
  begin({});
  asks({deed::start, 1, 5});
  asks({deed::put_in_two, 1, 1});
  const auto before = moved();
  ASSERT_EQ(before.size(), 3U);
  ASSERT_TRUE(engine_->remove<desk>(1));
  ASSERT_TRUE(engine_->remove<wallet>(1));
  ASSERT_TRUE(engine_->remove<wallet>(clerk::second_wallet));
  ASSERT_TRUE(engine_->remove<process_journal>(journal()));
  close();
  begin({});
  EXPECT_EQ(moved(), before);
  asks({deed::continue_with, 1, 1});
  EXPECT_EQ(moved().back(), "1:+7");
}

TEST_F(process_resume_test, handles_events_of_a_stream_that_was_removed_before_it_saw_them) {
  open_in_steps();
  ask({deed::start, 1, 5});
  ASSERT_TRUE(engine_->remove<desk>(1));
  close();
  begin();
  EXPECT_EQ(moved(), steps{"1:+5"});
}

TEST_F(process_resume_test, stops_before_an_event_of_a_newer_program) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Createasked(builder, 0, 1, 5));
  write(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())), 2);
  begin();
  ASSERT_FALSE(clerk_->status());
  EXPECT_EQ(clerk_->status().error().code(), errc::incompatible_schema);
  EXPECT_EQ(clerk_->status().error().message(),
            "process manager 'clerk': position 1: event type 'acta.tests.asked' version 2 is newer "
            "than this program knows; use a newer program");
  EXPECT_EQ(clerk_->position(), log_position());
}

TEST_F(process_resume_test, stops_before_an_event_that_is_damaged) {
  const std::string_view rubbish = "no FlatBuffer";
  write(std::as_bytes(std::span(rubbish)), 1);
  begin();
  ASSERT_FALSE(clerk_->status());
  EXPECT_EQ(clerk_->status().error().code(), errc::corrupt);
  EXPECT_EQ(clerk_->position(), log_position());
}

} // namespace
} // namespace acta::tests
