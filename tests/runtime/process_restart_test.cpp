// What a process manager knows of the time before it was started, while commands of then are open.
#include "../support/desk.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_manager.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::engine;
using manager = runtime::process_manager;
using amounts = std::vector<std::int64_t>;

/// Answers an event with three commands: one that stores nothing, one for the second wallet, and
/// one that the third refuses until there is money.
template <class Manager>
struct errands {
  struct state {};
  using events = domain::event_list<asked>;
  using targets = domain::aggregate_list<wallet>;
  using origin = domain::event_origin;
  using out = domain::commands<Manager>;
  using policy = domain::on_failure<Manager>;

  static constexpr std::uint64_t first = 1;
  static constexpr std::uint64_t second = 2;
  static constexpr std::uint64_t third = 3;
  static constexpr std::uint64_t fourth = 4;
  static inline std::atomic<int> refusals = 0; ///< Of the third command.

  static domain::route route(const asked& e, const origin&) { return domain::start(e.instance()); }
  static void handle(const state&, const asked&, const origin&, out& to) {
    to.template send<wallet>(first, tell_time{});
    to.template send<wallet>(second, Manager::of_second());
    to.template send<wallet>(third, take_out{300});
  }
  static void evolve(state&, const asked&, const origin&) noexcept {}
  static policy failed(const state&, const domain::failed_command<Manager>& what) {
    const auto& command = std::get<domain::command_to<wallet>>(what.command);
    if (command.key == domain::stream_key(second))
      return policy::template instead<wallet>(fourth, put_in{5});
    ++refusals;
    refusals.notify_all();
    return policy::retry(Manager::pause);
  }
};

struct courier : errands<courier> {
  static constexpr std::string_view name = "courier";
  static constexpr std::chrono::nanoseconds pause = 1ms;
  static wallet::command of_second() { return put_in{5}; }
};

/// Its second command is refused at first, and answered with one to the fourth wallet.
struct lender : errands<lender> {
  static constexpr std::string_view name = "lender";
  static constexpr std::chrono::nanoseconds pause = 1ms;
  static wallet::command of_second() { return take_out{5}; }
};

struct patient : errands<patient> {
  static constexpr std::string_view name = "patient";
  static constexpr auto pause = std::chrono::nanoseconds::max();
  static wallet::command of_second() { return put_in{5}; }
};

class process_restart_test : public testing::Test {
protected:
  template <class Manager>
  void open(std::size_t repeat_window) {
    auto opened = engine::open<desk, wallet, runtime::process_journal>(
      std::make_unique<storage::forwarding_log>(log),
      {.workers = 2, .repeat_window = repeat_window});
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
    auto started = manager::start<Manager>(*engine_);
    ASSERT_TRUE(started) << started.error().message();
    manager_ = std::move(*started);
  }
  void close() {
    manager_.reset();
    engine_.reset();
  }
  /// Until the third command has been refused once more.
  template <class Manager>
  void wait_for_refusal(int before) {
    for (auto now = Manager::refusals.load(); now == before; now = Manager::refusals.load())
      Manager::refusals.wait(now);
  }
  /// What was put into a wallet and taken out of it, in order.
  [[nodiscard]] amounts moved(std::uint64_t key) const {
    amounts all;
    const auto now = std::move(*log->snapshot());
    for (log_position at(1); at <= now->tail(); at = at.next()) {
      const auto record = now->at(at);
      EXPECT_TRUE(record);
      if (log->category_name(category_id(record->header().category)) == wallet::category
          && record->integer_key() == key)
        all.push_back(flatbuffers::GetRoot<added>(record->payload().data())->amount());
    }
    return all;
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::unique_ptr<engine> engine_;
  std::unique_ptr<manager> manager_; // ends before the engine
};

// J205
TEST_F(process_restart_test, sends_nothing_again_that_is_stored_behind_a_command_without_a_trace) {
  open<courier>(1);
  ASSERT_TRUE(engine_->ask<desk>(1, ask_for{deed::start, 9, 1}));
  wait_for_refusal<courier>(0);
  EXPECT_EQ(moved(courier::second), amounts{5});
  // The aggregate forgets the command.
  ASSERT_TRUE(engine_->ask<wallet>(courier::second, put_in{1}, {.id = command_id::of(1, 1)}));
  close();
  const auto before = courier::refusals.load();
  open<courier>(1);
  wait_for_refusal<courier>(before);
  EXPECT_EQ(moved(courier::second), (amounts{5, 1}));
  close();
}

// J205
TEST_F(process_restart_test, does_not_send_what_was_replaced_behind_a_command_without_a_trace) {
  open<lender>(limits::default_repeat_window);
  ASSERT_TRUE(engine_->ask<desk>(1, ask_for{deed::start, 9, 1}));
  wait_for_refusal<lender>(0);
  EXPECT_EQ(moved(lender::second), amounts{});
  EXPECT_EQ(moved(lender::fourth), amounts{5});
  ASSERT_TRUE(engine_->ask<wallet>(lender::second, put_in{100})); // it would be accepted now
  close();
  const auto before = lender::refusals.load();
  open<lender>(limits::default_repeat_window);
  wait_for_refusal<lender>(before);
  EXPECT_EQ(moved(lender::second), amounts{100});
  EXPECT_EQ(moved(lender::fourth), amounts{5});
  close();
}

TEST_F(process_restart_test, may_be_waited_for_without_end) {
  open<courier>(limits::default_repeat_window);
  const auto before = courier::refusals.load();
  const auto asked = engine_->ask<desk>(1, ask_for{deed::start, 9, 1});
  ASSERT_TRUE(asked);
  std::thread other([&] {
    wait_for_refusal<courier>(before);
    (void)engine_->ask<wallet>(courier::third, put_in{300});
  });
  const auto waited = manager_->wait_for(asked->position, std::chrono::nanoseconds::max());
  EXPECT_TRUE(waited) << waited.error().message();
  other.join();
}

TEST_F(process_restart_test, may_be_told_to_try_again_in_a_very_long_time) {
  open<patient>(limits::default_repeat_window);
  ASSERT_TRUE(engine_->ask<desk>(1, ask_for{deed::start, 9, 1}));
  wait_for_refusal<patient>(0);
  // Were it tried again at once, it would be among the next that are handled.
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(engine_->ask<wallet>(patient::third, tell_time{}));
  EXPECT_EQ(patient::refusals, 1);
}

} // namespace
} // namespace acta::tests
