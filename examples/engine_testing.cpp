// Tests of an aggregate in its engine: a clock to move, an order to repeat, a device that fails.
// Run: engine_testing
#include <acta/base/clock.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include "engine_testing_generated.h" // made by flatc from engine_testing.fbs

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace example {

using namespace acta;

enum class refusal : std::uint16_t { no_seats = 1, too_late = 2 };

struct sell {
  std::uint32_t seats;
};

/// A show of 100 seats, which begins at 2,000.
struct show {
  static constexpr std::string_view category = "show";
  static constexpr std::int64_t begins_ns = 2'000;
  struct state {
    std::uint32_t left = 100;
  };
  using command = sell;
  using events = domain::event_list<seats_sold>;
  using out = domain::emitter<show>;

  static domain::decision decide(const state& now, const sell& c, out& events) {
    if (events.now_ns() >= begins_ns)
      return domain::reject(refusal::too_late, "the show has begun");
    if (c.seats > now.left)
      return domain::reject(refusal::no_seats, "so many seats are not left");
    events.emit<seats_sold>([&](auto& b) { return Createseats_sold(b, c.seats); });
    return domain::accept();
  }
  static void evolve(state& now, const seats_sold& e) noexcept { now.left -= e.seats(); }
};

class box_office : public testing::Test {
protected:
  void open(std::optional<std::uint64_t> seed = 1) {
    engine = nullptr;
    engine = *runtime::engine::open<show>(storage::make_faulty_log(log, faults),
                                          {.deterministic_seed = seed, .clock = &now});
  }

  manual_clock now{1'000};
  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults = std::make_shared<storage::log_faults>();
  std::unique_ptr<runtime::engine> engine;
};

TEST_F(box_office, sells_until_the_show_begins) {
  open();
  EXPECT_TRUE(engine->ask<show>(1, sell{20}));
  now.advance_ns(1'000);
  EXPECT_EQ(engine->ask<show>(1, sell{20}).error().message(), "the show has begun");
}

TEST_F(box_office, hands_out_no_ticket_before_it_is_stored_in_any_order_of_steps) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    open(seed);
    auto stored = log->tail();
    for (std::uint64_t key = 1; key <= 3; ++key)
      ASSERT_TRUE(engine->tell<show>(key, sell{1}, [&](auto&&) { stored = stored.next(); }));
    while (engine->run_one())
      ASSERT_LE(stored, log->tail()) << "seed " << seed;
  }
}

TEST_F(box_office, forgets_no_ticket_when_the_device_is_full) {
  open();
  ASSERT_TRUE(engine->ask<show>(1, sell{60}));
  faults->fail_next_commit({errc::no_space, "no space left on device"});
  EXPECT_EQ(engine->ask<show>(1, sell{20}).error().code(), errc::commit_failed);
  open(); // as the program does when there is space again
  EXPECT_TRUE(engine->ask<show>(1, sell{40})) << "as if the second had never been sent";
}

TEST_F(box_office, hands_out_no_ticket_while_the_device_is_busy) {
  open(std::nullopt); // with threads
  std::atomic<bool> handed_out = false;
  faults->hold_commits();
  ASSERT_TRUE(engine->tell<show>(1, sell{20}, [&](auto&&) { handed_out = true; }));
  faults->wait_for_held_commit();
  EXPECT_FALSE(handed_out);
  faults->release_commits();
  engine->stop(); // waits for all that was sent
  EXPECT_TRUE(handed_out);
}

} // namespace example
