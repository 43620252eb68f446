#include "../support/cart_fixture.hpp"
#include "../support/schemas.hpp"

#include <acta/runtime/upcasters.hpp>
#include <acta/storage/event_json.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace acta::tests::cart {
namespace {

class upcasting_test : public cart_fixture {
protected:
  /// What the cart holds, or why it cannot be loaded.
  std::string look_at(runtime::engine& engine) {
    const auto seen = engine.ask<basket>(stream_, look{});
    EXPECT_FALSE(seen);
    return seen.error().message();
  }

  /// What reading the cart's only event gives with these upcasters.
  result<std::span<const storage::record_view>> apply(std::vector<domain::upcaster> list) {
    bound_ = runtime::upcasters::bind(std::move(list), *shared_);
    EXPECT_TRUE(bound_) << bound_.error().message();
    snapshot_ = std::move(*shared_->snapshot());
    stored_ = *snapshot_->at(shared_->tail());
    return bound_->apply({&stored_, 1}, memory_);
  }

  storage::record_view stored_;
  runtime::upcast_memory memory_;

private:
  result<runtime::upcasters> bound_;
  std::unique_ptr<storage::log_snapshot> snapshot_;
};

// H151
TEST_P(upcasting_test, loads_an_aggregate_from_old_and_new_events) {
  write_added(1, 2);
  write_put(3);
  write_added(2, 5);
  write(taken::GetFullyQualifiedName(), 1, payload_of([](auto& b) { return Createtaken(b, 1); }));
  auto engine = open();
  ASSERT_TRUE(engine) << engine.error().message();
  EXPECT_EQ(look_at(**engine), "31,upcast,old,upcast");
  const auto receipt = (*engine)->ask<basket>(stream_, put_in{1});
  ASSERT_TRUE(receipt) << receipt.error().message();
  EXPECT_EQ(receipt->version, stream_version(5));
  EXPECT_EQ(look_at(**engine), "32,upcast,old,upcast,now");
}

// H151
TEST_P(upcasting_test, reads_old_events_as_new_ones_and_leaves_the_others_where_they_are) {
  write_added(1, 2);
  write_put(3);
  auto engine = open();
  ASSERT_TRUE(engine) << engine.error().message();
  const auto snapshot = (*engine)->log().snapshot();
  const auto read = (*engine)->read(stream_, **snapshot);
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_EQ(read->records.size(), 2U);
  const auto stored = (*snapshot)->at(log_position(1));
  const auto& old = read->records[0];
  EXPECT_EQ((*engine)->log().event_type_name(old.event_type()), put::GetFullyQualifiedName());
  EXPECT_EQ(old.header().schema_version, 1);
  const auto* event = domain::verified<put>(old.payload());
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->pieces(), 24);
  EXPECT_TRUE(old.verify());
  EXPECT_EQ(old.position(), stored->position());
  EXPECT_EQ(old.version(), stored->version());
  EXPECT_EQ(old.stream(), stream_);
  EXPECT_EQ(old.header().command.bytes, stored->header().command.bytes);
  EXPECT_EQ(old.header().recorded_at_ns, stored->header().recorded_at_ns);
  EXPECT_EQ(text_of(old.metadata()), "who");
  EXPECT_EQ(read->records[1].bytes().data(), (*snapshot)->at(log_position(2))->bytes().data())
    << "not copied";
}

// H152: nothing is written in an older shape, so reading is the only way events change.
TEST_P(upcasting_test, leaves_what_is_stored_as_it_is) {
  write_added(1, 2);
  auto engine = open();
  EXPECT_EQ(look_at(**engine), "24,upcast");
  const auto snapshot = (*engine)->log().snapshot();
  const auto stored = (*snapshot)->at(log_position(1));
  EXPECT_EQ(text_of(stored->payload()), text_of(added_payload(2)));
  EXPECT_EQ((*engine)->log().event_type_name(stored->event_type()), added::GetFullyQualifiedName());
}

// H153
TEST_P(upcasting_test, chooses_by_event_type_and_version) {
  ASSERT_TRUE(open()); // makes `put` known to the store
  const auto pieces = [&] {
    const auto now = apply(cart::upcasters());
    return now ? domain::verified<put>(now->front().payload())->pieces() : -1;
  };
  write_added(2, 5); // counted pieces already
  EXPECT_EQ(pieces(), 5);
  write_added(1, 5);
  EXPECT_EQ(pieces(), 60);
  write_added(3, 5); // newer than any upcaster: untouched
  const auto now = apply(cart::upcasters());
  ASSERT_TRUE(now);
  EXPECT_EQ(now->data(), &stored_);
  write_put(5);
  EXPECT_EQ(apply(cart::upcasters())->data(), &stored_);
}

