#include "../support/scratch_directory.hpp"
#include "ledger_model.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using runtime::engine;
using runtime::outcome;
using runtime::receipt;

/// Fails its n-th append of records, and none after that: they would be stored, if they came.
class failing_log final : public storage::forwarding_log {
public:
  failing_log(std::shared_ptr<storage::event_log> to, std::optional<std::uint64_t> nth)
      : forwarding_log(std::move(to)), appends_until_failure_(nth) {}

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override {
    if (!records.empty() && appends_until_failure_ && (*appends_until_failure_)-- == 1)
      return failure(errc::no_space, "failing_log: told to fail");
    return forwarding_log::append(records, recorded_at_ns);
  }

private:
  std::optional<std::uint64_t> appends_until_failure_;
};

/// One seed: some lifetimes of an engine over one log, in which commands, steps, truncations and
/// failures come as the seed has it. What must hold is checked after each step, by each outcome,
/// and over the whole log after each lifetime.
class trial {
public:
  trial(std::uint64_t seed, bool on_disk) : seed_(seed), random_(seed), on_disk_(on_disk) {
    if (on_disk_) {
      directory_ = std::make_unique<scratch_directory>();
      return;
    }
    log_ = storage::make_memory_log();
    snapshots_ = std::move(*storage::open_snapshots(*log_));
  }

  void run() {
    const auto lifetimes = 1 + draw(3);
    for (std::uint64_t i = 0; i < lifetimes && !testing::Test::HasFailure(); ++i) {
      open(i);
      live();
      close();
      check_log();
    }
  }

  /// What happened, in order: the same for the same seed.
  [[nodiscard]] const std::string& trace() const noexcept { return trace_; }
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
  [[nodiscard]] std::uint64_t repeats() const noexcept { return repeats_; }
  [[nodiscard]] std::uint64_t loads() const noexcept { return loads_; }

private:
  static constexpr std::uint64_t ledgers = 4;

  [[nodiscard]] std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  void open(std::uint64_t lifetime) {
    if (on_disk_) {
      log_.reset();
      auto opened =
        storage::open_log(directory_->path(), {.durability = storage::durability::process});
      ASSERT_TRUE(opened) << opened.error().message();
      log_ = std::move(*opened);
    }
    will_fail_ = draw(3) == 0;
    const auto nth = will_fail_ ? std::optional(1 + draw(10)) : std::nullopt;
    failed_ = false;
    auto opened = engine::open<ledger>(std::make_unique<failing_log>(log_, nth),
                                       {.deterministic_seed = seed_ * 8 + lifetime,
                                        .repeat_window = ledger_model::window,
                                        .snapshot_every = 1 + draw(6),
                                        .snapshots = snapshots_,
                                        .clock = &clock_});
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
    category_ = engine_->category<ledger>();
    subscription_ = engine_->on_tail([this](log_position tail) { check_tail(tail); });
  }

  void live() {
    const auto actions = 10 + draw(40);
    for (std::uint64_t i = 0; i < actions && !testing::Test::HasFailure(); ++i) {
      act();
      clock_.advance_ns(1);
      auto steps = draw(6);
      while (steps != 0 && engine_->run_one())
        --steps;
    }
  }

  void act() {
    const auto key = draw(ledgers);
    const auto which = draw(32);
    if (which == 0)
      note_truncation(key, engine_->truncate<ledger>(key), false);
    else if (which == 1)
      note_truncation(key, engine_->remove<ledger>(key), true);
    else
      tell(key);
  }

