// Appending to streams under conditions: what the suites of KurrentDB, Emmett and others hold a
// store to.
#include "../support/any_log.hpp"

#include <acta/base/expected_version.hpp>
#include <acta/storage/stream_writer.hpp>

#include <array>
#include <atomic>
#include <thread>
#include <unordered_map>

namespace acta::tests {
namespace {

using storage::append_result;
using storage::new_event;
using storage::stream_append;
using storage::stream_writer;

constexpr auto any = expected_version::any();
constexpr auto none = expected_version::none();
constexpr auto exists = expected_version::exists();
[[nodiscard]] constexpr expected_version at(std::uint64_t version) {
  return expected_version::exactly(stream_version(version));
}

class append_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    ASSERT_EQ(log->register_category("order"), category_id(1));
    for (const auto* type : {"submitted", "modified", "cancelled"})
      ASSERT_TRUE(log->register_event_type(type));
    auto opened = stream_writer::open(*log);
    ASSERT_TRUE(opened);
    writer = std::move(*opened);
  }

  [[nodiscard]] result<append_result> append(const stream_id& to, expected_version expected,
                                             std::size_t count = 1) const {
    const std::vector<new_event> events(count, event);
    const std::array step{stream_append{to, expected, events}};
    return writer->append(step);
  }
  /// That an append fails, changes nothing, and says which version was expected and which there is.
  void expect_refused(const stream_id& to, expected_version expected, const std::string& text,
                      std::uint64_t actual) const {
    const auto before = log->tail();
    const auto refused = append(to, expected);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::wrong_version);
    EXPECT_NE(refused.error().message().find("expected " + text), std::string::npos)
      << refused.error().message();
    EXPECT_NE(refused.error().message().find("it has version " + std::to_string(actual)),
              std::string::npos)
      << refused.error().message();
    EXPECT_EQ(log->tail(), before);
  }
  [[nodiscard]] std::uint64_t version(const stream_id& of) const {
    return writer->index().version(of, **log->snapshot())->value();
  }

  const stream_id order{category_id(1), 7};
  const stream_id other{category_id(1), 8};
  const std::string payload = "payload";
  const new_event event{.type = event_type_id(1), .payload = std::as_bytes(std::span(payload))};
  std::unique_ptr<stream_writer> writer;
};

TEST(expected_version, matches_the_versions_it_names) { // A33
  for (const std::uint64_t actual : {0U, 1U, 2U, 99U}) {
    EXPECT_TRUE(any.matches(stream_version(actual)));
    EXPECT_EQ(none.matches(stream_version(actual)), actual == 0);
    EXPECT_EQ(exists.matches(stream_version(actual)), actual != 0);
    EXPECT_EQ(at(2).matches(stream_version(actual)), actual == 2);
  }
}

TEST_P(append_test, succeeds_at_each_exact_version_in_turn) { // A1, A9, A21
  EXPECT_EQ(append(order, at(0))->versions, std::vector{stream_version(1)});
  EXPECT_EQ(append(order, at(1), 2)->versions, std::vector{stream_version(3)});
  const auto third = append(order, at(3));
  ASSERT_TRUE(third);
  EXPECT_EQ(third->position, log_position(4));
  EXPECT_EQ(version(order), 4U);
}

TEST_P(append_test, never_checks_any_version) { // A2
  for (const auto count : {3U, 2U, 1U})
    EXPECT_TRUE(append(order, any, count));
  EXPECT_EQ(version(order), 6U);
}

TEST_P(append_test, of_a_new_stream_fails_where_there_is_one) { // A3
  EXPECT_TRUE(append(order, none));
  expect_refused(order, none, "no events", 1);
}

TEST_P(append_test, to_a_stream_that_must_exist_fails_where_there_is_none) { // A4, A22
  expect_refused(order, exists, "a stream with events", 0);
  expect_refused(order, at(1), "version 1", 0);
  EXPECT_TRUE(append(order, any, 3));
  EXPECT_TRUE(append(order, exists));
}

TEST_P(append_test, fails_at_every_other_version_and_changes_nothing) { // A5, A6, A7, A8
  ASSERT_TRUE(append(order, any, 3));
  expect_refused(order, at(0), "no events", 3);
  expect_refused(order, at(1), "version 1", 3);
  expect_refused(order, at(2), "version 2", 3);
  expect_refused(order, at(4), "version 4", 3);
  EXPECT_TRUE(append(order, at(3)));
}

