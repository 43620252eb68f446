#include "../support/desk.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_manager.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using runtime::engine;
using runtime::process_journal;
using runtime::process_manager;

/// Appends nothing any more once its time has come: for who reads what it wrote, the process was
/// killed then.
class mortal_log final : public storage::forwarding_log {
public:
  mortal_log(std::shared_ptr<storage::event_log> to, std::shared_ptr<bool> dead,
             std::optional<std::uint64_t> appends)
      : forwarding_log(std::move(to)), dead_(std::move(dead)), appends_left_(appends) {}

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override {
    if (!records.empty() && appends_left_ && (*appends_left_)-- == 0)
      *dead_ = true;
    if (*dead_ && !records.empty())
      return failure(errc::no_space, "mortal_log: its time has come");
    return forwarding_log::append(records, recorded_at_ns);
  }

private:
  std::shared_ptr<bool> dead_;
  std::optional<std::uint64_t> appends_left_;
};

/// One seed: lifetimes of an engine and a clerk over one log, each of which ends anywhere, and a
/// last one that is let finish. Then the log is compared with what the clerk should have done.
class trial {
public:
  explicit trial(std::uint64_t seed) : seed_(seed), random_(seed) {}

  void run() {
    const auto lifetimes = 1 + draw(6);
    for (std::uint64_t i = 0; i < lifetimes && !testing::Test::HasFailure(); ++i) {
      open(i, draw(2) == 0 ? std::optional(draw(40)) : std::nullopt);
      live();
      kills_ += *dead_ ? 1U : 0U;
      close(draw(4) != 0);
    }
    open(lifetimes, std::nullopt);
    for (int steps = 0; engine_->run_one() || pauses(); ++steps)
      ASSERT_LT(steps, 100'000) << "at " << clerk_->position().value() << " of "
                                << log_->tail().value();
    ASSERT_TRUE(clerk_->status()) << clerk_->status().error().message();
    ASSERT_EQ(clerk_->position(), log_->tail());
    close(false);
    check();
  }

  [[nodiscard]] std::uint64_t kills() const noexcept { return kills_; }
  [[nodiscard]] std::uint64_t resumed() const noexcept { return resumed_; }
  [[nodiscard]] std::uint64_t resumed_late() const noexcept { return resumed_late_; }
  [[nodiscard]] std::uint64_t overloaded() const noexcept { return overloaded_; }
  [[nodiscard]] std::uint64_t commands() const noexcept { return commands_; }
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
  [[nodiscard]] const std::string& trace() const noexcept { return trace_; }

private:
  static constexpr std::uint64_t wallets = 4;

  [[nodiscard]] std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  void open(std::uint64_t lifetime, std::optional<std::uint64_t> appends) {
    dead_ = std::make_shared<bool>(false);
    auto opened = engine::open<desk, wallet, process_journal>(
      std::make_unique<mortal_log>(log_, dead_, appends),
      {.deterministic_seed = seed_ * 16 + lifetime,
       .max_in_flight = 1 + draw(8),
       .repeat_window = draw(3),
       .clock = &clock_});
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
    start();
  }

  void start() {
    auto started = process_manager::start<clerk>(
      *engine_, {.max_under_way = 1 + draw(5), .note_every = 1 + draw(30)});
    if (!started) {
      ASSERT_TRUE(*dead_) << started.error().message();
      return;
    }
    clerk_ = std::move(*started);
    ++resumed_;
    resumed_late_ += begins_late() ? 1U : 0U;
  }

  /// By the clerk's last note: its first instances have ended, and are not gone through again.
  [[nodiscard]] bool begins_late() const {
    using runtime::process_settled;
    const auto now = log_->snapshot();
    for (auto at = (*now)->tail(); at != log_position(); at = log_position(at.value() - 1)) {
      const auto record = *(*now)->at(at);
      if (log_->event_type_name(record.event_type()) == process_settled::GetFullyQualifiedName())
        return flatbuffers::GetRoot<process_settled>(record.payload().data())->from() > 20;
    }
    return false;
  }

  /// Lets time pass if the clerk waits for it.
  [[nodiscard]] bool pauses() {
    const bool waits = clerk_->position() != log_->tail();
    if (waits)
      clock_.advance_ns(10'000'000);
    return waits;
  }

  void live() {
    const auto actions = 5 + draw(40);
    for (std::uint64_t i = 0; i < actions && !testing::Test::HasFailure(); ++i) {
      act();
      if (draw(4) == 0)
        clock_.advance_ns(static_cast<std::int64_t>(draw(20'000'000)));
      for (auto steps = draw(20); steps != 0 && engine_->run_one(); --steps) {
      }
    }
  }

  void act() {
    const auto which = draw(40);
    if (which == 0) { // the clerk alone
      clerk_.reset();
      start();
    } else if (which < 8) {
      (void)engine_->tell<wallet>(wallets + draw(wallets),
                                  put_in{static_cast<std::int64_t>(100 * draw(4))}, [](auto&&) {});
    } else if (which == 8) {
      (void)engine_->remove<wallet>(draw(2 * wallets));
    } else if (which == 9) {
      (void)engine_->truncate<process_journal>(
        *stream_id::from_text(engine_->category<process_journal>(), clerk::name));
    } else {
      ask();
    }
  }

  /// No wallet ever holds wallet::unspeakable: these hold multiples of 7, or of 100.
  void ask() {
    static constexpr deed deeds[] = {deed::start,    deed::start,     deed::continue_with,
                                     deed::stop,     deed::start_two, deed::put_in_two,
                                     deed::ask_time, deed::ignored};
    static constexpr std::int64_t refused[] = {clerk::skipped, clerk::replaced,
                                               clerk::retried_twice};
    ask_for what{.what = deeds[draw(std::size(deeds))], .instance = draw(wallets - 1)};
    const bool takes = draw(4) == 0;
    what.amount = takes ? -refused[draw(std::size(refused))] : 7 + 7 * static_cast<int>(draw(9));
    if (takes && what.what == deed::put_in_two)
      what.what = deed::start;
    if (takes)
      what.instance += wallets; // whose sum is below 0, and which never puts anything in
    (void)engine_->tell<desk>(1, what, [](auto&&) {});
  }

  void close(bool abruptly) {
    overloaded_ += engine_->counters().overloaded;
    if (abruptly)
      *dead_ = true; // what is not in the log by now will never be
    else if (draw(2) == 0)
      engine_->run_until_idle();
    clerk_.reset();
    engine_.reset();
  }

  struct effect {
    std::uint64_t wallet;
    std::int64_t amount;
    bool operator==(const effect&) const = default;
  };
  using id_half = std::uint64_t;

  /// What the log has of the clerk's commands, and what the clerk should have sent, by its ids.
  void check() {
    const auto now = log_->snapshot();
    const auto high = runtime::process_command_id(clerk::name, {}, 0).high();
    std::map<id_half, std::vector<effect>> seen;
    std::map<std::uint64_t, std::vector<id_half>> order;
    for (log_position at(1); at <= (*now)->tail(); at = at.next()) {
      const auto record = *(*now)->at(at);
      trace_ += std::to_string(record.header().checksum % 10);
      const auto id = record.header().command;
      const auto category = log_->category_name(category_id(record.header().category));
      const auto payload = record.payload();
      if (category == desk::category)
        expect(*flatbuffers::GetRoot<asked>(payload.data()), at);
      if (category == process_journal::category
          && log_->event_type_name(record.event_type())
               == runtime::process_command_failed::GetFullyQualifiedName())
        note_failure(*flatbuffers::GetRoot<runtime::process_command_failed>(payload.data()));
      if (category != wallet::category || id.high() != high)
        continue;
      seen[id.low()].push_back(
        {record.integer_key(), flatbuffers::GetRoot<added>(payload.data())->amount()});
      order[record.integer_key()].push_back(id.low());
    }
    for (const auto& [id, effects] : seen) {
      ASSERT_TRUE(expected_.contains(id)) << "position " << (id >> 24U);
      EXPECT_EQ(effects.size(), 1U) << "twice: position " << (id >> 24U);
    }
    for (const auto& [id, what] : expected_)
      check_one(id, what, seen.contains(id) ? std::optional(seen.at(id).front()) : std::nullopt);
    for (const auto& [key, ids] : order)
      if (key < wallets) {
        EXPECT_TRUE(std::ranges::is_sorted(ids)) << "an instance's commands keep their order";
      }
  }

  void check_one(id_half id, const effect& what, const std::optional<effect>& seen) {
    SCOPED_TRACE("position " + std::to_string(id >> 24U));
    ++commands_;
    if (what.amount > 0) {
      EXPECT_EQ(seen, what);
      return;
    }
    const bool failed = failed_.contains(id);
    failures_ += failed ? 1U : 0U;
    if (!failed)
      EXPECT_EQ(seen, what);
    else if (what.amount == -clerk::replaced)
      EXPECT_EQ(seen, (effect{clerk::second_wallet, 7}));
    else
      EXPECT_EQ(seen, std::nullopt) << "skipped for good";
  }

  void note_failure(const runtime::process_command_failed& what) {
    const auto id =
      runtime::process_command_id(clerk::name, log_position(what.position()), what.index());
    EXPECT_EQ(failed_[id.low()]++, 0) << "gone on from it once";
  }

  /// The clerk's own functions, in a line.
  void expect(const asked& event, log_position at) {
    std::uint32_t index = 0;
    const domain::event_origin from{
      .key = std::uint64_t{1}, .category = desk::category, .version = {}, .position = at};
    for (const auto& one : domain::routes_of<clerk>(event, from)) {
      if (!*domain::is_handled(one, instances_.contains(one.instance)))
        continue;
      auto& state = instances_[one.instance];
      domain::commands<clerk> out(one.instance);
      clerk::handle(state, event, from, out);
      for (const auto& command : out.collected())
        expect(std::get<domain::command_to<wallet>>(command),
               runtime::process_command_id(clerk::name, at, index++).low());
      clerk::evolve(state, event, from);
      if (one.what == domain::route::kind::stop)
        instances_.erase(one.instance);
    }
  }
  void expect(const domain::command_to<wallet>& to, id_half id) {
    const auto key = std::get<std::uint64_t>(to.key);
    if (const auto* in = std::get_if<put_in>(&to.command))
      expected_[id] = {key, in->amount};
    if (const auto* out = std::get_if<take_out>(&to.command))
      expected_[id] = {key, -out->amount};
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
  std::shared_ptr<storage::event_log> log_ = storage::make_memory_log();
  std::shared_ptr<bool> dead_;
  manual_clock clock_{1'000};
  std::unique_ptr<engine> engine_;
  std::unique_ptr<process_manager> clerk_; // ends before the engine

  std::map<domain::stream_key, clerk::state> instances_;
  std::map<id_half, effect> expected_;
  std::map<id_half, int> failed_;
  std::uint64_t kills_ = 0;
  std::uint64_t resumed_ = 0;
  std::uint64_t resumed_late_ = 0;
  std::uint64_t overloaded_ = 0;
  std::uint64_t commands_ = 0;
  std::uint64_t failures_ = 0;
  std::string trace_;
};

[[nodiscard]] std::uint64_t number_of_seeds() {
  return std::getenv("ACTA_LONG_TESTS") != nullptr ? 10'000 : 300;
}

// J205: resume
TEST(process_seeds_test, every_command_takes_effect_once_wherever_the_process_is_killed) { // G150
  std::uint64_t kills = 0;
  std::uint64_t resumed = 0;
  std::uint64_t resumed_late = 0;
  std::uint64_t overloaded = 0;
  std::uint64_t commands = 0;
  std::uint64_t failures = 0;
  for (std::uint64_t seed = 0; seed < number_of_seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    trial one(seed);
    one.run();
    if (seed % 50 == 0) {
      trial again(seed);
      again.run();
      EXPECT_EQ(one.trace(), again.trace()) << "the same seed takes the same course";
    }
    kills += one.kills();
    resumed += one.resumed();
    resumed_late += one.resumed_late();
    overloaded += one.overloaded();
    commands += one.commands();
    failures += one.failures();
    if (HasFailure())
      return;
  }
  // What would be left out silently if the trials were other than they seem.
  EXPECT_GT(kills, number_of_seeds() / 10);
  EXPECT_GT(resumed, number_of_seeds());
  EXPECT_GT(resumed_late, number_of_seeds() / 10);
  EXPECT_GT(overloaded, number_of_seeds());
  EXPECT_GT(commands, number_of_seeds() * 10);
  EXPECT_GT(failures, number_of_seeds());
}

} // namespace
} // namespace acta::tests
