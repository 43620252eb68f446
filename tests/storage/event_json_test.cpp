#include <acta/storage/event_json.hpp>

#include "../support/any_log.hpp"
#include "../support/schemas.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {
namespace {

using nlohmann::json;
using tests::binary_schema;
using tests::finished_record;

class event_json_test : public tests::any_log_test {
protected:
  /// Registers an event type with its schema.
  event_type_id know(const std::string& type, const std::string& fbs) {
    const auto id = *log->register_event_type(type);
    const auto bfbs = binary_schema(fbs);
    const event_schema one{id, bfbs};
    EXPECT_TRUE(log->put_schemas({&one, 1}));
    return id;
  }
  /// An event as JSON, as if it were the next of the log.
  result<std::string> printed(event_json& by, event_type_id type,
                              std::span<const std::byte> payload) {
    const finished_record record(stream_id(category_id(1), 7), 1, tests::text_of(payload), 0, 0,
                                 type.value());
    return by.text(*record_view::parse(log->tail().next(), record.bytes()));
  }
  result<std::string> printed(event_type_id type, std::span<const std::byte> payload) {
    event_json by(*log);
    return printed(by, type, payload);
  }
  result<std::string> printed(const std::string& fbs, const std::string& text) {
    return printed(know("shop.event", fbs), tests::payload(fbs, "shop.event", text));
  }
};

const std::string everything = R"(
  namespace shop;
  enum color : ubyte { red, green = 2, blue = 9 }
  enum right : ushort (bit_flags) { read, write }
  struct inner { a:short; b:double; }
  struct outer { first:inner; ints:[int:3]; inners:[inner:2]; c:color; }
  table leaf { name:string; weight:float; }
  union content { leaf, words:string, outer }
  table event {
    z_first:long;
    yes:bool = true;
    byte:byte;
    ubyte:ubyte;
    short:short;
    ushort:ushort;
    int:int;
    uint:uint;
    long:long;
    ulong:ulong;
    float:float;
    double:double;
    maybe:int = null;
    never:int = null;
    color:color = green;
    right:right;
    text:string;
    missing:string;
    around:outer;
    twig:leaf;
    nothing:leaf;
    content:content;
    contents:[content];
    bytes:[ubyte];
    doubles:[double];
    colors:[color];
    texts:[string];
    inners:[inner];
    leaves:[leaf];
    gone:int (deprecated);
  }
)";

const std::string all_of_it = R"({
  "z_first": -9223372036854775808, "yes": false, "byte": -128, "ubyte": 255, "short": -32768,
  "ushort": 65535, "int": -2147483648, "uint": 4294967295, "long": 9223372036854775807,
  "ulong": 18446744073709551615, "float": 0.1, "double": 0.1, "maybe": 0, "color": "blue",
  "right": "write", "text": "\"quoted\" \\ \n \u0001 \u00e4 \ud83d\ude00",
  "around": {"first": {"a": 1, "b": 0.1}, "ints": [1, 2, 3],
            "inners": [{"a": 2, "b": 1e300}, {"a": 3, "b": -0.5}], "c": "red"},
  "twig": {"name": "oak", "weight": 1.5},
  "content_type": "outer",
  "content": {"first": {"a": 4, "b": 1.0}, "ints": [4, 5, 6],
              "inners": [{"a": 5, "b": 2.0}, {"a": 6, "b": 3.0}], "c": "green"},
  "contents_type": ["words", "leaf"], "contents": ["said", {"name": "elm", "weight": 0}],
  "bytes": [0, 1, 255], "doubles": [0.1, 12345678.12345678], "colors": ["red", "blue"],
  "texts": ["", "a"], "inners": [{"a": 7, "b": 4.0}],
  "leaves": [{"name": "ash", "weight": 2.25}, {"weight": 0.5}]
})";

TEST_P(event_json_test, prints_events_whose_type_no_program_has_any_more) {
  const std::string fbs = "namespace shop; table event { amount:long; }";
  const auto type = know("shop.event", fbs);
  const auto payload = tests::payload(fbs, "shop.event", "{amount: 70}");
  const finished_record record(stream_id(category_id(1), 7), 1, tests::text_of(payload), 0, 0,
                               type.value());
  const auto bytes = record.bytes();
  ASSERT_TRUE(log->append({&bytes, 1}, 1'000));
  if (GetParam() != durability::memory)
    reopen();
  const auto snapshot = log->snapshot();
  const auto stored = (*snapshot)->at(log_position(1));
  const auto text = event_json(*log).text(*stored);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, "{\"amount\":70}");
}

TEST_P(event_json_test, prints_every_kind_of_field) {
  const auto text = printed(everything, all_of_it);
  ASSERT_TRUE(text) << text.error().message();
  auto expected = json::parse(all_of_it);
  expected["float"] = 0.1F; // as the shortest text that is this float
  auto printed = json::parse(*text);
  EXPECT_FLOAT_EQ(printed["float"].get<float>(), 0.1F);
  printed["float"] = 0.1F;
  EXPECT_EQ(printed, expected);
  EXPECT_EQ(text->find('\n'), std::string::npos) << "one line";
  EXPECT_TRUE(text->starts_with("{\"z_first\":")) << "in the order of the ids";
}

TEST_P(event_json_test, prints_scalars_at_their_default_and_leaves_out_what_is_not_there) {
  const auto text = printed(everything, "{}");
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, "{\"z_first\":0,\"yes\":true,\"byte\":0,\"ubyte\":0,\"short\":0,\"ushort\":0,"
                   "\"int\":0,\"uint\":0,\"long\":0,\"ulong\":0,\"float\":0,\"double\":0,"
                   "\"color\":\"green\",\"right\":0,\"content_type\":\"NONE\"}");
}