TEST_P(append_test, of_nothing_succeeds_and_makes_no_stream) { // A13
  EXPECT_EQ(append(order, none, 0)->position, log_position(0));
  EXPECT_EQ(version(order), 0U);
  ASSERT_FALSE(append(order, exists, 0)) << "its condition is checked all the same";
  EXPECT_EQ(writer->append({})->position, log_position(0));
}

TEST_P(append_test, of_five_at_once_at_one_version_lets_one_through) { // A15
  std::atomic<int> accepted = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 5; ++i)
      threads.emplace_back([&] {
        const auto done = append(order, none, 10);
        ++(done ? accepted : refused);
        EXPECT_TRUE(done || done.error().code() == errc::wrong_version);
      });
  }
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(refused, 4);
  EXPECT_EQ(version(order), 10U);
}

TEST_P(append_test, of_four_at_once_at_any_version_stores_all) { // A16
  ASSERT_TRUE(append(order, any, 3));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] { EXPECT_TRUE(append(order, any)); });
  }
  EXPECT_EQ(version(order), 7U);
}

TEST_P(append_test, of_ten_at_once_under_conditions_on_the_same_streams_lets_one_through) { // A17
  std::atomic<int> accepted = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t i = 0; i < 10; ++i)
      threads.emplace_back([&, i] { // each writes a stream of its own, if neither of two exists
        const std::array one{event};
        const std::array step{stream_append{i % 2 == 0 ? order : other, none, one},
                              stream_append{i % 2 == 0 ? other : order, none, {}},
                              stream_append{stream_id(category_id(1), 100 + i), any, one}};
        accepted += writer->append(step) ? 1 : 0;
      });
  }
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(version(order) + version(other), 1U);
}

TEST_P(append_test, at_once_to_different_streams_does_not_conflict) { // A18, A19
  {
    std::vector<std::jthread> threads;
    for (const auto* to : {&order, &other})
      threads.emplace_back([&, to] { EXPECT_TRUE(append(*to, none)); });
  }
  EXPECT_EQ(version(order), 1U);
  EXPECT_EQ(version(other), 1U);
}

TEST_P(append_test, to_several_streams_is_one_step) { // A29
  const std::array first{event};
  const std::array two{event, event};
  ASSERT_TRUE(append(other, any));
  const std::array step{stream_append{order, none, two}, stream_append{other, at(1), first}};
  const auto done = writer->append(step, command_id::of(1, 2));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->versions, (std::vector{stream_version(2), stream_version(2)}));
  EXPECT_EQ(done->position, log_position(4));
  writer.reset();
  EXPECT_TRUE(stream_writer::open(*log)) << "and the log is sound";
}

TEST_P(append_test, to_several_streams_fails_whole_and_names_every_condition_that_does_not_hold) {
  // A10, A30
  const stream_id third(category_id(1), 9);
  ASSERT_TRUE(append(order, any, 2));
  const std::array events{event};
  const std::array step{stream_append{order, at(1), events}, stream_append{other, exists, {}},
                        stream_append{third, none, events}};
  const auto refused = writer->append(step);
  ASSERT_FALSE(refused);
  const auto& text = refused.error().message();
  EXPECT_NE(text.find("stream order/7: expected version 1, and it has version 2"),
            std::string::npos)
    << text;
  EXPECT_NE(text.find("stream order/8: expected a stream with events, and it has version 0"),
            std::string::npos)
    << text;
  EXPECT_EQ(text.find("order/9"), std::string::npos) << text;
  EXPECT_EQ(log->tail(), log_position(2));
}

TEST_P(append_test, may_depend_on_streams_it_does_not_write) { // A30
  ASSERT_TRUE(append(other, any));
  const std::array events{event};
  const std::array step{stream_append{order, none, events}, stream_append{other, at(1), {}}};
  EXPECT_TRUE(writer->append(step));
  EXPECT_FALSE(writer->append(step));
  EXPECT_EQ(version(other), 1U);
}

