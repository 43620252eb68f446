// Acta's rule of repeats (I8): a command id says of itself that it was handled, for one aggregate.
#include "../support/atomic_fixture.hpp"

#include <acta/base/clock.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace acta::tests {
namespace {

using runtime::receipt;

class repeats_test : public atomic_fixture {
protected:
  static runtime::outcome send(runtime::engine& to, std::uint64_t id, const add& what = {},
                               expected_version expected = expected_version::any(),
                               std::uint64_t key = 1) {
    return to.ask<counter>(key, what, {.id = command_id::of(1, id), .expected = expected});
  }
  static void expect_first(const runtime::outcome& again, const receipt& first) {
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_TRUE(again->repeat);
    EXPECT_EQ(again->position, first.position);
    EXPECT_EQ(again->version, first.version);
    EXPECT_EQ(again->events, first.events);
  }
  static expected_version at(std::uint64_t version) {
    return expected_version::exactly(stream_version(version));
  }
};

TEST_F(repeats_test, are_known_whatever_version_they_expect) { // B41, B42, B43
  const auto e = open();
  std::vector<receipt> first;
  for (std::uint64_t i = 0; i < 6; ++i) {
    const auto sent = send(*e, i + 1, {}, i == 0 ? expected_version::none() : at(i));
    ASSERT_TRUE(sent) << sent.error().message();
    first.push_back(*sent);
  }
  for (std::uint64_t i = 0; i < 6; ++i)
    for (const auto& expected : std::array{expected_version::none(), expected_version::any(),
                                           expected_version::exists(), at(i + 1), at(6), at(99)})
      expect_first(send(*e, i + 1, {}, expected), first[i]);
  EXPECT_EQ(log->tail(), log_position(6));
  EXPECT_EQ(send(*e, 7, {}, at(5)).error().code(), errc::wrong_version) << "that is none";
  EXPECT_EQ(send(*e, 7, {}, at(6))->version, stream_version(7));
}

TEST_F(repeats_test, are_known_by_their_id_and_not_by_what_is_in_them) { // B42, B43, B44
  const auto e = open();
  ASSERT_TRUE(e->ask<counter>(1, add{.amount = 1}));
  EXPECT_EQ(e->ask<counter>(1, add{.amount = 1})->version, stream_version(2))
    << "without an id the same again is another command";
  const auto six = send(*e, 1, {.amount = 1, .times = 6});
  EXPECT_EQ(six->version, stream_version(8)) << "events that are alike are all stored";
  EXPECT_EQ(six->events, 6U);
  expect_first(send(*e, 1, {.amount = 70, .times = 9}), *six);
  EXPECT_FALSE(send(*e, 2, {.amount = 1, .times = 6})->repeat);
  EXPECT_EQ(sum(*e, 1), 14);
}

TEST_F(repeats_test, are_an_aggregates_own) { // I8
  const auto e = open();
  ASSERT_TRUE(send(*e, 1, {}, expected_version::any(), 1));
  const auto other = send(*e, 1, {}, expected_version::any(), 2);
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->repeat);
  EXPECT_EQ(log->tail(), log_position(2));
}

TEST_F(repeats_test, are_known_after_their_deadline) { // I8
  manual_clock time{1'000'000};
  const auto e = open({.clock = &time});
  const runtime::command_options once{.id = command_id::of(1, 1), .deadline_ns = 2'000'000};
  const auto first = e->ask<counter>(1, add{1}, once);
  const runtime::command_options both{.id = command_id::of(1, 2), .deadline_ns = 2'000'000};
  const auto parts = runtime::atomic(runtime::part<counter>(1), runtime::part<counter>(2));
  ASSERT_TRUE(first && e->ask_all(parts, moving(1), both));
  time.advance_ns(5'000'000);
  expect_first(e->ask<counter>(1, add{1}, once), *first);
  const auto again = e->ask_all(parts, moving(1), both);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->repeat);
  runtime::command_options other{.id = command_id::of(1, 3), .deadline_ns = 2'000'000};
  EXPECT_EQ(e->ask<counter>(1, add{1}, other).error().code(), errc::expired) << "that is none";
  EXPECT_EQ(e->ask_all(parts, moving(0), other).error().code(), errc::expired);
  other.deadline_ns = 6'000'001;
  EXPECT_TRUE(e->ask<counter>(1, add{1}, other)) << "and was not remembered";
}

TEST_F(repeats_test, of_what_was_refused_are_decided_anew) { // B45
  const auto e = open();
  const runtime::command_options once{.id = command_id::of(1, 1)};
  EXPECT_EQ(e->ask<wallet>(1, take_out{5}, once).error().code(), errc::rejected);
  ASSERT_TRUE(e->ask<wallet>(1, put_in{5}));
  const auto taken = e->ask<wallet>(1, take_out{5}, once);
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_FALSE(taken->repeat);
  expect_first(e->ask<wallet>(1, take_out{5}, once), *taken);
}

} // namespace
} // namespace acta::tests
