// Timers in whatever order things happen: a deterministic engine, killed and opened again.
#include "../support/alarm.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/runtime/timer_generated.h>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/truncation.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

namespace acta::tests {
namespace {

using runtime::engine;

/// What a log says of timers, read with nothing but what docs/format.md tells of it.
class told_by_log {
public:
  explicit told_by_log(const storage::event_log& log) : log_(log) {}

  void read() {
    const auto now = log_.snapshot();
    for (auto at = log_position(1); at <= (*now)->tail(); at = at.next()) {
      const auto record = (*now)->at(at);
      ASSERT_TRUE(record) << record.error().message();
      SCOPED_TRACE("position " + std::to_string(at.value()));
      const auto type = log_.event_type_name(record->event_type());
      const auto key = record->integer_key();
      if (type == added::GetFullyQualifiedName()) {
        ASSERT_EQ(rings_, 0) << "a timer that fires emits one event, and its record follows";
        rings_ = flatbuffers::GetRoot<added>(record->payload().data())->amount();
      } else if (type == runtime::timer::GetFullyQualifiedName()) {
        const auto* read = flatbuffers::GetRoot<runtime::timer>(record->payload().data());
        note(key, read->id(), read->due_ns(), record->header().recorded_at_ns);
        ASSERT_EQ(record->header().remaining, 0) << "one a command, behind its event";
      } else if (type == storage::truncated_event && storage::read_truncation(*record)->removed) {
        std::erase_if(pending, [&](const auto& one) { return one.first.first == key; });
      }
    }
    ASSERT_EQ(rings_, 0);
  }

  using timer_of = std::pair<std::uint64_t, std::uint64_t>; ///< The alarm, and its id.
  std::map<timer_of, std::int64_t> pending;
  std::uint64_t fired = 0;
  std::uint64_t cancelled = 0;

private:
  void note(std::uint64_t key, std::uint64_t id, std::int64_t due, std::int64_t at) {
    const auto before = pending.find({key, id});
    if (due != 0) {
      ASSERT_EQ(rings_, 0);
      ASSERT_TRUE(before == pending.end() || before->second != due) << "nothing changed";
      pending[{key, id}] = due;
      return;
    }
    ASSERT_NE(before, pending.end()) << "it was not pending";
    if (rings_ != 0) {
      ASSERT_EQ(rings_, static_cast<std::int64_t>(id));
      ASSERT_LE(before->second, at) << "too early";
    }
    (rings_ != 0 ? fired : cancelled) += 1;
    rings_ = 0;
    pending.erase(before);
  }

  const storage::event_log& log_;
  std::int64_t rings_ = 0; ///< Of the event before, in the same command.
};

class trial {
public:
  trial(std::uint64_t seed, bool on_disk) : seed_(seed), random_(seed), on_disk_(on_disk) {
    if (!on_disk_) {
      log_ = storage::make_memory_log();
      snapshots_ = std::move(*storage::open_snapshots(*log_));
    }
  }

  void run() {
    const auto lifetimes = 2 + draw(3);
    for (std::uint64_t i = 0; i <= lifetimes && !testing::Test::HasFailure(); ++i) {
      open(i);
      if (i < lifetimes)
        live();
      else
        come_to_rest();
      close();
    }
  }

  std::uint64_t fired = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t failures = 0;

private:
  [[nodiscard]] std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  [[nodiscard]] std::filesystem::path checkpoint() const { return directory_.path() / "timers"; }

  void open(std::uint64_t lifetime) {
    if (on_disk_) {
      log_.reset();
      auto opened =
        storage::open_log(directory_.path(), {.durability = storage::durability::process});
      ASSERT_TRUE(opened) << opened.error().message();
      log_ = std::move(*opened);
    }
    faults_ = std::make_shared<storage::log_faults>();
    auto opened = engine::open<alarm>(storage::make_faulty_log(log_, faults_),
                                      {.deterministic_seed = seed_ * 8 + lifetime,
                                       .max_in_flight = 1 + draw(20),
                                       .snapshot_every = 1 + draw(6),
                                       .snapshots = snapshots_,
                                       .clock = &clock_});
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
  }

  void live() {
    if (draw(3) == 0)
      faults_->fail_commit(1 + draw(20));
    const auto actions = 10 + draw(30);
    for (std::uint64_t i = 0; i < actions && !testing::Test::HasFailure(); ++i) {
      act();
      auto steps = draw(6);
      while (steps != 0 && engine_->run_one())
        --steps;
    }
  }

  void act() {
    const auto key = draw(4);
    switch (draw(16)) {
      case 0: (void)engine_->truncate<alarm>(key); return;
      case 1: (void)engine_->remove<alarm>(key); return;
      case 2:
        engine_->run_until_idle();
        check_that_none_is_late();
        return;
      case 3:
      case 4:
      case 5: clock_.advance_ns(static_cast<std::int64_t>(draw(200))); return;
      default: break;
    }
    const auto due = draw(4) == 0 ? 0 : clock_.now_ns() - 20 + static_cast<std::int64_t>(draw(400));
    (void)engine_->tell<alarm>(key, set_bell{timer_id(100 + draw(3)), due},
                               [](runtime::outcome&&) {});
  }

  /// After all was done that could be.
  void check_that_none_is_late() {
    told_by_log says(*log_);
    says.read();
    if (engine_->failed())
      return;
    for (const auto& [of, due] : says.pending)
      EXPECT_GT(due, clock_.now_ns()) << "alarm " << of.first << ", timer " << of.second;
  }

  void come_to_rest() {
    engine_->run_until_idle();
    clock_.advance_ns(1'000'000);
    engine_->run_until_idle();
    ASSERT_FALSE(engine_->failed());
    told_by_log says(*log_);
    says.read();
    EXPECT_TRUE(says.pending.empty());
    fired += says.fired;
    cancelled += says.cancelled;
  }

  /// On disk the checkpoint is then sometimes that of an earlier time, as after a kill, or gone.
  void close() {
    failures += engine_->failed() ? 1U : 0U;
    const auto old = directory_.path().string() + ".timers";
    const bool kept = on_disk_ && draw(3) == 0 && std::filesystem::exists(checkpoint());
    if (kept)
      std::filesystem::copy_file(checkpoint(), old);
    engine_.reset();
    if (kept)
      std::filesystem::rename(old, checkpoint());
    else if (on_disk_ && draw(3) == 0)
      std::filesystem::remove(checkpoint());
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
  bool on_disk_;
  manual_clock clock_{10'000};
  scratch_directory directory_;
  std::shared_ptr<storage::event_log> log_;
  std::shared_ptr<storage::snapshot_store> snapshots_;
  std::shared_ptr<storage::log_faults> faults_;
  std::unique_ptr<engine> engine_;
};

/// 10,000 if ACTA_LONG_TESTS is set.
[[nodiscard]] std::uint64_t number_of_seeds() {
  return std::getenv("ACTA_LONG_TESTS") != nullptr ? 10'000 : 300;
}

TEST(timer_seeds_test, each_timer_fires_once_and_not_before_it_is_due) {
  std::uint64_t fired = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t failures = 0;
  for (std::uint64_t seed = 0; seed < number_of_seeds() && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    trial one(seed, seed % 50 == 0); // on disk, which takes its time
    one.run();
    fired += one.fired;
    cancelled += one.cancelled;
    failures += one.failures;
  }
  // What would be left out silently if the trials were other than they seem.
  EXPECT_GT(fired, 10 * number_of_seeds());
  EXPECT_GT(cancelled, number_of_seeds());
  EXPECT_GT(failures, number_of_seeds() / 4);
}

} // namespace
} // namespace acta::tests
