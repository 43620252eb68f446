#include <acta/storage/faulty_log.hpp>
#include <acta/storage/schema.hpp>

#include "../support/any_log.hpp"
#include "../support/raw_store.hpp"
#include "../support/schemas.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::storage {
namespace {

using tests::binary_schema;

/// Counts what is written.
class counting_log final : public storage::forwarding_log {
public:
  using forwarding_log::forwarding_log;
  result<void> put_schemas(std::span<const event_schema> schemas) override {
    written += schemas.size();
    return forwarding_log::put_schemas(schemas);
  }
  std::size_t written = 0;
};

class schema_test : public tests::any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    paid_ = *log->register_event_type("shop.paid");
  }

  [[nodiscard]] result<void> offer(const std::string& fbs) {
    const auto bfbs = binary_schema(fbs);
    return offer(bfbs);
  }
  [[nodiscard]] result<void> offer(const std::vector<std::byte>& bfbs) {
    return offer({{paid_, bfbs}});
  }
  [[nodiscard]] result<void> offer(const std::vector<event_schema>& schemas) {
    return register_schemas(*log, schemas);
  }
  /// Whatever was there before.
  void put(const std::vector<std::byte>& bfbs) {
    const event_schema one{paid_, bfbs};
    ASSERT_TRUE(log->put_schemas({&one, 1}));
  }
  [[nodiscard]] bool has(const std::string& fbs) const {
    return log->schema(paid_) == binary_schema(fbs);
  }

  event_type_id paid_;
};

const std::string before = R"(
  namespace shop;
  enum currency : byte { euro = 0, franc = 1 }
  struct place { x:int; y:int; }
  table card { number:string; }
  table cash { coins:int; }
  union means { card, cash }
  table part { amount:long; }
  table paid {
    amount:long;
    rate:double = 1.5;
    tip:long = null;
    currency:currency;
    currencies:[currency];
    at:place;
    means:means;
    parts:[part];
    note:string;
  }
)";

[[nodiscard]] std::string changed(std::string_view from, std::string_view to) {
  auto text = before;
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST_P(schema_test, keeps_a_schema_with_its_event_type) {
  EXPECT_TRUE(log->schema(paid_)->empty());
  ASSERT_TRUE(offer(before));
  EXPECT_TRUE(has(before));
  if (GetParam() != durability::memory)
    reopen();
  EXPECT_TRUE(has(before));
  EXPECT_TRUE(log->schema(event_type_id(2))->empty());
}

TEST_P(schema_test, puts_a_schema_with_more_in_it_in_place_of_the_one_before) {
  auto now = before;
  ASSERT_TRUE(offer(now));
  const std::vector<std::pair<std::string, std::string>> steps{
    {"note:string;", "note:string; by:string; pieces:int = 7;"}, // fields at the end
    {"franc = 1", "franc = 1, crown = 2"},
    {"card, cash", "card, cash, part"},
    {"note:string;", "note:string (deprecated);"},
    {"parts:[part]", "pieces_of_it:[part]"}, // another name, the same bytes
    {"table part { amount:long; }", "table part { amount:long; share:double; }"},
    {"table paid", "table refunded { amount:long; } table paid"},
  };
  for (const auto& [from, to] : steps) {
    const auto at = now.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    now.replace(at, from.size(), to);
    const auto offered = offer(now);
    ASSERT_TRUE(offered) << offered.error().message();
    EXPECT_TRUE(has(now)) << to;
  }
}

TEST_P(schema_test, keeps_the_newer_schema_when_an_older_program_opens_the_store) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
         {"note:string;", "note:string; by:string;"},
         {"franc = 1", "franc = 1, crown = 2"},
         {"card, cash", "card, cash, part"},
         {"amount:long;\n    rate", "amount:long (deprecated);\n    rate"}}) {
    const auto newer = changed(from, to);
    ASSERT_TRUE(offer(newer)) << to;
    const auto offered = offer(before);
    EXPECT_TRUE(offered) << offered.error().message();
    EXPECT_TRUE(has(newer)) << to;
    put(binary_schema(before)); // for the next
  }
}

struct misfit {
  std::string_view from;
  std::string_view to;
  std::vector<std::string_view> says;
  bool conform_can_tell = true; ///< FlatBuffers 2.0.8 crashes where an enum became a number.
};