TEST_P(event_json_test, prints_what_flatbuffers_reads_back_as_the_same_event) {
  const auto text = printed(everything, all_of_it);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(tests::payload(everything, "shop.event", *text),
            tests::payload(everything, "shop.event", all_of_it));
}

TEST_P(event_json_test, prints_numbers_that_json_has_not_as_texts) {
  const std::string fbs = "namespace shop; table event { list:[double]; one:float = nan; }";
  const auto text = printed(fbs, "{list: [nan, inf, -inf, 0.1]}");
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, "{\"list\":[\"NaN\",\"Infinity\",\"-Infinity\",0.1],\"one\":\"NaN\"}");
}

TEST_P(event_json_test, prints_enumerators_and_union_members_it_does_not_know) {
  const std::string older = "namespace shop; enum color : byte { red, green } table leaf { x:int; }"
                            "union any { leaf } table event { color:color; any:any; }";
  const std::string newer = "namespace shop; enum color : byte { red, green, blue }"
                            "table leaf { x:int; } table stone { y:int; } union any { leaf, stone }"
                            "table event { color:color; any:any; more:int; }";
  const auto newest = tests::payload(newer, "shop.event",
                                     R"({color: "blue", any_type: "stone", any: {y: 1}, more: 3})");
  const auto text = printed(know("shop.event", older), newest);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, "{\"color\":2,\"any_type\":2,\"any\":null}");
}

TEST_P(event_json_test, says_what_it_cannot_print) {
  const auto expect = [&](const result<std::string>& text, errc code, std::string_view says) {
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code(), code);
    EXPECT_NE(text.error().message().find(says), std::string::npos) << text.error().message();
    EXPECT_NE(text.error().message().find("position "), std::string::npos);
  };
  const auto empty = tests::payload(everything, "shop.event", "{}");
  expect(printed(event_type_id(99), empty), errc::not_found, "99");
  expect(printed(*log->register_event_type("shop.bare"), empty), errc::not_found,
         "no schema of event type 'shop.bare'");
  const auto type = know("shop.event", everything);
  expect(printed(type, {}), errc::corrupt, "'shop.event'");
  const std::string text = "this is no FlatBuffer";
  expect(printed(type, std::as_bytes(std::span(text))), errc::corrupt, "'shop.event'");
  auto not_text = tests::payload(everything, "shop.event", R"({text: "abc"})");
  for (std::size_t i = 0; i + 2 < not_text.size(); ++i)
    if (tests::text_of(std::span(not_text).subspan(i, 3)) == "abc")
      not_text[i] = std::byte{0xff};
  expect(printed(type, not_text), errc::corrupt, "UTF-8");
  const std::string needy = "namespace shop; table event { text:string (required); }";
  const std::string casual = "namespace shop; table event { text:string; }";
  expect(printed(know("shop.event", needy), tests::payload(casual, "shop.event", "{}")),
         errc::corrupt, "'shop.event'");
}

TEST_P(event_json_test, refuses_a_small_event_that_is_a_huge_text) {
  // Every string of the list is the same half megabyte.
  flatbuffers::FlatBufferBuilder builder;
  const auto shared = builder.CreateString(std::string(500'000, 'x'));
  const std::vector<flatbuffers::Offset<flatbuffers::String>> many(10'000, shared);
  const auto list = builder.CreateVector(many);
  const auto start = builder.StartTable();
  builder.AddOffset(4, list);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  const auto type = know("shop.event", "namespace shop; table event { list:[string]; }");
  const auto text = printed(type, tests::copied(builder.GetBufferPointer(), builder.GetSize()));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code(), errc::too_large);
}

TEST_P(event_json_test, prints_or_refuses_an_event_with_any_byte_changed) {
  const auto type = know("shop.event", everything);
  const auto sound = tests::payload(everything, "shop.event", all_of_it);
  event_json by(*log);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < sound.size(); ++i)
    for (const auto mask : {std::byte{0x01}, std::byte{0x80}, std::byte{0xff}}) {
      auto bytes = sound;
      bytes[i] ^= mask;
      const auto text = printed(by, type, bytes);
      refused += text.has_value() ? 0U : 1U;
      ASSERT_TRUE(text ? json::accept(*text) : text.error().code() == errc::corrupt) << i;
    }
  EXPECT_GT(refused, sound.size() / 4);
  for (std::size_t size = 0; size < sound.size(); ++size)
    if (const auto text = printed(by, type, std::span(sound).first(size)); text) {
      ASSERT_TRUE(json::accept(*text)) << *text;
    }
}

INSTANTIATE_TEST_SUITE_P(logs, event_json_test, tests::any_log, tests::name_of_log);

} // namespace
} // namespace acta::storage