// H153
TEST_P(upcasting_test, refuses_upcasters_that_make_no_sense_and_names_them) {
  const auto nothing = [](std::span<const std::byte>, flatbuffers::FlatBufferBuilder&) {
    return domain::upcast_outcome::dropped;
  };
  const auto from = [&](std::string type, std::uint16_t version, std::string to,
                        std::uint16_t to_version) {
    return domain::upcaster{.from_type = std::move(type),
                            .from_version = version,
                            .to_type = std::move(to),
                            .to_version = to_version,
                            .convert = nothing};
  };
  const std::string put_type = put::GetFullyQualifiedName();
  auto without_function = from("a", 1, put_type, 1);
  without_function.convert = nullptr;
  const std::vector<std::pair<std::vector<domain::upcaster>, std::string>> cases{
    {{from("a", 0, put_type, 1)}, "'a' version 0"},
    {{from("a", 1, put_type, 0)}, "has a version 0"},
    {{from("", 1, put_type, 1)}, "names no event type"},
    {{from("a", 2, "a", 2)}, "'a' version 2 to 'a' version 2 does not lead to a newer version"},
    {{from("a", 2, "a", 1)}, "does not lead to a newer version"},
    {{without_function}, "has no function"},
    {{from("a", 1, put_type, 1), domain::drop("a")}, "'a' version 1 is the second"},
    {{from("a", 1, "b", 1), from("b", 1, "a", 1)}, "back to where it began"},
    {{from("a", 1, "b", 1), from("b", 1, "c", 1)},
     "'b' version 1 to 'c' version 1 leads to an "
     "event type that this store does not know"},
  };
  for (const auto& [list, says] : cases) {
    const auto engine = open(list);
    ASSERT_FALSE(engine) << says;
    EXPECT_EQ(engine.error().code(), errc::invalid_argument);
    EXPECT_NE(engine.error().message().find(says), std::string::npos) << engine.error().message();
    EXPECT_TRUE(engine.error().message().starts_with("the upcaster of '"));
  }
}

// H154
TEST_P(upcasting_test, reads_events_that_were_written_before_there_were_upcasters) {
  {
    auto engine = open({});
    ASSERT_TRUE((*engine)->ask<basket>(stream_, put_in{4}));
  }
  auto engine = open({domain::upcast<put, put>({.from = 1, .to = 2}, [](const put& old, auto& to) {
    return CreateputDirect(to, old.pieces(), "as well");
  })});
  ASSERT_TRUE(engine) << engine.error().message();
  EXPECT_NE(look_at(**engine).find("version 2 is not one this aggregate knows"), std::string::npos)
    << "what was upcast further than the aggregate's own version is not guessed at";
  engine->reset();
  engine = open(); // whose upcasters are for other types
  EXPECT_EQ(look_at(**engine), "4,now");
}

// H154
TEST_P(upcasting_test, names_an_event_type_that_is_neither_known_nor_upcast) {
  write_added(1, 2);
  auto engine = open({});
  ASSERT_TRUE(engine) << "other streams can be used";
  const auto refused = (*engine)->ask<basket>(stream_, look{});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::incompatible_schema);
  EXPECT_NE(refused.error().message().find("event type 'acta.tests.cart.added' version 1"),
            std::string::npos)
    << refused.error().message();
  EXPECT_TRUE((*engine)->ask<basket>(8, put_in{1}));
}

TEST_P(upcasting_test, does_not_guess_at_events_of_a_newer_version_than_the_programs) {
  write_put(3, 2);
  auto engine = open();
  EXPECT_NE(look_at(**engine).find("event type 'acta.tests.cart.put' version 2"),
            std::string::npos);
}

// H155
TEST_P(upcasting_test, skips_dropped_events_which_keep_their_version) {
  write_noted();
  write_put(1);
  write_added(2, 0); // no piece: its upcaster drops it
  write_noted();
  write_put(2);
  auto engine = open();
  ASSERT_TRUE(engine) << engine.error().message();
  EXPECT_EQ(look_at(**engine), "3,old,old");
  const auto snapshot = (*engine)->log().snapshot();
  const auto versions = [&](std::uint64_t from, std::size_t max, storage::direction way) {
    std::vector<std::uint64_t> all;
    const auto read = (*engine)->read(stream_, **snapshot, stream_version(from), max, way);
    EXPECT_TRUE(read);
    for (const auto& record : read->records)
      all.push_back(record.version().value());
    return all;
  };
  using list = std::vector<std::uint64_t>;
  EXPECT_EQ(versions(1, 10, storage::direction::forward), (list{2, 5}));
  EXPECT_EQ(versions(3, 1, storage::direction::forward), (list{5})) << "it reads on for one more";
  EXPECT_EQ(versions(4, 2, storage::direction::backward), (list{2}));
  EXPECT_EQ(versions(1, 1, storage::direction::backward), (list{}));
  EXPECT_EQ((*engine)->ask<basket>(stream_, put_in{1})->version, stream_version(6));
}