  void tell(std::uint64_t key) {
    ledger::command what{.does = ledger::deed::add,
                         .amount = 1 + static_cast<int>(draw(3)),
                         .times = static_cast<int>(draw(4))};
    if (const auto other = draw(8); other == 0)
      what.does = ledger::deed::refuse;
    else if (other == 1)
      what.does = ledger::deed::fail;
    std::uint64_t id = 0; // of every fourth none; of others one used before, or a new one
    if (draw(4) != 0)
      id = ids_.at(key) != 0 && draw(3) == 0 ? 1 + draw(ids_.at(key)) : ++ids_.at(key);
    const auto number = sent_.size();
    const auto sent = engine_->tell<ledger>(
      key, what, [this, number](outcome&& how) { settle(number, std::move(how)); },
      {id == 0 ? command_id{} : command_id::of(key + 1, id)});
    if (!sent) {
      // The engine knows of a failed commit before those who wait for it are told.
      ASSERT_TRUE(engine_->failed() && sent.error().code() == errc::commit_failed)
        << sent.error().message();
      return;
    }
    sent_.push_back({key, id, models_.at(key).handle(what, id), false});
  }

  /// A command's outcome is what the model says, if its commit did not fail.
  void settle(std::size_t number, outcome&& how) {
    auto& one = sent_.at(number);
    EXPECT_FALSE(std::exchange(one.settled, true)) << "a command has one outcome";
    ++settled_;
    trace_ += std::to_string(number) + (how ? '@' + std::to_string(how->position.value()) : "!");
    if (!how && how.error().code() == errc::commit_failed) { // I5
      EXPECT_TRUE(will_fail_);
      failed_ = true;
      return;
    }
    const auto& expected = one.expected;
    if (failed_)
      EXPECT_TRUE(how && how->repeat) << "what was stored before it, at most";
    else
      models_.at(one.key).commit(expected.turn);
    if (!how) {
      EXPECT_EQ(how.error().code(), expected.code) << how.error().message();
      if (expected.code == errc::rejected) {
        EXPECT_EQ(how.error().rejection(), expected.rejection) << "decided on another state";
      }
      return;
    }
    EXPECT_EQ(expected.code, errc{});
    EXPECT_EQ(how->version.value(), expected.version);
    EXPECT_EQ(how->events, expected.events);
    EXPECT_EQ(how->repeat, expected.repeat);
    EXPECT_LE(how->position, log_->tail()) << "before it is in the log"; // I1
    if (how->events != 0)
      check_receipt(one.key, one.id, *how);
  }

  void check_receipt(std::uint64_t key, std::uint64_t id, const receipt& given) {
    const auto now = log_->snapshot();
    const auto last = (*now)->at(given.position);
    ASSERT_TRUE(last) << last.error().message();
    EXPECT_TRUE(last->is_of(stream_id(category_, key)));
    EXPECT_EQ(last->version(), given.version);
    EXPECT_EQ(last->header().remaining, 0);
    if (given.repeat) { // I8
      ++repeats_;
      EXPECT_EQ(last->header().command, command_id::of(key + 1, id));
      EXPECT_EQ(first_.at({key, given.version}), given.position);
      return;
    }
    first_[{key, given.version}] = given.position;
    EXPECT_TRUE(accepted_.emplace(given.position, given.events).second);
  }

  /// Done by the time it returns, and handled behind all commands sent before.
  void note_truncation(std::uint64_t key, const outcome& how, bool removes) {
    if (!how) {
      ASSERT_EQ(how.error().code(), errc::commit_failed) << how.error().message();
      failed_ = true;
      return;
    }
    auto& model = models_.at(key);
    EXPECT_EQ(how->version.value(), model.now().version);
    EXPECT_LE(how->position, log_->tail());
    if (removes)
      model.remove();
    trace_ += 't';
  }

  /// The log never ends within a command: they are committed whole.
  void check_tail(log_position tail) const { // I3
    const auto now = log_->snapshot();
    const auto last = (*now)->at(tail);
    ASSERT_TRUE(last) << last.error().message();
    EXPECT_EQ(last->header().remaining, 0);
  }

  void close() {
    if (engine_ == nullptr)
      return;
    subscription_.reset();
    const auto way = draw(3);
    if (way == 0)
      engine_->run_until_idle();
    if (way == 1)
      engine_->stop();
    engine_.reset();
    EXPECT_EQ(settled_, sent_.size()) << "every command that was taken is answered";
    failures_ += failed_ ? 1U : 0U;
    for (auto& one : models_) {
      if (failed_)
        one.fall_back();
      loads_ += one.now().version != 0 ? 1U : 0U;
    }
  }

