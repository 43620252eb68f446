#include "../support/counter.hpp"
#include "../support/wallet.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using domain::decision;
using runtime::atomic;
using runtime::atomic_outcome;
using runtime::engine;
using runtime::outcome;
using runtime::part;
using runtime::participant;

/// The first part gives the others this amount each, if it has so much.
[[nodiscard]] decision share(std::int64_t amount, std::int64_t of, auto& from, auto&&... to) {
  const auto put = [](auto& one, std::int64_t what) {
    one.template emit<added>([&](auto& b) { return Createadded(b, what); });
  };
  const auto all = amount * static_cast<std::int64_t>(sizeof...(to));
  (put(to, amount), ...); // not in the order of the parts
  if (of < all)
    return std::unexpected(domain::rejection{1, "there is not so much in it"});
  put(from, -all);
  return domain::accept();
}

/// One seed: some lifetimes of an engine over one log, in which transfers, single commands, steps,
/// truncations and failing commits come as the seed has it. The log is checked at each tail.
class transfers {
public:
  explicit transfers(std::uint64_t seed) : seed_(seed), random_(seed) {
    snapshots_ = std::move(*storage::open_snapshots(*log_));
  }

  void run() {
    const auto lifetimes = 1 + draw(3);
    for (std::uint64_t i = 0; i < lifetimes && !testing::Test::HasFailure(); ++i) {
      open(i);
      check_states();
      const auto actions = 10 + draw(30);
      for (std::uint64_t action = 0; action < actions && !testing::Test::HasFailure(); ++action) {
        act();
        for (auto steps = draw(8); steps != 0 && engine_->run_one(); --steps) {
        }
      }
      close();
    }
  }

  [[nodiscard]] std::uint64_t moved() const noexcept { return moved_; }
  [[nodiscard]] std::uint64_t repeats() const noexcept { return repeats_; }
  [[nodiscard]] std::uint64_t rejections() const noexcept { return rejections_; }
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

private:
  static constexpr std::uint64_t accounts = 5;
  static constexpr std::uint64_t of_single = 1; ///< High half of command ids.
  static constexpr std::uint64_t of_transfer = 2;

  [[nodiscard]] std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  void open(std::uint64_t lifetime) {
    faults_ = std::make_shared<storage::log_faults>();
    may_fail_ = draw(4) == 0;
    failed_ = false;
    auto opened = engine::open<counter, wallet>(storage::make_faulty_log(log_, faults_),
                                                {.deterministic_seed = seed_ * 8 + lifetime,
                                                 .repeat_window = 256, // all: none forgets
                                                 .snapshot_every = 1 + draw(6),
                                                 .snapshots = snapshots_});
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
    subscription_ = engine_->on_tail([this](log_position tail) { check_up_to(tail); });
  }

  /// What is loaded is what the log has.
  void check_states() {
    for (std::uint64_t key = 0; key < accounts; ++key) {
      const auto told = engine_->ask<counter>(key, tell_sum{});
      ASSERT_EQ(told.error().rejection(), balances_[engine_->stream<counter>(key).to_string()]);
    }
    if (may_fail_)
      faults_->fail_commit(1 + draw(12));
  }

  void act() {
    const auto which = draw(40);
    if (which == 0)
      note_failure(engine_->truncate<counter>(draw(accounts)));
    else if (which < 16)
      add_alone();
    else
      transfer();
  }

  void add_alone() {
    const auto key = draw(accounts);
    const add what{static_cast<std::int64_t>(1 + draw(3)), static_cast<int>(1 + draw(3))};
    note_failure(engine_->tell<counter>(key, what,
                                        [this](outcome&& how) {
                                          --waiting_;
                                          if (how)
                                            ends_.insert(how->position.value());
                                          note_failure(how);
                                        },
                                        {command_id::of(of_single, ++last_id_)}));
  }

  /// Of two to four counters, or of a wallet too. Every fourth is sent again.
  void transfer() {
    auto id = ++last_id_;
    std::vector<std::uint64_t> keys(accounts);
    for (std::uint64_t key = 0; key < accounts; ++key)
      keys[key] = key;
    std::ranges::shuffle(keys, random_);
    const auto amount = static_cast<std::int64_t>(1 + draw(3));
    const auto shape = draw(3);
    const bool again = draw(4) == 0;
    for (int i = 0; i < (again ? 2 : 1); ++i)
      note_failure(send(shape, keys, amount, id));
  }

  [[nodiscard]] result<void> send(std::uint64_t shape, const std::vector<std::uint64_t>& keys,
                                  std::int64_t amount, std::uint64_t id) {
    using one = participant<counter>;
    const runtime::command_options options{command_id::of(of_transfer, id)};
    auto handler = [this, id](atomic_outcome&& how) { settle(id, how); };
    const part<counter> from(keys[0]);
    const part<counter> to(keys[1]);
    if (shape == 0)
      return engine_->tell_all(
        atomic(from, to), [=](one& a, one& b) { return share(amount, a.state().sum, a, b); },
        handler, options);
    if (shape == 1)
      return engine_->tell_all(
        atomic(from, part<wallet>(keys[2]), to),
        [=](one& a, participant<wallet>& b, one& c) {
          return share(amount, a.state().sum, a, b, c);
        },
        handler, options);
    return engine_->tell_all(
      atomic(std::vector{from, to, part<counter>(keys[2]), part<counter>(keys[3])}),
      [=](std::span<one> all) {
        return share(amount, all[0].state().sum, all[0], all[1], all[2], all[3]);
      },
      handler, options);
  }

