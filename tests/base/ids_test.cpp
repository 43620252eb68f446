#include <acta/base/clock.hpp>
#include <acta/base/ensure.hpp>
#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <set>
#include <string>

namespace acta::tests {
namespace {

TEST(stream_id, keeps_an_integer_key_whole) {
  const stream_id order(category_id(2), 0xfedcba9876543210U);
  EXPECT_EQ(order.integer(), 0xfedcba9876543210U);
  EXPECT_EQ(order.kind(), key_kind::integer);
  EXPECT_EQ(order.key().size(), 8U);
  EXPECT_EQ(order.to_string(), "2/18364758544493064720");
  EXPECT_EQ(order.to_string("order"), "order/18364758544493064720");
}

TEST(stream_id, takes_text_keys_of_1_to_64_bytes) { // G138
  EXPECT_FALSE(stream_id::from_text(category_id(1), ""));
  EXPECT_FALSE(stream_id::from_text(category_id(1), std::string(65, 'x')));
  const auto longest = stream_id::from_text(category_id(1), std::string(64, 'x'));
  ASSERT_TRUE(longest);
  EXPECT_EQ(longest->key().size(), 64U);
  EXPECT_EQ(longest->integer(), 0U);
}

TEST(stream_id, differs_by_category_kind_and_key) {
  std::array<std::byte, 16> uuid{};
  const auto text = stream_id::from_text(category_id(1), std::string(16, '\0'));
  ASSERT_TRUE(text);
  EXPECT_NE(stream_id(category_id(1), uuid), *text);
  EXPECT_NE(stream_id(category_id(1), 7), stream_id(category_id(2), 7));
  EXPECT_NE(stream_id(category_id(1), 7), stream_id(category_id(1), 8));
  EXPECT_EQ(stream_id(category_id(1), 7), stream_id(category_id(1), 7));
}

TEST(stream_id, is_read_back_from_its_bytes_and_refuses_sizes_that_do_not_fit) {
  const stream_id order(category_id(3), 99);
  EXPECT_EQ(stream_id::from_bytes(category_id(3), key_kind::integer, order.key()), order);
  EXPECT_FALSE(stream_id::from_bytes(category_id(3), key_kind::uuid, order.key()));
  EXPECT_FALSE(stream_id::from_bytes(category_id(3), key_kind::integer, order.key().first(7)));
}

/// Hashes are not stored, but two builds of one program must agree on them.
TEST(stream_id, hashes_differently_for_neighbours_and_alike_for_equals) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t key = 0; key < 10'000; ++key)
    hashes.insert(stream_hash(stream_id(category_id(1), key)));
  EXPECT_EQ(hashes.size(), 10'000U);
  EXPECT_EQ(stream_hash(stream_id(category_id(1), 5)),
            stream_hash(category_id(1), key_kind::integer, stream_id(category_id(1), 5).key()));
}

TEST(command_id, is_two_halves_and_empty_only_when_both_are_zero) {
  const auto id = command_id::of(7, 9);
  EXPECT_EQ(id.high(), 7U);
  EXPECT_EQ(id.low(), 9U);
  EXPECT_FALSE(id.empty());
  EXPECT_FALSE(command_id::of(0, 1).empty());
  EXPECT_TRUE(command_id{}.empty());
}

TEST(errc, has_pinned_numbers_with_names) {
  EXPECT_EQ(name(errc::invalid_argument), "invalid_argument");
  EXPECT_EQ(static_cast<int>(errc::store_in_use), 5);
  EXPECT_EQ(static_cast<int>(errc::permission_denied), 18);
  std::set<std::string_view> names;
  for (std::uint16_t code = 1; code <= 18; ++code)
    names.insert(name(static_cast<errc>(code)));
  EXPECT_EQ(names.size(), 18U) << "each code has a name of its own";
}

TEST(error, carries_the_domains_code_only_for_rejections) {
  const error refused(std::uint16_t{3}, "no");
  EXPECT_EQ(refused.code(), errc::rejected);
  EXPECT_EQ(refused.rejection(), 3);
  EXPECT_EQ(error(errc::io, "broken").rejection(), 0);
}

TEST(manual_clock, moves_only_when_told) {
  manual_clock clock(5);
  EXPECT_EQ(clock.now_ns(), 5);
  clock.advance_ns(10);
  EXPECT_EQ(clock.now_ns(), 15);
  EXPECT_GT(wall_clock().now_ns(), 1'700'000'000'000'000'000);
}

TEST(manual_clock, tells_who_listens_of_each_move) {
  struct counting final : clock::listener {
    void clock_moved() noexcept override { ++moves; }
    int moves = 0;
  } one;
  manual_clock clock;
  ASSERT_TRUE(clock.add_listener(one));
  clock.advance_ns(10);
  clock.advance_ns(-5);
  EXPECT_EQ(one.moves, 2);
  clock.remove_listener(one);
  clock.advance_ns(10);
  EXPECT_EQ(one.moves, 2);
  EXPECT_FALSE(wall_clock().add_listener(one)) << "it runs by itself";
}

TEST(timer_id, is_a_number_or_an_enumerator) {
  enum class bell : std::uint8_t { first = 1, second = 2 };
  EXPECT_EQ(timer_id(bell::second).value(), 2U);
  EXPECT_EQ(timer_id(1), bell::first);
  EXPECT_LT(timer_id(1), timer_id(2));
}

TEST(ensure_death_test, stops_the_process_and_says_where) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(ensure(1 + 1 == 3, "sums hold"), "sums hold.*|ids_test.cpp");
}

} // namespace
} // namespace acta::tests
