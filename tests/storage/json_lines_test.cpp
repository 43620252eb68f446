// A log as text, and back.
#include "../support/any_log.hpp"
#include "../support/stores.hpp"

#include <acta/storage/json_lines.hpp>
#include <acta/storage/statistics.hpp>
#include <acta/storage/stream_name.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::export_json;
using storage::import_json;

[[nodiscard]] std::string exported(const storage::event_log& log,
                                   const storage::export_options& options = {}) {
  std::string text;
  const auto done = export_json(
    log,
    [&](std::string_view part) -> result<void> {
      text += part;
      return {};
    },
    options);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_EQ(*done, log.tail());
  return text;
}

[[nodiscard]] std::string line_of(const std::string& text, int number) {
  std::istringstream in(text);
  std::string line;
  for (int i = 0; i < number; ++i)
    std::getline(in, line);
  return line;
}

class json_lines : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    fill_with_everything(*log);
  }
  scratch_directory other_;
  [[nodiscard]] fs::path store() const { return other_.path() / "store"; }
};

TEST_P(json_lines, come_back_as_the_same_log_in_memory) {
  std::istringstream in(exported(*log));
  const auto copy = storage::make_memory_log();
  const auto done = import_json(in, "dump", *copy);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(*done, log->tail());
  expect_same(*log, *copy);
}

