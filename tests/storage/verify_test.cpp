// What verify() finds, and that it goes on behind it.
#include "../support/any_log.hpp"
#include "../support/raw_store.hpp"
#include "../support/schemas.hpp"

#include <acta/storage/verify.hpp>

#include <array>

namespace acta::tests {
namespace {

using storage::verification;

class verify_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    name_types();
  }
  void name_types() const {
    ASSERT_EQ(log->register_category("order"), category_id(1));
    ASSERT_EQ(log->register_event_type("submitted"), event_type_id(1));
  }
  [[nodiscard]] verification verified() const {
    auto done = storage::verify(*log);
    EXPECT_TRUE(done) << done.error().message();
    return done ? std::move(*done) : verification{};
  }
  static void expect_finding(const verification& in, std::size_t which, std::uint64_t position,
                             const std::string& text) {
    ASSERT_LT(which, in.findings.size());
    const auto& found = in.findings[which];
    EXPECT_EQ(found.position, log_position(position)) << found.what;
    EXPECT_NE(found.what.find(text), std::string::npos) << found.what;
    EXPECT_NE(found.what.find("position " + std::to_string(position)), std::string::npos)
      << found.what;
  }
};

TEST_P(verify_test, finds_nothing_in_a_sound_log) {
  EXPECT_EQ(verified().records, 0U);
  append(1, 1, 300);
  append(2, 1, 2);
  std::uint64_t reached = 0;
  const auto done =
    storage::verify(*log, 10, [&](log_position position) { reached = position.value(); });
  ASSERT_TRUE(done);
  EXPECT_EQ(done->records, 302U);
  EXPECT_EQ(done->streams, 2U);
  EXPECT_EQ(done->problems, 0U);
  EXPECT_TRUE(done->findings.empty());
  EXPECT_EQ(reached, 302U);
}

TEST_P(verify_test, finds_versions_that_do_not_follow_one_another) {
  append(1, 1, 2);
  append(1, 4, 2);
  append(1, 5);
  const auto done = verified();
  EXPECT_EQ(done.problems, 2U);
  expect_finding(done, 0, 3, "stream order/1: version 4 where 3 must follow");
  expect_finding(done, 1, 5, "version 5 where 6 must follow");
}