const std::vector<misfit> misfits{
  {"    amount:long;\n    rate",
   "    amount:int;\n    rate",
   {"table 'shop.paid'", "field 'amount'", "'long' in the store and 'int' in this program"}},
  {"    amount:long;\n    rate",
   "    rate",
   {"table 'shop.paid'", "field 'amount'", "'double' in this program, where it is named 'rate'"}},
  {"    amount:long;\n    rate:double = 1.5;\n    tip:long = null;",
   "    tip:long = null;\n    rate:double = 1.5;\n    amount:long;",
   {"table 'shop.paid'", "'amount'", "its id is 0 in the store and 2 in this program"}},
  {"rate:double = 1.5;", "rate:double = 2;", {"'rate'", "default is 1.5 in the store and 2 in"}},
  {"tip:long = null;", "tip:long;", {"'tip'", "default is null in the store and 0 in"}},
  {"currency:currency;", "currency:currency = franc;", {"'currency'", "default is 0", "1 in this"}},
  {"euro = 0, franc = 1",
   "euro = 0, franc = 2",
   {"enum 'shop.currency'", "'franc' is 1 in the store and 2 in this program"}},
  {"currency : byte",
   "currency : short",
   {"'currencies'", "'[shop.currency:byte]' in the store and '[shop.currency:short]' in this"}},
  {"currencies:[currency];",
   "currencies:[byte];",
   {"'[shop.currency:byte]' in the store and '[byte]'"},
   false},
  {"y:int;", "y:int; z:int;", {"struct 'shop.place'", "2 fields in 8 bytes", "3 in 12"}},
  {"x:int; y:int;", "y:int; x:int;", {"'shop.place'", "'x'", "its id is 0 in the store and 1 in"}},
  {"struct place { x:int; y:int; }", "table place { x:int; y:int; }", {"'shop.place' is a struct"}},
  {"card, cash", "cash, card", {"enum 'shop.means'", "'card' is 1 in the store and 2 in"}},
  {"card, cash",
   "card, coin:part",
   {"union 'shop.means'", "member 2 is 'shop.cash'", "'shop.part'"}},
  {"note:string;", "note:string (required);", {"field 'note'", "required in this program"}},
  {"note:string;", "note:string; by:string (required);", {"field 'by'", "it is new and required"}},
  {"note:string;", "remark:[ubyte];", {"'note'", "'[ubyte]' in this program, where it is named"}},
  {"table part { amount:long; }",
   "table part { amount:float; }",
   {"table 'shop.part'", "field 'amount'", "'long' in the store and 'float'"}},
  {"table card { number:string; }",
   "table card { number:long; }",
   {"table 'shop.card'", "field 'number'", "'string' in the store and 'long'"}},
  {"note:string;\n  }",
   "}\n  table other { x:paid; }\n  enum other_one : byte { one }",
   {}}, // less alone is what an older program has
  {"franc = 1 }", "crown = 2 }", {"'franc' is not in this program, and adds", "'crown'"}},
};

TEST_P(schema_test, refuses_a_schema_that_would_misread_stored_events_and_says_where) {
  ASSERT_TRUE(offer(before));
  for (const auto& [from, to, says, _] : misfits) {
    const auto newer = changed(from, to);
    const auto offered = offer(newer);
    ASSERT_EQ(offered.has_value(), says.empty()) << to;
    EXPECT_TRUE(has(before)) << to;
    if (offered)
      continue;
    EXPECT_EQ(offered.error().code(), errc::incompatible_schema);
    const auto& message = offered.error().message();
    for (const auto part : says)
      EXPECT_NE(message.find(part), std::string::npos) << part << " is not in: " << message;
    EXPECT_TRUE(message.starts_with("event type 'shop.paid': ")) << message;
    EXPECT_NE(message.find("upcaster"), std::string::npos) << message;
  }
}

TEST_P(schema_test, refuses_whatever_flatc_conform_refuses) {
  std::size_t refused_by_both = 0;
  for (const auto& one : misfits) {
    if (!one.conform_can_tell)
      continue;
    const auto newer = changed(one.from, one.to);
    put(binary_schema(before));
    if (const auto reason = tests::conform(before, newer); !reason.empty()) {
      EXPECT_FALSE(offer(newer)) << reason;
      ++refused_by_both;
    }
  }
  EXPECT_GE(refused_by_both, misfits.size() / 2);
}

TEST_P(schema_test, looks_at_nothing_the_event_does_not_lead_to) {
  const auto with = [](std::string_view more) { return before + std::string(more); };
  ASSERT_TRUE(offer(with("table other { x:int; } enum color : byte { red = 1 }")));
  const auto offered = offer(with("table other { x:string; } enum color : byte { red = 2 }"));
  EXPECT_TRUE(offered) << offered.error().message();
}

