#include "../support/records.hpp"

#include <acta/base/limits.hpp>
#include <acta/storage/record.hpp>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace acta::tests {
namespace {

using storage::record_view;

stream_id text_stream(std::string_view key) {
  return stream_id::from_text(category_id(7), key).value();
}

/// The bytes of docs/format.md. If this fails, the format changed: raise its version.
TEST(record, has_the_bytes_of_the_format_page) {
  const finished_record record(stream_id(category_id(7), 0x1122334455667788U), 9, "hello", 3);
  std::string hex;
  for (const auto byte : record.bytes().subspan(8)) {
    constexpr std::string_view digits = "0123456789abcdef";
    hex += digits[static_cast<unsigned>(byte) >> 4U];
    hex += digits[static_cast<unsigned>(byte) & 15U];
  }
  EXPECT_EQ(hex, "0900000000000000"                 // version
                 "e803000000000000"                 // recorded_at_ns
                 "01000000000000000900000000000000" // command
                 "05000000"                         // payload_size
                 "0000"                             // metadata_size
                 "0100"                             // event_type
                 "0100"                             // schema_version
                 "0700"                             // category
                 "01"                               // key_kind
                 "08"                               // key_size
                 "0300"                             // remaining
                 "8877665544332211"                 // key
                 "68656c6c6f000000");               // payload, padded
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, record.bytes().data(), sizeof checksum);
  EXPECT_EQ(checksum, 0x51b6a8f826341307U) << "XXH3-64 of the above";
}

TEST(record, reads_back_what_was_written) {
  const auto stream = text_stream("alice");
  finished_record record(stream, 4, "payload", 2);
  const auto view = record_view::parse(log_position(5), record.bytes());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->position(), log_position(5));
  EXPECT_EQ(view->version(), stream_version(4));
  EXPECT_EQ(view->stream(), stream);
  EXPECT_EQ(view->stream_hash(), stream_hash(stream));
  EXPECT_TRUE(view->is_of(stream));
  EXPECT_FALSE(view->is_of(text_stream("alicf")));
  EXPECT_FALSE(view->is_of(stream_id(category_id(7), 5)));
  EXPECT_EQ(text_of(view->payload()), "payload");
  EXPECT_EQ(view->header().remaining, 2);
  EXPECT_TRUE(view->metadata().empty());
  EXPECT_TRUE(view->verify());
}

TEST(record, finds_every_flipped_bit) {
  finished_record record(text_stream("key"), 1, "some payload");
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << bit % 8);
    record.data()[bit / 8] ^= mask;
    const auto view = record_view::parse(log_position(12), record.bytes());
    const bool sound = view && view->verify();
    EXPECT_FALSE(sound) << "bit " << bit;
    if (view) {
      const auto verified = view->verify();
      ASSERT_FALSE(verified);
      EXPECT_EQ(verified.error().code(), errc::corrupt);
      EXPECT_NE(verified.error().message().find("12"), std::string::npos);
    }
    record.data()[bit / 8] ^= mask;
  }
  EXPECT_TRUE(record_view::parse(log_position(12), record.bytes())->verify());
}

TEST(record, is_not_parsed_from_any_prefix) {
  const finished_record record(text_stream("some key"), 1, "some payload");
  for (std::size_t size = 0; size < record.size(); size += 8)
    EXPECT_FALSE(record_view::parse(log_position(1), record.bytes().first(size))) << size;
}

/// Whatever the bytes, a record that parses lies within them.
TEST(record, never_reaches_outside_arbitrary_bytes) {
  EXPECT_TRUE(rc::check([] {
    auto words =
      *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::arbitrary<std::uint64_t>());
    const auto bytes = std::as_bytes(std::span(words));
    if (bytes.size() >= sizeof(storage::record_header)) {
      // Sizes that come near fitting, else nothing would ever parse.
      auto* header = reinterpret_cast<storage::record_header*>(words.data());
      header->payload_size = *rc::gen::inRange<std::uint32_t>(0, 200);
      header->metadata_size = *rc::gen::inRange<std::uint16_t>(0, 40);
      header->key_size = *rc::gen::inRange<std::uint8_t>(0, 70);
      header->key_kind = *rc::gen::inRange<std::uint8_t>(0, 4);
    }
    const auto view = record_view::parse(log_position(1), bytes);
    if (!view)
      return;
    const auto inside = [&](std::span<const std::byte> part) {
      return part.empty()
             || (part.data() >= bytes.data()
                 && part.data() + part.size() <= bytes.data() + bytes.size());
    };
    RC_ASSERT(inside(view->key()) && inside(view->metadata()) && inside(view->payload()));
    (void)view->stream();
    (void)view->verify();
  }));
}

} // namespace
} // namespace acta::tests