TEST_P(json_lines, come_back_as_the_same_store) {
  const auto text = exported(*log);
  std::istringstream in(text);
  const auto done = import_json(in, "dump", store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(fs::exists(store().string() + ".importing"));
  const auto copy = storage::open_log(store());
  ASSERT_TRUE(copy) << copy.error().message();
  expect_same(*log, **copy);
  EXPECT_EQ(storage::verify(**copy)->problems, 0U);
  if (log->durability() != storage::durability::memory) {
    EXPECT_EQ(storage::statistics(**copy)->store_id, storage::statistics(*log)->store_id);
    EXPECT_EQ(storage::statistics(**copy)->created_at_ns, storage::statistics(*log)->created_at_ns);
    EXPECT_EQ(exported(**copy), text);
  }
}

TEST_P(json_lines, say_what_is_in_a_record) {
  const auto text = exported(*log);
  EXPECT_EQ(line_of(text, 2),
            R"({"position":1,"category":"order","key_kind":"integer","key":"42","version":1,)"
            R"("event_type":"shop.submitted","schema_version":1,)"
            R"("recorded_at":"1969-12-31T23:59:58.499999999Z",)"
            R"("command":"01000000000000000100000000000000","remaining":0,)"
            R"("metadata":"","payload":"Zmlyc3Q="})");
  EXPECT_NE(line_of(text, 8).find(R"("key":{"base64":"/gCA"})"), std::string::npos) << text;
  EXPECT_TRUE(line_of(text, 1).starts_with(R"({"acta_export":1,"store_id":")")) << text;
}

TEST_P(json_lines, may_show_events_beside_their_bytes) {
  const auto text = exported(*log, {.decode = [](const storage::record_view& record) {
    return record.position() == log_position(2) ? std::string() : std::string(R"({"a":[1]})");
  }});
  EXPECT_TRUE(line_of(text, 2).ends_with(R"(,"event":{"a":[1]}})")) << text;
  EXPECT_EQ(line_of(text, 3).find("event\":"), std::string::npos) << text;
  std::istringstream in(text);
  const auto copy = storage::make_memory_log();
  ASSERT_TRUE(import_json(in, "dump", *copy));
  expect_same(*log, *copy);
}

TEST_P(json_lines, of_an_empty_log_are_one_line) {
  const auto empty = storage::make_memory_log();
  const auto text = exported(*empty);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  std::istringstream in(text);
  EXPECT_EQ(*import_json(in, "dump", store()), log_position(0));
}

TEST_P(json_lines, end_where_writing_them_fails) {
  const auto done = export_json(
    *log, [](std::string_view) -> result<void> { return failure(errc::no_space, "told to fail"); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "told to fail");
}

TEST_P(json_lines, are_not_imported_into_a_log_that_has_something) {
  std::istringstream in(exported(*log));
  EXPECT_EQ(import_json(in, "dump", *log).error().code(), errc::invalid_argument);
  fs::create_directory(store());
  std::ofstream(store() / "letter.txt") << "dear";
  std::istringstream again(exported(*log));
  const auto refused = import_json(again, "dump", store());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("is not empty"), std::string::npos);
  EXPECT_TRUE(fs::exists(store() / "letter.txt"));
}

TEST_P(json_lines, take_the_place_of_an_import_that_was_ended) {
  const fs::path left = store().string() + ".importing";
  fs::create_directories(left / "log");
  std::ofstream(left / "log" / "data.mdb") << "half";
  std::istringstream in(exported(*log));
  EXPECT_TRUE(import_json(in, "dump", store()));
  EXPECT_FALSE(fs::exists(left));
  fs::create_directory(left);
  std::ofstream(left / "letter.txt") << "dear";
  std::istringstream again(exported(*log));
  EXPECT_FALSE(import_json(again, "dump", other_.path() / "store"));
  EXPECT_TRUE(fs::exists(left / "letter.txt")) << "not ours to remove";
}

/// One thing wrong in a text, and what is said of it.
struct wrong_text {
  int line;         ///< That is changed, and that the error names; 0: the last, of what is left.
  std::string from; ///< In that line.
  std::string to;
  std::string message; ///< Part of it.
  errc code = errc::malformed;
};

[[nodiscard]] std::string replaced(std::string line, const std::string& from,
                                   const std::string& to) {
  const auto at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << line;
  return at == std::string::npos ? line : line.replace(at, from.size(), to);
}

TEST_P(json_lines, that_are_wrong_are_refused_by_file_and_line) {
  const auto text = exported(*log);
  const std::string long_key(limits::max_key_size + 1, 'k');
  const std::string large(2 * limits::max_payload_size, 'A');
  const wrong_text cases[] = {
    {1, "{\"acta_export\":1", "{\"some\":1", "no export of an Acta store"},
    {1, "\"acta_export\":1", "\"acta_export\":2", "knows up to 1", errc::newer_format},
    {1, "\"store_id\":\"", "\"store_id\":\"x", "'store_id' must be 32 hexadecimal digits"},
    {1, "\"created_at\"", "\"created\"", "'created_at' is missing"},
    {1, "\"last_position\":7", "\"last_position\":-7", "'last_position' must be a whole number"},
    {1, "\"shop.cancelled\"", "\"shop.submitted\"", "is there twice"},
    {1, "\"shop.cancelled\"", "\"\"", "a name is empty"},
    {1, "\"shop.cancelled\"", "7", "'event_types' must be a string"},
    {1, "\"schemas\":[\"\",", "\"schemas\":[\"AAAA\",", "is not one (flatc -b --schema)"},
    {1, "\"schemas\":[\"\",", "\"schemas\":[\"A\",", "'schemas' must be a list of base64"},
    {1, "\"schemas\":[\"\",", "\"schemas\":[", "as many as there are event types"},
    {1, "\"last_position\":7", "\"last_position\":6", "says that position 6 is the last"},
    {1, "{", "", "no export of an Acta store"},
    {3, "{", "", "no JSON object"},
    {3, "{\"position\":2,", "{\"position\":2,\"position\":2,", "a field is there twice"},
    {3, "\"version\":2,", "", "'version' is missing"},
    {3, "\"version\":2", "\"version\":\"2\"", "'version' must be a whole number"},
    {3, "\"version\":2", "\"version\":2.5", "'version' must be a whole number"},
    {3, "\"version\":2", "\"version\":3", "version 3 of stream order/42 where 2 must follow"},
    {3, "\"position\":2", "\"position\":3", "position 3 where 2 must follow"},
    {3, "\"remaining\":2", "\"remaining\":2,\"colour\":1", "'colour' is no field"},
    {3, "\"remaining\":2", "\"remaining\":65536", "'remaining' must be a whole number from 0"},
    {4, "\"remaining\":1", "\"remaining\":0", "line before should go on here"},
    {3, "\"category\":\"order\"", "\"category\":\"house\"", "not among the names"},
    {3, "\"event_type\":\"shop.submitted\"", "\"event_type\":3", "'event_type' must be a string"},
    {3, "\"key_kind\":\"integer\"", "\"key_kind\":\"number\"", "one of integer, uuid, text"},
    {3, "\"key\":\"42\"", "\"key\":\"042\"", "'key' is no integer key"},
    {3, "\"key_kind\":\"integer\"", "\"key_kind\":\"uuid\"", "'key' is no uuid key"},
    {7, "\"key\":\"alice", "\"key\":\"" + long_key, "has more than 64 bytes"},
    {8, "{\"base64\":\"/gCA\"}", "{\"base64\":\"/gC\"}", "'key' must be a string"},
    {3, "2026-11-21T", "2026-11-21 ", "'recorded_at' must be a date"},
    {3, "2026-11-21T", "1926-11-21T", "dated before the line before it"},
    {3, "\"command\":\"", "\"command\":\"F", "'command' must be 32 hexadecimal digits"},
    {4, "\"payload\":\"eA==\"", "\"payload\":\"eA=\"", "'payload' is no base64"},
    {4, "\"payload\":\"eA==\"", "\"payload\":\"eB==\"", "'payload' is no base64"},
    {4, "\"payload\":\"eA==\"", "\"payload\":\"e===\"", "'payload' is no base64"},
    {4, "\"payload\":\"eA==\"", "\"payload\":\"" + large + "\"", "may have 65535 and 1048576",
     errc::too_large},
  };
  for (const auto& one : cases) {
    std::string changed;
    for (int line = 1; line <= 8; ++line)
      changed +=
        (line == one.line ? replaced(line_of(text, line), one.from, one.to) : line_of(text, line))
        + '\n';
    std::istringstream in(changed);
    const auto refused = import_json(in, "dump.jsonl", store());
    ASSERT_FALSE(refused) << one.message;
    const auto& message = refused.error().message();
    EXPECT_EQ(refused.error().code(), one.code) << message;
    EXPECT_NE(message.find(one.message), std::string::npos) << message;
    const auto named = one.message.starts_with("says that") ? 8 : one.line;
    EXPECT_TRUE(message.starts_with("dump.jsonl:" + std::to_string(named) + ": ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(store())) << "nothing is left";
    EXPECT_FALSE(fs::exists(store().string() + ".importing")) << "nothing is left";
  }
}

TEST_P(json_lines, that_end_too_early_are_refused) {
  const auto text = exported(*log);
  for (const int lines : {0, 1, 2, 3, 7}) {
    std::string left;
    for (int line = 1; line <= lines; ++line)
      left += line_of(text, line) + '\n';
    std::istringstream in(left);
    const auto refused = import_json(in, "dump", store());
    ASSERT_FALSE(refused) << lines;
    EXPECT_NE(refused.error().message().find(lines == 0 ? "no export" : "cut short"),
              std::string::npos)
      << refused.error().message();
    EXPECT_FALSE(fs::exists(store()));
  }
  auto within = replaced(text, "\"last_position\":7", "\"last_position\":3");
  std::string left;
  for (int line = 1; line <= 4; ++line)
    left += line_of(within, line) + '\n';
  std::istringstream in(left);
  const auto refused = import_json(in, "dump", store());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("ends within a command"), std::string::npos)
    << refused.error().message();
}

TEST_P(json_lines, of_a_damaged_record_are_not_written) {
  const stream_id unknown(category_id(9), 1);
  append_records(*log, {finished_record(unknown, 1, "event")}, 0);
  const auto done = export_json(*log, [](std::string_view) -> result<void> { return {}; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::corrupt);
  EXPECT_NE(done.error().message().find("position 8: category 9 has no name"), std::string::npos)
    << done.error().message();
}

INSTANTIATE_TEST_SUITE_P(logs, json_lines, any_log, name_of_log);

TEST(stream_name, is_what_a_person_writes) {
  const auto log = storage::make_memory_log();
  for (const auto* name : {"order", "a", "a/b"})
    ASSERT_TRUE(log->register_category(name));
  const auto parsed = [&](std::string_view text) { return storage::parse_stream(*log, text); };
  EXPECT_EQ(parsed("order/42").value(), stream_id(category_id(1), 42));
  EXPECT_EQ(parsed("order/042").value(), stream_id::from_text(category_id(1), "042"));
  EXPECT_EQ(parsed("order/text:42").value(), stream_id::from_text(category_id(1), "42"));
  EXPECT_EQ(parsed("order/alice").value(), stream_id::from_text(category_id(1), "alice"));
  EXPECT_EQ(parsed("a/b/c").value(), stream_id::from_text(category_id(3), "c"));
  EXPECT_EQ(parsed("a/c/d").value(), stream_id::from_text(category_id(2), "c/d"));
  const auto uuid = parsed("order/550e8400-e29b-41d4-a716-446655440000").value();
  EXPECT_EQ(uuid.kind(), key_kind::uuid);
  EXPECT_EQ(uuid.to_string("order"), "order/550e8400-e29b-41d4-a716-446655440000");
  for (const auto* wrong : {"", "/", "order", "order/", "house/1", "order/text:"})
    EXPECT_EQ(parsed(wrong).error().code(), errc::invalid_argument) << wrong;
  const auto too_long = parsed("order/" + std::string(limits::max_key_size + 1, 'k'));
  ASSERT_FALSE(too_long);
  EXPECT_NE(too_long.error().message().find("a key has 1 to 64 bytes, and this 65"),
            std::string::npos);
}

} // namespace
} // namespace acta::tests