TEST_P(verify_test, finds_commands_that_are_not_whole) {
  const stream_id stream(category_id(1), 1);
  const finished_record cut(stream, 1, "x", 2, 1);
  const finished_record next(stream, 2, "x", 0, 2);
  const finished_record last(stream, 3, "x", 1, 3);
  const std::array records{cut.bytes(), next.bytes(), last.bytes()};
  ASSERT_TRUE(log->append(records, 1'000));
  const auto done = verified();
  EXPECT_EQ(done.problems, 2U);
  expect_finding(done, 0, 2, "the command at the position before it should go on");
  EXPECT_EQ(done.findings.at(1).position, log_position(3));
  EXPECT_NE(done.findings[1].what.find("within a command"), std::string::npos);
}

TEST_P(verify_test, finds_types_and_categories_without_a_name) {
  const finished_record record(stream_id(category_id(9), 1), 1, "x", 0, 0, 7);
  const std::array records{record.bytes()};
  ASSERT_TRUE(log->append(records, 1'000));
  const auto done = verified();
  EXPECT_EQ(done.problems, 2U);
  expect_finding(done, 0, 1, "category 9 has no name");
  expect_finding(done, 1, 1, "event type 7 has no name");
}

TEST_P(verify_test, counts_all_problems_and_keeps_as_many_as_it_was_asked_for) {
  for (std::uint64_t i = 1; i <= 200; ++i)
    append(1, 2 * i);
  const auto done = storage::verify(*log, 5);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->problems, 200U);
  EXPECT_EQ(done->findings.size(), 5U);
}

TEST_P(verify_test, finds_payloads_that_are_not_of_their_type) {
  const std::string fbs = "namespace shop; table submitted { amount: long; note: string; }";
  const auto type = log->register_event_type("shop.submitted");
  const auto unknown = log->register_event_type("shop.unknown");
  ASSERT_TRUE(type && unknown);
  const auto schema = binary_schema(fbs);
  const storage::event_schema one{*type, schema};
  ASSERT_TRUE(log->put_schemas({&one, 1}));
  const auto sound = payload(fbs, "shop.submitted", R"({"amount": 7, "note": "by bob"})");
  const stream_id stream(category_id(1), 5);
  const auto append_one = [&](std::uint64_t version, std::string_view bytes, event_type_id of) {
    const finished_record record(stream, version, bytes, 0, 0, of.value());
    const std::array records{record.bytes()};
    ASSERT_TRUE(log->append(records, 1'000));
  };
  append_one(1, text_of(sound), *type);
  append_one(2, "no FlatBuffer of any type", *type);
  append_one(3, "whatever it is", *unknown);
  append_one(4, text_of(sound), *type);
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, 2, "stream order/5: the payload is not a well-formed 'shop.submitted'");
}

TEST_P(verify_test, finds_a_schema_that_is_none_once) {
  const std::vector<std::byte> none(64, std::byte{7});
  const storage::event_schema one{event_type_id(1), none};
  ASSERT_TRUE(log->put_schemas({&one, 1}));
  append(1, 1, 3);
  const auto done = verified();
  EXPECT_EQ(done.problems, 1U);
  expect_finding(done, 0, 1, "the store's schema of its event type 'submitted' is not one");
}

INSTANTIATE_TEST_SUITE_P(logs, verify_test, any_log, name_of_log);

/// Each byte of a record changed in turn: whatever it is, it is found at its position, and the
/// records around it are read.
TEST(verify_of_a_damaged_store, finds_every_changed_byte_and_reads_on) {
  const scratch_directory directory;
  const auto store = directory.path() / "store";
  const stream_id stream(category_id(1), 1);
  {
    const auto log = storage::open_log(store);
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->register_category("order"));
    ASSERT_TRUE((*log)->register_event_type("submitted"));
    for (std::uint64_t version = 1; version <= 200; ++version) {
      const finished_record record(stream, version, "payload");
      const std::array records{record.bytes()};
      ASSERT_TRUE((*log)->append(records, finished_record::recorded_at_ns));
    }
  }
  const finished_record sound(stream, 150, "payload");
  const std::string bytes(text_of(sound.bytes()));
  for (std::size_t i = 0; i <= bytes.size(); ++i) {
    auto damaged = bytes;
    if (i < bytes.size())
      damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    put_raw(store, "events", key_of_position(150), damaged);
    const auto log = storage::open_log(store);
    ASSERT_TRUE(log);
    const auto done = storage::verify(**log);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->records, 200U);
    if (i == bytes.size()) {
      EXPECT_EQ(done->problems, 0U) << "it was put back as it was";
      continue;
    }
    EXPECT_EQ(done->problems, 2U) << "byte " << i << ": the record, and the gap behind it";
    ASSERT_FALSE(done->findings.empty());
    EXPECT_EQ(done->findings[0].position, log_position(150));
    EXPECT_EQ(done->findings[1].position, log_position(151));
  }
  put_raw(store, "events", key_of_position(150), "short");
  const auto log = storage::open_log(store);
  ASSERT_TRUE(log);
  const auto done = storage::verify(**log);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->findings.at(0).position, log_position(150));
  EXPECT_NE(done->findings[0].what.find("are no record"), std::string::npos)
    << done->findings[0].what;
  const auto snapshot = (*log)->snapshot();
  const auto cursor = (*snapshot)->scan(log_position(130));
  const auto before = (*cursor)->next();
  ASSERT_TRUE(before) << "the records before the damaged one";
  EXPECT_EQ(before->size(), 20U);
  for (int i = 0; i < 2; ++i) {
    const auto failed = (*cursor)->next();
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().message().find("position 150"), std::string::npos);
  }
}

} // namespace
} // namespace acta::tests