TEST_P(schema_test, compares_tables_that_hold_themselves) {
  const std::string tree = "namespace shop; table paid { left:paid; right:paid; amount:long; }";
  ASSERT_TRUE(offer(tree));
  EXPECT_TRUE(offer(tree));
  EXPECT_FALSE(offer("namespace shop; table paid { left:paid; right:paid; amount:int; }"));
}

TEST_P(schema_test, stores_all_schemas_or_none) {
  ASSERT_TRUE(offer(before));
  const auto other = *log->register_event_type("shop.card");
  const auto newer = binary_schema(changed("note:string;", "note:string; by:string;"));
  const auto bad =
    binary_schema(changed("    amount:long;\n    rate", "    amount:int;\n    rate"));
  EXPECT_FALSE(offer({{other, newer}, {paid_, bad}}));
  EXPECT_TRUE(log->schema(other)->empty());
  EXPECT_TRUE(offer({{other, newer}, {paid_, newer}}));
  EXPECT_EQ(log->schema(other), newer);
  EXPECT_EQ(log->schema(paid_), newer);
}

TEST_P(schema_test, writes_only_what_changes) {
  const auto offer_to = [&](event_log& to, const std::vector<std::byte>& bfbs) {
    const event_schema one{paid_, bfbs};
    return register_schemas(to, {&one, 1});
  };
  counting_log counted(std::shared_ptr<event_log>(std::move(log)));
  const auto newer = binary_schema(changed("note:string;", "note:string; by:string;"));
  const auto older = binary_schema(before);
  ASSERT_TRUE(offer_to(counted, newer));
  EXPECT_EQ(counted.written, 1U);
  ASSERT_TRUE(offer_to(counted, newer));
  ASSERT_TRUE(offer_to(counted, older));
  EXPECT_EQ(counted.written, 1U);
}

TEST_P(schema_test, refuses_bytes_that_are_no_schema_of_the_event_type) {
  const std::string text = "a note about payments, and no schema at all";
  for (const auto& bytes :
       {std::vector<std::byte>(),
        tests::copied(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()),
        binary_schema("namespace shop; table other { x:int; }"),
        binary_schema("namespace shop; struct paid { x:int; }")}) {
    const auto offered = offer(bytes);
    ASSERT_FALSE(offered);
    EXPECT_EQ(offered.error().code(), errc::invalid_argument);
    EXPECT_NE(offered.error().message().find("'shop.paid'"), std::string::npos);
    EXPECT_TRUE(log->schema(paid_)->empty());
  }
}

TEST(schema, with_any_byte_changed_is_refused_or_harmless) {
  const auto log = make_memory_log();
  const auto paid = *log->register_event_type("shop.paid");
  const auto sound = binary_schema(before);
  const auto offer = [&](const std::vector<std::byte>& bfbs) {
    const event_schema one{paid, bfbs};
    return register_schemas(*log, {&one, 1});
  };
  ASSERT_TRUE(offer(sound));
  std::size_t taken = 0;
  for (std::size_t i = 0; i < sound.size(); ++i)
    for (const auto mask : {std::byte{0x01}, std::byte{0x80}, std::byte{0xff}}) {
      auto bytes = sound;
      bytes[i] ^= mask;
      const auto offered = offer(bytes);
      if (!offered)
        continue;
      ++taken;
      const event_schema one{paid, sound};
      ASSERT_TRUE(log->put_schemas({&one, 1}));
    }
  EXPECT_GT(taken, 0U) << "attributes and file names are nothing to a reader";
  EXPECT_LT(taken, sound.size());
}

TEST(schema, is_reported_if_it_is_damaged_in_the_file) {
  const tests::scratch_directory directory;
  const auto bfbs = binary_schema(before);
  {
    const auto log = open_log(directory.path());
    ASSERT_TRUE(log);
    const event_schema one{*(*log)->register_event_type("shop.paid"), bfbs};
    ASSERT_TRUE(register_schemas(**log, {&one, 1}));
  }
  const std::string stored(8 + bfbs.size(), 'x'); // 8: the checksum
  tests::put_raw(directory.path(), "meta", "schema:00001", stored);
  const auto log = open_log(directory.path());
  ASSERT_TRUE(log);
  const auto read = (*log)->schema(event_type_id(1));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), errc::corrupt);
  EXPECT_NE(read.error().message().find("the schema of event type 'shop.paid': "),
            std::string::npos);
  const event_schema one{event_type_id(1), bfbs};
  EXPECT_EQ(register_schemas(**log, {&one, 1}).error().code(), errc::corrupt);
}

INSTANTIATE_TEST_SUITE_P(logs, schema_test, tests::any_log, tests::name_of_log);

} // namespace
} // namespace acta::storage
