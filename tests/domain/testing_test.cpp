// The test kit: what holds, what a wrong expectation says, and what it finds wrong with aggregates.
#include <acta/domain/testing.hpp>

#include <support/counter_generated.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace acta::domain::testing {
namespace {

using tests::added;
using tests::counter_state;
using tests::Createadded;
using tests::Createcounter_state;

enum class refusal : std::uint16_t { too_much = 7 };
std::string_view name(refusal) {
  return "too_much";
}

struct add {
  std::int64_t amount = 0;
};
struct refuse {
  std::uint16_t code = 7;
  std::string reason = "too_much: no";
};

/// What is wrong with a sum.
enum class fault {
  none,
  forgets_arguments,      ///< decide() counts its calls,
  forgets_in_refusals,    ///< and tells of it.
  evolves_of_itself,      ///< evolve() counts its calls.
  loads_something_else,   ///< load() is one too high;
  loads_and_decides_else, ///< the same, where states cannot be compared.
  saves_what_is_malformed,
};

int calls = 0;

template <fault Fault>
struct sum {
  static constexpr std::string_view category = "sum";
  struct plain_state {
    std::int64_t value = 0;
    std::int64_t calls = 0;
  };
  struct comparable_state : plain_state {
    bool operator==(const comparable_state& other) const { return this->value == other.value; }
  };
  using state =
    std::conditional_t<Fault == fault::loads_and_decides_else, plain_state, comparable_state>;
  using command = std::variant<add, refuse>;
  using events = event_list<added>;

  static decision decide(const state& now, const add& c, emitter<sum>& out) {
    const auto more = Fault == fault::forgets_arguments ? ++calls : 0;
    const auto seen = Fault == fault::loads_and_decides_else ? now.calls : 0;
    if (c.amount != 0)
      out.template emit<added>([&](auto& b) { return Createadded(b, c.amount + more + seen); });
    return accept();
  }
  static decision decide(const state&, const refuse& c, emitter<sum>& out) {
    out.template emit<added>([&](auto& b) { return Createadded(b, 1); });
    const auto more = Fault == fault::forgets_in_refusals ? std::to_string(++calls) : "";
    return reject(refusal{c.code}, c.reason + more);
  }
  static void evolve(state& now, const added& e) noexcept {
    now.value += e.amount() + (Fault == fault::evolves_of_itself ? ++calls : 0);
    now.calls += 1;
  }

  using snapshot = counter_state;
  static flatbuffers::Offset<snapshot> save(const state& now, flatbuffers::FlatBufferBuilder& b) {
    if (Fault == fault::saves_what_is_malformed)
      return flatbuffers::Offset<snapshot>(b.CreateString("no table").o);
    return Createcounter_state(b, now.value);
  }
  static state load(const snapshot& saved) {
    state made;
    made.value = saved.sum() + (Fault == fault::loads_something_else ? 1 : 0);
    return made;
  }
};
using good_sum = sum<fault::none>;

/// Answers with the sum there will be.
struct add_and_tell {
  using reply = std::int64_t;
  std::int64_t amount = 0;
};
/// Answers with the time, in a type without == and <<, or refuses.
struct tell_time {
  struct reply {
    std::int64_t now_ns;
  };
};
/// Answers otherwise each time.
struct tell_calls {
  using reply = int;
};

/// A sum with replies.
struct telling_sum {
  static constexpr std::string_view category = "telling_sum";
  struct state {
    std::int64_t value = 0;
    bool operator==(const state&) const = default;
  };
  using command = std::variant<add_and_tell, tell_time, tell_calls>;
  using events = event_list<added>;
  using out = emitter<telling_sum>;