  void settle(std::uint64_t id, const atomic_outcome& how) {
    --waiting_;
    if (!how && how.error().code() == errc::rejected) {
      ++rejections_;
      return;
    }
    note_failure(how);
    if (!how)
      return;
    ASSERT_LE(how->position, log_->tail()); // I1
    if (how->repeat) {                      // I8
      ++repeats_;
      ASSERT_EQ(how->versions, first_.at(id).versions);
      ASSERT_EQ(how->position, first_.at(id).position);
      ASSERT_EQ(how->events, first_.at(id).events);
      return;
    }
    ASSERT_TRUE(first_.emplace(id, *how).second) << "decided again";
    ASSERT_EQ(how->events, how->versions.size());
    ends_.insert(how->position.value());
    ++moved_;
  }

  template <class Result>
  void note_failure(const Result& how) {
    if constexpr (std::is_void_v<typename Result::value_type>)
      waiting_ += how ? 1 : 0; // it was sent
    if (how)
      return;
    ASSERT_EQ(how.error().code(), errc::commit_failed) << how.error().message();
    ASSERT_TRUE(may_fail_);
    failed_ = true;
  }

  /// The log never ends within a transfer, and no transfer makes or loses anything.
  void check_up_to(log_position tail) {
    const auto now = log_->snapshot();
    command_id before;
    std::int64_t sum = 0;
    for (auto at = checked_.next(); at <= tail; at = at.next()) {
      const auto record = (*now)->at(at);
      ASSERT_TRUE(record && record->verify());
      const auto* event = domain::verified<added>(record->payload());
      const auto id = record->header().command;
      if (id != before) {
        ASSERT_EQ(sum, 0) << "a transfer ends before position " << at.value();
      }
      before = id;
      if (record->event_type() != *log_->register_event_type(added::GetFullyQualifiedName()))
        continue;
      ASSERT_NE(event, nullptr);
      const auto stream = record->stream().to_string();
      ASSERT_EQ(record->version().value(), ++versions_[stream]); // I2
      balances_[stream] += event->amount();
      if (id.high() == of_transfer) {
        sum += event->amount();
        ASSERT_EQ(record->header().remaining, 0);
        ASSERT_GE(balances_[stream], 0) << "decided on another state";
      }
      if (id.high() == of_single ? record->header().remaining == 0 : sum == 0)
        stored_.insert(at.value());
    }
    ASSERT_EQ(sum, 0) << "the log ends within a transfer";
    checked_ = tail;
  }

  void close() {
    if (draw(2) == 0)
      engine_->run_until_idle();
    engine_->stop();
    subscription_.reset();
    engine_.reset();
    EXPECT_EQ(waiting_, 0) << "each is answered once";
    EXPECT_EQ(stored_, ends_) << "what is stored is what there are receipts for"; // I5
    failures_ += failed_ ? 1U : 0U;
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
  std::shared_ptr<storage::event_log> log_ = storage::make_memory_log();
  std::shared_ptr<storage::snapshot_store> snapshots_;
  std::shared_ptr<storage::log_faults> faults_;
  std::unique_ptr<engine> engine_;
  std::unique_ptr<engine::tail_subscription> subscription_;
  bool may_fail_ = false;
  bool failed_ = false;
  std::uint64_t last_id_ = 0;
  std::int64_t waiting_ = 0;
  std::map<std::uint64_t, runtime::atomic_receipt> first_; ///< By the id.

  log_position checked_;
  std::map<std::string, std::uint64_t> versions_;
  std::map<std::string, std::int64_t> balances_;
  std::set<std::uint64_t> stored_; ///< Where a command's last event is.
  std::set<std::uint64_t> ends_;   ///< The same, as receipts have it.

  std::uint64_t moved_ = 0;
  std::uint64_t repeats_ = 0;
  std::uint64_t rejections_ = 0;
  std::uint64_t failures_ = 0;
};

TEST(atomic_seeds_test, transfers_keep_the_sum_in_whatever_order_things_happen) {
  const std::uint64_t seeds = std::getenv("ACTA_LONG_TESTS") != nullptr ? 10'000 : 300;
  std::uint64_t moved = 0;
  std::uint64_t repeats = 0;
  std::uint64_t rejections = 0;
  std::uint64_t failures = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    transfers one(seed);
    one.run();
    moved += one.moved();
    repeats += one.repeats();
    rejections += one.rejections();
    failures += one.failures();
    if (HasFailure())
      return;
  }
  // What would be left out silently if the trials were other than they seem.
  EXPECT_GT(moved, 5 * seeds);
  EXPECT_GT(repeats, seeds);
  EXPECT_GT(rejections, seeds);
  EXPECT_GT(failures, seeds / 20);
}

} // namespace
} // namespace acta::tests
