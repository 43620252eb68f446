#include "../support/cart_fixture.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/projector.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace acta::tests::cart {
namespace {

using namespace std::chrono_literals;

/// Notes what was put where.
struct shelf {
  static constexpr std::string_view name = "shelf";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<put, taken>;

  void on(const put& event, const storage::record_view& record) {
    seen.push_back(std::to_string(record.position().value()) + ": "
                   + std::to_string(event.pieces()));
  }
  void on(const taken&, const storage::record_view&) {}

  std::vector<std::string> seen;
};

[[nodiscard]] std::vector<std::string> seen_by(const projections::memory_view<shelf>& view) {
  return view.read([](const shelf& now) { return now.seen; });
}

class projections_upcasting_test : public cart_fixture {
protected:
  void write_history() {
    write_added(1, 2);
    write_noted();
    write_put(3);
    write_added(2, 5);
    write_noted();
  }
  const std::vector<std::string> history_{"1: 24", "3: 3", "4: 5"};
};

// H151, H155
TEST_P(projections_upcasting_test, projector_hands_on_old_events_as_new_ones) {
  write_history();
  auto engine = open();
  ASSERT_TRUE(engine) << engine.error().message();
  projections::memory_view<shelf> view;
  auto projector = projections::projector::start(**engine, view);
  ASSERT_TRUE((*projector)->wait_for(log_position(5), 10s)) << "past the dropped one at the end";
  EXPECT_EQ(seen_by(view), history_);
  const auto receipt = (*engine)->ask<basket>(stream_, put_in{1});
  ASSERT_TRUE((*projector)->wait_for(receipt->position, 10s));
  EXPECT_EQ(seen_by(view).back(), "6: 1");
}

// H151, H155
TEST_P(projections_upcasting_test, replay_hands_on_old_events_as_new_ones) {
  write_history();
  ASSERT_TRUE(open());
  const auto upcasters = runtime::upcasters::bind(cart::upcasters(), *shared_);
  ASSERT_TRUE(upcasters) << upcasters.error().message();
  projections::memory_view<shelf> view;
  EXPECT_EQ(projections::replay(*shared_, view, log_position(1), *upcasters), log_position(5));
  EXPECT_EQ(seen_by(view), history_);
}

// H154
TEST_P(projections_upcasting_test, handlers_do_not_guess_at_a_newer_version) {
  write_put(3, 2);
  projections::memory_view<shelf> view;
  const auto replayed = projections::replay(*shared_, view);
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().code(), errc::incompatible_schema);
  EXPECT_NE(replayed.error().message().find("position 1: event type 'acta.tests.cart.put' version"),
            std::string::npos);
}

TEST_P(projections_upcasting_test, projector_stops_at_an_upcaster_that_fails) {
  write_put(1);
  write_added(1, 2);
  auto engine = open({{.from_type = added::GetFullyQualifiedName(),
                       .to_type = put::GetFullyQualifiedName(),
                       .convert = [](auto, auto&) { return domain::upcast_outcome::malformed; }}});
  projections::memory_view<shelf> view;
  auto projector = projections::projector::start(**engine, view);
  const auto reached = (*projector)->wait_for(log_position(2), 10s);
  ASSERT_FALSE(reached);
  EXPECT_EQ(reached.error().code(), errc::corrupt);
}

INSTANTIATE_TEST_SUITE_P(logs, projections_upcasting_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests::cart