  void check_log() {
    std::map<std::string, std::uint64_t> versions;
    std::uint64_t commands = 0;
    std::uint32_t events = 0;
    std::uint16_t remaining = 0;
    storage::record_view before;
    const auto now = log_->snapshot();
    for (log_position at(1); at <= (*now)->tail(); at = at.next()) { // I2: no gap
      const auto record = (*now)->at(at);
      ASSERT_TRUE(record) << record.error().message();
      ASSERT_TRUE(record->verify());
      ASSERT_EQ(record->version().value(), ++versions[record->stream().to_string()]); // I2
      if (remaining != 0) {                                                           // I3
        ASSERT_EQ(record->header().remaining + 1, remaining);
        ASSERT_EQ(record->header().command, before.header().command);
        ASSERT_TRUE(record->is_of(before.stream()));
      }
      ++events;
      remaining = record->header().remaining;
      before = *record;
      trace_ += static_cast<char>('a' + record->header().checksum % 26);
      if (remaining != 0)
        continue;
      // I5: what nobody was told of is not there.
      if (log_->category_name(record->stream().category()) == ledger::category) {
        ASSERT_TRUE(accepted_.contains(at)) << "position " << at.value();
        ASSERT_EQ(accepted_.at(at), events);
        ++commands;
      }
      events = 0;
    }
    EXPECT_EQ(remaining, 0);
    EXPECT_EQ(commands, accepted_.size()) << "and what they were told of is";
  }

  struct sent_command {
    std::uint64_t key;
    std::uint64_t id; ///< 0: none.
    ledger_model::answer expected;
    bool settled;
  };

  std::uint64_t seed_;
  std::mt19937_64 random_;
  bool on_disk_;
  manual_clock clock_{1'000};
  std::unique_ptr<scratch_directory> directory_;
  std::shared_ptr<storage::event_log> log_;
  std::shared_ptr<storage::snapshot_store> snapshots_;
  std::unique_ptr<engine> engine_;
  category_id category_;
  std::unique_ptr<engine::tail_subscription> subscription_;

  std::array<ledger_model, ledgers> models_;
  std::array<std::uint64_t, ledgers> ids_{}; ///< Used so far.
  std::vector<sent_command> sent_;
  std::size_t settled_ = 0;
  std::map<std::pair<std::uint64_t, stream_version>, log_position> first_; ///< Receipts given.
  std::map<log_position, std::uint32_t> accepted_; ///< Events, by the last one's position.
  bool will_fail_ = false;
  bool failed_ = false;

  std::string trace_;
  std::uint64_t failures_ = 0;
  std::uint64_t repeats_ = 0;
  std::uint64_t loads_ = 0;
};

/// 10,000 if ACTA_LONG_TESTS is set: some 10 s, optimised and without sanitizers.
[[nodiscard]] std::uint64_t number_of_seeds() {
  return std::getenv("ACTA_LONG_TESTS") != nullptr ? 10'000 : 1'000;
}

TEST(seeds_test, keep_the_invariants_in_whatever_order_things_happen) { // I1, I2, I3, I5, I8
  std::uint64_t failures = 0;
  std::uint64_t repeats = 0;
  std::uint64_t loads = 0;
  for (std::uint64_t seed = 0; seed < number_of_seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const bool on_disk = seed % (number_of_seeds() / 10) == 0; // which takes its time
    trial one(seed, on_disk);
    one.run();
    if (seed % 20 == 0) {
      trial again(seed, on_disk);
      again.run();
      EXPECT_EQ(one.trace(), again.trace()) << "the same seed takes the same course";
    }
    failures += one.failures();
    repeats += one.repeats();
    loads += one.loads();
    if (HasFailure())
      return;
  }
  // What would be left out silently if the trials were other than they seem.
  EXPECT_GT(failures, number_of_seeds() / 10);
  EXPECT_GT(repeats, number_of_seeds());
  EXPECT_GT(loads, number_of_seeds());
}

} // namespace
} // namespace acta::tests
