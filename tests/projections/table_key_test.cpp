// Keys as bytes: their order is that of what they are of.
#include <acta/projections/ordered_table.hpp>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace acta::tests {
namespace {

using projections::key_bytes;
using projections::key_reader;
using projections::ordered_table;

enum class rank : std::int16_t { low = -7, high = 300 };

[[nodiscard]] bool is_before(const key_bytes& one, const key_bytes& other) {
  return std::ranges::lexicographical_compare(one.bytes(), other.bytes());
}

template <class Key>
constexpr ordered_table<Key, std::uint64_t> table_of{3};

/// Small values and short texts of few letters, so that they meet.
template <class Part>
[[nodiscard]] Part any_part() {
  if constexpr (std::is_enum_v<Part>)
    return static_cast<Part>(any_part<std::underlying_type_t<Part>>());
  else if constexpr (std::is_same_v<Part, std::string>)
    return *rc::gen::container<std::string>(rc::gen::element('\0', '\x01', 'a', '\xff'));
  else
    return *rc::gen::oneOf(rc::gen::arbitrary<Part>(),
                           rc::gen::element<Part>(0, 1, std::numeric_limits<Part>::min(),
                                                  std::numeric_limits<Part>::max(), 255));
}

template <class... Parts>
[[nodiscard]] std::tuple<Parts...> any_key(std::type_identity<std::tuple<Parts...>>) {
  return std::tuple<Parts...>{any_part<Parts>()...};
}
template <class Part>
[[nodiscard]] Part any_key(std::type_identity<Part>) {
  return any_part<Part>();
}

template <class Key>
class table_key_test : public ::testing::Test {};

using kinds =
  ::testing::Types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t,
                   std::int32_t, std::uint64_t, std::int64_t, rank, std::string,
                   std::tuple<std::string, std::int32_t>, std::tuple<std::uint8_t, std::string>,
                   std::tuple<std::string, std::string, std::string>,
                   std::tuple<std::uint32_t, std::int64_t, rank, std::string>>;
class names_of_kinds {
public:
  template <class>
  static std::string GetName(int number) {
    return "kind_" + std::to_string(number);
  }
};
TYPED_TEST_SUITE(table_key_test, kinds, names_of_kinds);

TYPED_TEST(table_key_test, order_of_bytes_is_order_of_values) {
  EXPECT_TRUE(rc::check([] {
    const auto one = any_key(std::type_identity<TypeParam>());
    const auto other = any_key(std::type_identity<TypeParam>());
    const auto& table = table_of<TypeParam>;
    RC_ASSERT(is_before(table.bytes_of(one), table.bytes_of(other)) == (one < other));
    RC_ASSERT(is_before(table.bytes_of(other), table.bytes_of(one)) == (other < one));
  }));
}

TYPED_TEST(table_key_test, a_key_comes_back_as_it_was) {
  EXPECT_TRUE(rc::check([] {
    const auto key = any_key(std::type_identity<TypeParam>());
    const auto bytes = table_of<TypeParam>.bytes_of(key);
    RC_ASSERT(!bytes.is_too_long());
    RC_ASSERT(bytes.bytes().size() % 8 == 0U);
    key_reader parts(bytes.bytes());
    RC_ASSERT(parts.template read<TypeParam>() == key);
    RC_ASSERT(parts.is_whole());
  }));
}

TYPED_TEST(table_key_test, a_range_has_the_keys_from_its_first_to_before_its_end) {
  EXPECT_TRUE(rc::check([] {
    const auto& table = table_of<TypeParam>;
    const auto key = any_key(std::type_identity<TypeParam>());
    const auto first = any_key(std::type_identity<TypeParam>());
    const auto end = any_key(std::type_identity<TypeParam>());
    const auto is_in = [bytes = table.bytes_of(key)](const auto& range) {
      return !is_before(bytes, range.from) && is_before(bytes, range.to);
    };
    RC_ASSERT(is_in(table.all()));
    RC_ASSERT(is_in(table.from(first)) == !(key < first));
    RC_ASSERT(is_in(table.before(end)) == (key < end));
    RC_ASSERT(is_in(table.between(first, end)) == (!(key < first) && key < end));
    const ordered_table<TypeParam, std::uint64_t> next(4);
    RC_ASSERT(!is_in(next.all()));
  }));
}

TEST(table_key, ranges_with_first_parts_have_the_keys_that_have_them) {
  using key = std::tuple<std::uint8_t, std::string, std::int16_t>;
  EXPECT_TRUE(rc::check([] {
    const auto& table = table_of<key>;
    const auto one = any_key(std::type_identity<key>());
    const auto other = any_key(std::type_identity<key>());
    const auto& [number, text, last] = other;
    const auto is_in = [bytes = table.bytes_of(one)](const auto& range) {
      return !is_before(bytes, range.from) && is_before(bytes, range.to);
    };
    const bool same_number = std::get<0>(one) == number;
    const bool same_text = std::get<1>(one) == text;
    RC_ASSERT(is_in(table.with(number)) == same_number);
    RC_ASSERT(is_in(table.with(number, text)) == (same_number && same_text));
    RC_ASSERT(is_in(table.with(number, text, last)) == (one == other));
    RC_ASSERT(is_in(table.with_text(number, text))
              == (same_number && std::get<1>(one).starts_with(text)));
    const auto begun = table_of<std::string>.with_text(text);
    const auto whole = table_of<std::string>.bytes_of(std::get<1>(one));
    RC_ASSERT((!is_before(whole, begun.from) && is_before(whole, begun.to))
              == std::get<1>(one).starts_with(text));
  }));
}

TEST(table_key, says_when_it_is_too_long) {
  const auto& table = table_of<std::string>;
  EXPECT_FALSE(table.bytes_of(std::string(501, 'a')).is_too_long());
  EXPECT_TRUE(table.bytes_of(std::string(502, 'a')).is_too_long());
  EXPECT_TRUE(table.bytes_of(std::string(251, '\0')).is_too_long()) << "a zero takes two bytes";
}

TEST(table_key, tells_bytes_that_are_no_key_of_its_kind) {
  const auto is_whole = [](const key_bytes& bytes) {
    key_reader parts(bytes.bytes());
    (void)parts.read<std::tuple<std::uint64_t, std::string>>();
    return parts.is_whole();
  };
  EXPECT_TRUE(is_whole(table_of<std::tuple<std::uint64_t, std::string>>.bytes_of({1, "a"})));
  EXPECT_FALSE(is_whole(table_of<std::uint8_t>.bytes_of(1))) << "too short";
  using longer = std::tuple<std::uint64_t, std::string, std::uint64_t, std::uint64_t>;
  EXPECT_FALSE(is_whole(table_of<longer>.bytes_of({1, "a", 2, 3}))) << "too long";
}

} // namespace
} // namespace acta::tests
