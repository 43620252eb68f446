// Timers in the test kit.
#include "../support/alarm.hpp"

#include <acta/domain/testing.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <sstream>

namespace acta::domain::testing {
namespace {

using namespace acta::tests;
using timers = std::map<timer_id, std::int64_t>;

[[nodiscard]] event_of<added> rung(bell which) {
  return event<added>(
    [&](auto& builder) { return Createadded(builder, static_cast<std::int64_t>(which)); });
}

TEST(testing_kit_timers, are_those_that_commands_left_pending) {
  const auto set = given<alarm>().when(set_bell{bell::first, 50}).when(set_bell{bell::second, 60});
  EXPECT_EQ(set.timers(), (timers{{bell::first, 50}, {bell::second, 60}}));
  EXPECT_EQ(set.when(set_bell{bell::first, 70}).timers(),
            (timers{{bell::first, 70}, {bell::second, 60}}));
  EXPECT_EQ(set.when(set_bell{bell::first, 0}).timers(), (timers{{bell::second, 60}}));
  EXPECT_EQ(set.when(set_bell{bell::first, 0, set_bell::end::reject}).timers(), set.timers());
}

TEST(testing_kit_timers, fire_when_they_are_told_to_and_at_the_time_that_it_is) {
  const auto set =
    given<alarm>().when(set_bell{bell::crossing, 50}).when(set_bell{bell::first, 90});
  const auto after = set.at(50).when_timer(bell::crossing);
  EXPECT_EQ(after, accepted(rung(bell::crossing)));
  EXPECT_EQ(after.timers(), (timers{{bell::second, 55}}));
  EXPECT_EQ(after.state().sum, 13);
}

TEST(testing_kit_timers, are_gone_where_on_timer_rejects) {
  const auto after = given<alarm>().when(set_bell{bell::refusing, 50}).when_timer(bell::refusing);
  EXPECT_EQ(after, rejected(alarm::refusal::as_told));
  EXPECT_EQ(after.timers(), timers{});
}

TEST(testing_kit_timers, that_are_not_pending_are_a_problem) {
  const auto after = given<alarm>().when_timer(bell::first);
  EXPECT_NE(after, accepted(rung(bell::first)));
  ASSERT_EQ(after.problems().size(), 1U);
  EXPECT_EQ(after.problems().front(), "timer 1 is not pending");
}

TEST(testing_kit_timers, are_printed_behind_the_events) {
  std::ostringstream text;
  text << given<alarm>().when(set_bells{{{bell::first, 50}, {bell::second, 0}}});
  EXPECT_EQ(text.str(), "accepted, without an event\n      timer 1 set to 50"
                        "\n      timer 2 cancelled");
}

} // namespace
} // namespace acta::domain::testing
