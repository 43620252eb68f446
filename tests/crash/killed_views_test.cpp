// Each event counts once in views on disk whose process is killed at random moments, while handlers
// fail and projectors are started anew. In one process: tests/projections/exactly_once_test.cpp.
#include "../support/child_process.hpp"
#include "../support/scratch_directory.hpp"
#include "../support/wallet_tallies.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;

class killed_views : public testing::TestWithParam<std::uint32_t> {
protected:
  void open_log() {
    auto opened = storage::open_log(store, {.durability = storage::durability::process});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
  }

  /// What the log has up to its checkpoint, and no more.
  template <class View>
  void expect_folded(const View& view, projections::view_part which,
                     const storage::event_log& of) const {
    const auto found = tallies_of(view);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, fold(of, view.position(), which))
      << "part " << which.part << " of " << which.parts << " of " << view.name() << ", at position "
      << view.position().value() << " of " << of.tail().value();
  }

  /// All parts, as they were left.
  template <class View>
  void expect_left_folded() {
    for (std::uint32_t part = 0; part < parts; ++part) {
      const projections::view_part which{part, parts};
      const auto view = make_tallies<View>(which);
      const auto attached = view->attach(*log);
      ASSERT_TRUE(attached) << attached.error().message();
      expect_folded(*view, which, *log);
      left_part_way += log_position(0) < view->position() && view->position() < log->tail() ? 1 : 0;
    }
  }

  template <class View>
  void expect_caught_up(runtime::engine& engine) {
    fed_tallies<View> fed(engine, parts);
    for (std::uint32_t part = 0; part < parts; ++part)
      ASSERT_TRUE(fed.start(part, 50));
    const auto tail = engine.log().tail();
    for (std::uint32_t part = 0; part < parts; ++part) {
      const auto& one = fed.parts()[part];
      const auto there = one.projector->wait_for(tail, 5min);
      ASSERT_TRUE(there) << there.error().message();
      EXPECT_EQ(one.view->position(), tail);
      expect_folded(*one.view, {part, parts}, engine.log());
    }
  }

  const std::uint32_t parts = GetParam();
  const scratch_directory scratch{memory_folder()};
  const std::string store = (scratch.path() / "store").string();
  std::unique_ptr<storage::event_log> log;
  int left_part_way = 0; ///< Views that were killed between the beginning and the end of the log.
};

TEST_P(killed_views, have_each_event_once_wherever_they_were_killed) { // J175
  const int rounds = std::getenv("ACTA_LONG_TESTS") != nullptr ? 100 : 12;
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    told_program<std::uint64_t> victim(ACTA_VIEW_WRITER,
                                       {store, std::to_string(random()), std::to_string(parts)});
    // Every fourth round it is killed while it opens the store; else after some receipts.
    if (round % 4 != 3) {
      ASSERT_TRUE(victim.read_until(random() % 1'500 + 1)) << "it ended by itself";
    }
    // A random moment is what is tested here: nothing is waited for.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ASSERT_EQ(victim.kill(), SIGKILL);
    if (round % 2 == 1)
      continue; // the next finds what this one left
    open_log();
    if (!victim.lines.empty()) {
      EXPECT_GE(log->tail().value(), victim.lines.back());
    }
    expect_left_folded<lmdb_tallies>();
    expect_left_folded<sqlite_tallies>();
    log.reset();
  }
  EXPECT_GT(left_part_way, 0);
  open_log();
  auto engine = runtime::engine::open<wallet>(std::move(log));
  ASSERT_TRUE(engine) << engine.error().message();
  RecordProperty("events", std::to_string((*engine)->log().tail().value()));
  handlers_fail = failing::now_and_then;
  expect_caught_up<lmdb_tallies>(**engine);
  expect_caught_up<sqlite_tallies>(**engine);
  handlers_fail = failing::never;
}

INSTANTIATE_TEST_SUITE_P(parts, killed_views, testing::Values(1, 2, 3, 8),
                         testing::PrintToStringParamName());

} // namespace
} // namespace acta::tests