  static decision_for<add_and_tell> decide(const state& now, const add_and_tell& c, out& events) {
    events.emit<added>([&](auto& b) { return Createadded(b, c.amount); });
    return now.value + c.amount;
  }
  static decision_for<tell_time> decide(const state&, const tell_time&, out& events) {
    if (events.now_ns() == 0)
      return reject(refusal::too_much, "too_early");
    return tell_time::reply{events.now_ns()};
  }
  static decision_for<tell_calls> decide(const state&, const tell_calls&, out&) { return ++calls; }
  static void evolve(state& now, const added& e) noexcept { now.value += e.amount(); }
};

/// Of a schema that the header does not have, as flatc alone makes it.
struct bare_event : private flatbuffers::Table {
  static const char* GetFullyQualifiedName() { return "bare_event"; }
  bool Verify(flatbuffers::Verifier& verifier) const {
    return VerifyTableStart(verifier) && verifier.EndTable();
  }
};

auto added_of(std::int64_t amount) {
  return event<added>([&](auto& b) { return Createadded(b, amount); });
}

template <class Value>
std::string printed_text(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST(testing_kit, gives_the_events_the_state_and_the_history) {
  const auto after = given<good_sum>(added_of(2), added_of(3)).when(add{4});
  EXPECT_EQ(after, accepted(added_of(4)));
  EXPECT_EQ(after.events(), std::vector<any_event>{added_of(4)});
  EXPECT_EQ(after.events().front().as<added>()->amount(), 4);
  EXPECT_EQ(after.rejection(), std::nullopt);
  EXPECT_EQ(after.state().value, 9);
  EXPECT_EQ(after.history().events().size(), 3U);
  EXPECT_EQ(given<good_sum>(after.history().events()).state().value, 9);
}

TEST(testing_kit, gives_the_rejection_and_leaves_all_as_it_was) {
  const auto after = given<good_sum>(added_of(2)).when(refuse{});
  EXPECT_EQ(after, rejected(refusal::too_much));
  EXPECT_TRUE(after.events().empty()) << "what was emitted before a rejection never was";
  ASSERT_TRUE(after.rejection());
  EXPECT_EQ(after.rejection()->reason, "too_much: no");
  EXPECT_EQ(after.state().value, 2);
  EXPECT_EQ(after.history().events().size(), 1U);
}

TEST(testing_kit, takes_commands_in_a_row_and_several_from_one_history) {
  const auto before = given<good_sum>();
  EXPECT_EQ(before.when(add{1}).when(refuse{}).when(add{2}).state().value, 3);
  EXPECT_EQ(before.when(add{5}).state().value, 5) << "the history is as it was";
}

TEST(testing_kit, tells_accepted_without_events_from_rejected) {
  EXPECT_EQ(given<good_sum>().when(add{0}), accepted());
  EXPECT_NE(given<good_sum>().when(add{1}), accepted());
  EXPECT_NE(given<good_sum>().when(refuse{}), accepted());
  EXPECT_NE(given<good_sum>().when(add{0}), rejected(refusal::too_much));
  EXPECT_NE(given<good_sum>().when(refuse{.code = 8}), rejected(refusal::too_much));
  EXPECT_NE(given<good_sum>().when(add{1}), accepted(added_of(2)));
  EXPECT_NE(given<good_sum>().when(add{1}), accepted(added_of(1), added_of(1)));
}

TEST(testing_kit, prints_both_sides_of_a_wrong_expectation) {
  EXPECT_EQ(printed_text(given<good_sum>().when(add{4})),
            "accepted:\n      acta.tests.added {\"amount\":4}");
  EXPECT_EQ(printed_text(accepted(added_of(5), added_of(0))),
            "accepted:\n      acta.tests.added {\"amount\":5}"
            "\n      acta.tests.added {\"amount\":0}");
  EXPECT_EQ(printed_text(accepted()), "accepted, without an event");
  EXPECT_EQ(printed_text(given<good_sum>().when(refuse{})), "rejected with 7: too_much: no");
  EXPECT_EQ(printed_text(rejected(refusal::too_much)), "rejected with 7: too_much");
}

TEST(testing_kit, has_googletest_print_both_sides) {
  const auto compare = [](const auto& after, const auto& expected) {
    return std::string(::testing::internal::EqHelper::Compare("after", "expected", after, expected)
                         .failure_message());
  };
  EXPECT_EQ(compare(given<good_sum>().when(add{4}), accepted(added_of(5))),
            "Expected equality of these values:\n  after\n    Which is: accepted:\n"
            "      acta.tests.added {\"amount\":4}\n  expected\n    Which is: accepted:\n"
            "      acta.tests.added {\"amount\":5}");
}

TEST(testing_kit, gives_the_reply_of_a_command_that_has_one) {
  const auto after = given<telling_sum>(added_of(2)).when(add_and_tell{3});
  EXPECT_EQ(after, accepted(added_of(3)));
  EXPECT_EQ(after.reply<add_and_tell>(), 5);
  EXPECT_EQ(after.reply<tell_calls>(), std::nullopt) << "it is another command's";
  EXPECT_EQ(after.when(add_and_tell{4}).reply<add_and_tell>(), 9);
  EXPECT_EQ(printed_text(after), "accepted:\n      acta.tests.added {\"amount\":3}, and replied 5");
}

TEST(testing_kit, decides_at_the_time_it_is_told) {
  const auto before = given<telling_sum>();
  EXPECT_EQ(before.when(tell_time{}), rejected(refusal::too_much)) << "told none, it is 0";
  EXPECT_FALSE(before.when(tell_time{}).reply<tell_time>());
  const auto told = before.at(7'000).when(tell_time{});
  ASSERT_EQ(told, accepted());
  EXPECT_EQ(told.reply<tell_time>()->now_ns, 7'000);
  EXPECT_EQ(printed_text(told), "accepted, without an event, and replied");
  EXPECT_EQ(told.when(tell_time{}).reply<tell_time>()->now_ns, 7'000) << "it stands still";
  EXPECT_EQ(told.at(8'000).when(tell_time{}).reply<tell_time>()->now_ns, 8'000);
  EXPECT_EQ(told.at(8'000).when(add_and_tell{1}).state().value, 1);
}

TEST(testing_kit, compares_fields_and_not_how_they_were_built) {
  const auto one = event<counter_state>([](flatbuffers::FlatBufferBuilder& b) {
    const auto ballast = b.CreateVector(std::vector<std::uint8_t>{1, 2});
    return Createcounter_state(b, 5, ballast);
  });
  const auto other_way = event<counter_state>([](flatbuffers::FlatBufferBuilder& b) {
    const auto ballast = b.CreateVector(std::vector<std::uint8_t>{1, 2});
    tests::counter_stateBuilder builder(b);
    builder.add_ballast(ballast);
    builder.add_sum(5);
    return builder.Finish();
  });
  EXPECT_FALSE(std::ranges::equal(one.payload(), other_way.payload()));
  EXPECT_EQ(one, other_way);
  EXPECT_NE(one, event<counter_state>([](auto& b) { return Createcounter_state(b, 5); }));
}

TEST(testing_kit, tells_events_of_versions_apart) {
  const auto newer = any_event::of<added>(added_of(1).payload(), 2);
  EXPECT_NE(newer, added_of(1));
  EXPECT_EQ(newer.text(), "acta.tests.added of version 2 {\"amount\":1}");
}

TEST(testing_kit, compares_bytes_where_there_is_no_schema) {
  const auto bare = event<bare_event>([](flatbuffers::FlatBufferBuilder& b) {
    return flatbuffers::Offset<bare_event>(b.EndTable(b.StartTable()));
  });
  EXPECT_TRUE(bare.is_well_formed());
  EXPECT_EQ(bare, any_event::of<bare_event>(bare.payload()));
  EXPECT_NE(bare, any_event::of<bare_event>(added_of(1).payload()));
  EXPECT_EQ(bare.text(), "bare_event (12 bytes, and no schema: see acta_add_schema)");
}

/// The one problem of an outcome, which equals nothing then.
template <class Aggregate>
std::string problem_of(const outcome<Aggregate>& after) {
  EXPECT_EQ(after.problems().size(), 1U) << after;
  EXPECT_NE(after, (expectation{.events = after.events(), .code = {}, .code_name = {}}));
  EXPECT_NE(after, rejected(refusal::too_much));
  return after.problems().empty() ? "" : after.problems().front();
}

TEST(testing_kit, finds_events_that_are_not_well_formed) {
  const std::vector<std::byte> bytes(8, std::byte{0xff});
  const auto after =
    given<good_sum>(std::vector{any_event::of<added>(bytes), any_event(added_of(1))}).when(add{1});
  EXPECT_EQ(problem_of(after),
            "not well formed, in sum: acta.tests.added (8 bytes that do not fit its schema)");
  EXPECT_EQ(after.state().value, 2);
}

TEST(testing_kit, finds_events_that_are_not_the_aggregates) {
  const auto other = event<counter_state>([](auto& b) { return Createcounter_state(b, 1); });
  EXPECT_EQ(problem_of(given<good_sum>(std::vector<any_event>{other}).when(refuse{})),
            "no event of sum: acta.tests.counter_state {\"sum\":1}");
}

TEST(testing_kit, finds_a_decide_that_depends_on_more_than_its_arguments) {
  calls = 0;
  const auto after = given<sum<fault::forgets_arguments>>().when(add{10});
  ASSERT_EQ(after.problems().size(), 2U) << "also with the state from the snapshot";
  EXPECT_EQ(after.problems().front(), "decide() answers otherwise when called again: accepted:\n"
                                      "      acta.tests.added {\"amount\":12}");
  EXPECT_EQ(
    printed_text(after).find("accepted:\n      acta.tests.added {\"amount\":11}\n      problem: "),
    0U);
  const auto refused = given<sum<fault::forgets_in_refusals>>().when(refuse{});
  EXPECT_EQ(refused.problems().size(), 2U);
  EXPECT_NE(refused, rejected(refusal::too_much));
}

TEST(testing_kit, finds_a_reply_that_depends_on_more_than_its_arguments) {
  calls = 0;
  const auto after = given<telling_sum>().when(tell_calls{});
  EXPECT_EQ(after.reply<tell_calls>(), 1);
  EXPECT_EQ(problem_of(after), "decide() answers otherwise when called again: "
                               "accepted, without an event, and replied 2");
}

TEST(testing_kit, finds_an_evolve_that_depends_on_more_than_its_arguments) {
  EXPECT_EQ(problem_of(given<sum<fault::evolves_of_itself>>().when(add{1})),
            "evolve() made another state of the same events");
}

TEST(testing_kit, finds_a_snapshot_that_loads_as_another_state) {
  EXPECT_EQ(problem_of(given<sum<fault::loads_something_else>>(added_of(5)).when(add{1})),
            "load() made another state of what save() saved: acta.tests.counter_state {\"sum\":5}");
}

TEST(testing_kit, finds_a_snapshot_that_leaves_out_what_decide_needs) {
  const auto before = given<sum<fault::loads_and_decides_else>>(added_of(5));
  EXPECT_EQ(problem_of(before.when(add{1})),
            "decide() answers otherwise when called with load(save()): accepted:\n"
            "      acta.tests.added {\"amount\":1}");
}

TEST(testing_kit, finds_a_snapshot_that_is_not_well_formed) {
  EXPECT_EQ(problem_of(given<sum<fault::saves_what_is_malformed>>().when(refuse{}))
              .find("save() made a snapshot that is not well formed: acta.tests.counter_state ("),
            0U);
}

TEST(testing_kit, finds_rejections_without_code_or_reason) {
  EXPECT_EQ(problem_of(given<good_sum>().when(refuse{.code = 0})),
            "the rejection has code 0, which is none");
  EXPECT_EQ(problem_of(given<good_sum>().when(refuse{.reason = ""})),
            "the rejection has no reason");
}

} // namespace
} // namespace acta::domain::testing