TEST_P(upcasting_test, remembers_commands_whose_events_were_dropped) {
  write_noted();
  auto engine = open();
  const auto repeat = (*engine)->ask<basket>(stream_, put_in{1}, {.id = command_id::of(1, 1)});
  ASSERT_TRUE(repeat) << repeat.error().message();
  EXPECT_TRUE(repeat->repeat);
  EXPECT_EQ(repeat->version, stream_version(1));
}

TEST_P(upcasting_test, says_which_upcaster_failed_at_which_position) {
  ASSERT_TRUE(open());
  write_added(1, 2);
  const auto expect = [&](domain::upcaster one, errc code, std::string_view says) {
    const auto now = apply({std::move(one)});
    ASSERT_FALSE(now) << says;
    EXPECT_EQ(now.error().code(), code);
    for (const auto part : {says, std::string_view("position 1: "),
                            std::string_view("the upcaster of 'acta.tests.cart.added' version 1")})
      EXPECT_NE(now.error().message().find(part), std::string::npos) << now.error().message();
  };
  const auto by = [](auto convert) { return domain::upcast<added, put>({}, convert); };
  expect(by([](const added&, auto&) -> flatbuffers::Offset<put> {
           throw std::runtime_error("no idea");
         }),
         errc::handler_failed, "threw: no idea");
  expect(by([](const added&, auto& to) {
           return CreateputDirect(to, 1, std::string(limits::max_payload_size, 'x').c_str());
         }),
         errc::too_large, "are the limit");
  write(added::GetFullyQualifiedName(), 9, std::vector<std::byte>(3));
  auto nine = domain::upcast<added, put>(
    {.from = 9}, [](const added& old, auto& to) { return CreateputDirect(to, old.dozens(), ""); });
  const auto damaged = apply({nine});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), errc::corrupt);
  EXPECT_NE(damaged.error().message().find("position 2"), std::string::npos);
}

TEST_P(upcasting_test, stores_the_schemas_of_a_program_with_its_events) {
  write_added(1, 2);
  auto engine = open();
  ASSERT_TRUE(engine) << engine.error().message();
  ASSERT_TRUE((*engine)->ask<basket>(stream_, put_in{4}));
  const auto snapshot = (*engine)->log().snapshot();
  storage::event_json json((*engine)->log());
  EXPECT_EQ(*json.text(*(*snapshot)->at(log_position(2))), R"({"pieces":4,"by":"now"})");
  EXPECT_EQ(*json.text(*(*snapshot)->at(log_position(1))), R"({"dozens":2})")
    << "the schema of what is only upcast from, too";
}

TEST_P(upcasting_test, refuses_to_open_a_store_whose_events_the_program_would_misread) {
  const auto stored = [&](const char* type, const std::string& fbs) {
    const auto bfbs = binary_schema("namespace acta.tests.cart; " + fbs);
    const storage::event_schema one{*shared_->register_event_type(type), bfbs};
    ASSERT_TRUE(shared_->put_schemas({&one, 1}));
  };
  const auto expect = [&](std::string_view says) {
    const auto engine = open();
    ASSERT_FALSE(engine) << says;
    EXPECT_EQ(engine.error().code(), errc::incompatible_schema);
    EXPECT_NE(engine.error().message().find(says), std::string::npos) << engine.error().message();
  };
  stored(put::GetFullyQualifiedName(), "table put { pieces:int; by:string; }");
  expect("table 'acta.tests.cart.put', field 'pieces': its type is 'int' in the store and 'long'");
  stored(put::GetFullyQualifiedName(), "table put { pieces:long; }");
  stored(added::GetFullyQualifiedName(), "table added { dozens:short; }");
  expect("table 'acta.tests.cart.added', field 'dozens': its type is 'short' in the store");
  stored(added::GetFullyQualifiedName(), "table added { dozens:int; }");
  EXPECT_TRUE(open());
}

INSTANTIATE_TEST_SUITE_P(logs, upcasting_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests::cart