TEST_P(append_test, refuses_steps_that_make_no_sense_whole) { // A11, A31, A34
  const std::array events{event};
  const std::array twice{stream_append{order, any, events}, stream_append{order, any, events}};
  EXPECT_EQ(writer->append(twice).error().code(), errc::invalid_argument);
  const std::string large(limits::max_payload_size + 1, 'x');
  const std::array too_large{
    event, new_event{.type = event_type_id(1), .payload = std::as_bytes(std::span(large))}};
  const std::array step{stream_append{order, any, too_large}};
  const auto over_limit = writer->append(step);
  EXPECT_EQ(over_limit.error().code(), errc::too_large);
  EXPECT_NE(over_limit.error().message().find("an event of 1048577 bytes, 1048576 at most"),
            std::string::npos)
    << over_limit.error().message();
  const std::vector<new_event> many(limits::max_events_per_command + 1, event);
  const std::array endless{stream_append{order, any, many}};
  EXPECT_EQ(writer->append(endless).error().code(), errc::too_large);
  const std::vector<std::string> megabytes(65, std::string(limits::max_payload_size, 'x'));
  std::vector<new_event> heavy;
  for (const auto& one : megabytes)
    heavy.push_back({.type = event_type_id(1), .payload = std::as_bytes(std::span(one))});
  const std::array too_heavy{stream_append{order, any, heavy}};
  EXPECT_EQ(writer->append(too_heavy).error().code(), errc::too_large);
  const std::array unknown{new_event{.type = event_type_id(9), .payload = event.payload}};
  const std::array unnamed{stream_append{order, any, unknown}};
  EXPECT_EQ(writer->append(unnamed).error().code(), errc::invalid_argument);
  EXPECT_EQ(append(stream_id(category_id(9), 1), any).error().code(), errc::invalid_argument);
  EXPECT_EQ(log->tail(), log_position(0));
  EXPECT_TRUE(append(order, at(0))) << "the stream is at its old version";
}

TEST_P(append_test, is_repeated_where_only_its_command_id_is_the_same) { // B40, B42
  const std::array step{stream_append{order, any, {&event, 1}}};
  const std::array first{stream_append{order, none, {&event, 1}}};
  const auto command = command_id::of(1, 1);
  ASSERT_TRUE(writer->append(first, command));
  EXPECT_EQ(writer->append(first, command).error().code(), errc::wrong_version)
    << "who appends without an engine says which version he expects";
  ASSERT_TRUE(writer->append(step, command));
  EXPECT_EQ(version(order), 2U);
}

TEST_P(append_test, keeps_streams_apart_whose_hashes_collide) { // A25
  std::unordered_map<std::uint64_t, std::uint64_t> seen; // the 30 bits an index looks at -> key
  std::uint64_t key = 1;
  while (seen.emplace(stream_hash(stream_id(category_id(1), key)) >> 34U, key).second)
    ++key;
  const stream_id second(category_id(1), key);
  const stream_id first(category_id(1), seen[stream_hash(second) >> 34U]);
  EXPECT_TRUE(append(first, none, 2));
  EXPECT_TRUE(append(second, none));
  expect_refused(second, at(2), "version 2", 1);
  EXPECT_TRUE(append(first, at(2)));
  EXPECT_EQ(version(first), 3U);
  EXPECT_EQ(version(second), 1U);
}

TEST_P(append_test, takes_keys_and_names_of_any_length_allowed) { // A24
  const auto long_key =
    stream_id::from_text(category_id(1), std::string(limits::max_key_size, 'k'));
  ASSERT_TRUE(long_key);
  EXPECT_FALSE(stream_id::from_text(category_id(1), std::string(limits::max_key_size + 1, 'k')));
  EXPECT_TRUE(append(*long_key, none));
  EXPECT_EQ(version(*long_key), 1U);
  const std::string long_name(400, 'n');
  const auto type = log->register_event_type(long_name);
  ASSERT_TRUE(type);
  EXPECT_EQ(log->event_type_name(*type), long_name);
}

// C59
TEST_P(append_test, stores_what_it_was_given) { // A35
  const std::string metadata = "correlation 1";
  const std::array events{new_event{.type = event_type_id(3),
                                    .payload = std::as_bytes(std::span(payload)),
                                    .metadata = std::as_bytes(std::span(metadata)),
                                    .schema_version = 2}};
  const std::array step{stream_append{order, none, events}};
  ASSERT_TRUE(writer->append(step, command_id::of(4, 5)));
  const auto snapshot = log->snapshot();
  const auto read = writer->index().read(order, **snapshot);
  ASSERT_EQ(read->size(), 1U);
  const auto& got = read->front();
  EXPECT_TRUE(got.verify());
  EXPECT_EQ(got.header().command, command_id::of(4, 5));
  EXPECT_EQ(got.event_type(), event_type_id(3));
  EXPECT_EQ(got.header().schema_version, 2);
  EXPECT_EQ(text_of(got.metadata()), metadata);
  EXPECT_EQ(text_of(got.payload()), payload);
}

INSTANTIATE_TEST_SUITE_P(logs, append_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests
