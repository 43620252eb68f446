#include "../support/shop_log.hpp"
#include "../support/tally.hpp"

#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using projections::dead_letter;
using projections::sqlite::database;
using projections::sqlite::reader;
using projections::sqlite::row;

class sqlite_view_test : public tally_test {};

[[nodiscard]] dead_letter a_letter(std::uint64_t position) {
  return {.position = log_position(position),
          .stream = "order/7",
          .code = errc::handler_failed,
          .why = "it 'was' so",
          .attempts = 3,
          .since_ns = -5};
}

TEST_F(sqlite_view_test, handles_each_event_once_however_often_it_is_opened_again) {
  pay(200);
  std::mt19937 random(7);
  std::uint64_t at = 0;
  while (at < 200) {
    tally_view view;
    ASSERT_TRUE(view.attach(*log));
    ASSERT_EQ(view.position(), log_position(at));
    at = std::min<std::uint64_t>(200, at + random() % 50);
    ASSERT_TRUE(feed(view, *log, log_position(std::max<std::uint64_t>(at, 1)), 1 + random() % 9));
    at = view.position().value();
    EXPECT_EQ(totals_of(view), expected(at));
  }
}

TEST_F(sqlite_view_test, lies_beside_its_log_and_asks_for_what_it_handles_alone) {
  pay(1);
  tally_view view;
  const auto wanted = view.attach(*log);
  ASSERT_TRUE(wanted);
  EXPECT_EQ(view.file(), directory.path() / "views" / "tally@1" / "view.sqlite");
  ASSERT_EQ(wanted->event_types.size(), 1U);
  EXPECT_EQ(log->event_type_name(wanted->event_types.front()),
            domain::orders::payment_received::GetFullyQualifiedName());
  tally_view part({}, {.part = 1, .parts = 3});
  ASSERT_TRUE(part.attach(*log));
  EXPECT_EQ(part.file(), directory.path() / "views" / "tally@1.1of3" / "view.sqlite");
}

TEST_F(sqlite_view_test, a_step_that_fails_in_its_middle_leaves_nothing_of_itself) {
  pay(10);
  const std::vector<tally::handler> ways_to_fail{
    [](const auto&, auto&) { return failure(errc::handler_failed, "told to"); },
    [](const auto&, auto&) -> result<void> { throw std::runtime_error("thrown"); },
    [](const auto&, database& to) { return to.run("insert into tally values (3, null, 0)"); },
    [](const auto&, database& to) { return to.run("insert into nowhere values (1)"); }};
  for (const auto& way : ways_to_fail) {
    tally_view view({.also = [&](const auto& event, auto& to) -> result<void> {
      return event.amount() == 7 ? way(event, to) : result<void>();
    }});
    ASSERT_TRUE(view.attach(*log));
    ASSERT_TRUE(view.clear());
    ASSERT_TRUE(apply(view, 1, 3));
    const auto done = apply(view, 4, 10, {.dead = std::vector{a_letter(5)}});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().at, 3U) << "the one of 7 cents: " << done.error().why.message();
    EXPECT_EQ(totals_of(view), expected(3));
    EXPECT_TRUE(view.dead_letters()->empty());
    ASSERT_TRUE(apply(view, 4, 6));
    EXPECT_EQ(totals_of(view), expected(6)) << "it goes on";
  }
}

TEST_F(sqlite_view_test, says_which_statement_failed_and_why) {
  pay(1);
  tally_view view({.also = [](const auto&, database& to) {
    return to.run("insert into tally values (?1, ?2, ?3)", {1, 2, nullptr});
  }});
  ASSERT_TRUE(view.attach(*log));
  const auto done = apply(view, 1, 1);
  ASSERT_FALSE(done);
  const auto& message = done.error().why.message();
  EXPECT_NE(message.find("views/tally@1/view.sqlite: statement 'insert into tally values (?1"),
            std::string::npos)
    << message;
  EXPECT_NE(message.find("NOT NULL constraint failed"), std::string::npos) << message;
}

TEST_F(sqlite_view_test, keeps_dead_letters_with_its_data) {
  pay(9);
  {
    tally_view view;
    ASSERT_TRUE(view.attach(*log));
    const std::vector letters{a_letter(3), a_letter(2)};
    ASSERT_TRUE(apply(view, 1, 1, {.reached = log_position(3), .dead = letters}));
    EXPECT_EQ(*view.dead_letters(), (std::vector{a_letter(2), a_letter(3)})) << "oldest first";
  }
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  EXPECT_EQ(view.position(), log_position(3));
  EXPECT_EQ(*view.dead_letters(), (std::vector{a_letter(2), a_letter(3)}));
  auto changed = a_letter(3);
  changed.attempts = 4;
  ASSERT_TRUE(view.apply({.reached = log_position(3), .dead = std::span(&changed, 1)}));
  ASSERT_TRUE(apply(view, 2, 2, {.reached = log_position(3), .revived = log_position(2)}));
  EXPECT_EQ(*view.dead_letters(), std::vector{changed});
  EXPECT_EQ(totals_of(view).payments, 2);
  EXPECT_EQ(totals_of(view).position, 3U);
}

TEST_F(sqlite_view_test, clear_empties_it_and_it_is_built_anew) {
  pay(30);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(feed(view, *log));
  const auto letter = a_letter(4);
  ASSERT_TRUE(view.apply({.reached = log_position(30), .dead = std::span(&letter, 1)}));
  ASSERT_TRUE(view.clear());
  EXPECT_EQ(totals_of(view), tally_totals{});
  EXPECT_TRUE(view.dead_letters()->empty());
  view.progress().move_to(log_position(0));
  ASSERT_TRUE(feed(view, *log));
  EXPECT_EQ(totals_of(view), expected(30));
}

TEST_F(sqlite_view_test, a_read_sees_one_position_while_the_view_goes_on) {
  pay(20);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(apply(view, 1, 5));
  const auto seen = view.read([&](const reader& now) -> result<tally_totals> {
    if (auto done = apply(view, 6, 20); !done)
      return std::unexpected(done.error().why);
    return totals_of(now);
  });
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(*seen, expected(5));
  EXPECT_EQ(totals_of(view), expected(20));
}

TEST_F(sqlite_view_test, readers_on_many_threads_see_whole_steps_and_never_go_back) {
  constexpr std::uint64_t events = 600;
  pay(events);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] {
      std::uint64_t before = 0;
      do {
        const auto now = view.read([](const auto& at) { return totals_of(at); });
        if (!now || *now != expected(now->position) || now->position < before)
          ++wrong;
        else
          before = now->position;
      } while (!done && wrong == 0);
    });
  EXPECT_TRUE(feed(view, *log, {}, 5));
  done = true;
  for (auto& one : readers)
    one.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(totals_of(view), expected(events));
}

TEST_F(sqlite_view_test, a_read_may_wait_for_a_position) {
  pay(8);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  const auto early = view.read(log_position(8), 0s, [](const auto& now) { return totals_of(now); });
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code(), errc::timed_out);
  std::thread feeding([&] { EXPECT_TRUE(feed(view, *log, {}, 1)); });
  const auto late = view.read(log_position(8), 60s, [](const auto& now) { return totals_of(now); });
  feeding.join();
  ASSERT_TRUE(late) << late.error().message();
  EXPECT_EQ(*late, expected(8));
}

TEST_F(sqlite_view_test, what_a_look_throws_is_thrown_on_and_the_view_can_be_read_again) {
  pay(3);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(feed(view, *log));
  EXPECT_THROW((void)view.read([](const reader& now) {
    (void)now.each("select * from tally", {}, [](const row&) { throw std::logic_error("x"); });
  }),
               std::logic_error);
  EXPECT_EQ(totals_of(view), expected(3));
}

TEST_F(sqlite_view_test, readers_cannot_write) {
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  const auto tried = view.read(
    [](const reader& now) { return now.each("delete from tally", {}, [](const row&) {}); });
  ASSERT_FALSE(tried);
  EXPECT_EQ(tried.error().code(), errc::permission_denied);
}

TEST_F(sqlite_view_test, handlers_leave_the_transaction_and_the_own_tables_alone) {
  pay(2);
  for (const auto* sql : {"commit", "rollback", "begin", "savepoint a", "attach ':memory:' as b",
                          "update acta_view set position = 100", "delete from acta_dead_letters",
                          "drop table acta_view", "create table acta_more (a)"}) {
    tally_view view({.also = [&](const auto&, database& to) { return to.run(sql); }});
    ASSERT_TRUE(view.attach(*log));
    const auto done = apply(view, 1, 2);
    ASSERT_FALSE(done) << sql;
    EXPECT_EQ(done.error().at, 0U) << sql;
    EXPECT_EQ(done.error().why.code(), errc::invalid_argument) << sql;
    EXPECT_NE(done.error().why.message().find("the view's own"), std::string::npos)
      << done.error().why.message();
    EXPECT_EQ(totals_of(view), tally_totals{}) << sql;
  }
}

TEST_F(sqlite_view_test,
       a_statement_that_rolls_the_step_back_ends_it_also_where_it_is_passed_over) {
  pay(4);
  int passed_over = 0;
  tally_view view({.also = [&](const auto& event, database& to) -> result<void> {
    if (event.amount() == 2 || event.amount() == 4)
      passed_over += to.run("insert or rollback into tally values (1, 1, 1)") ? 0 : 1;
    return {};
  }});
  ASSERT_TRUE(view.attach(*log));
  const auto last = apply(view, 1, 2);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().at, 2U) << "no handler said so";
  EXPECT_NE(last.error().why.message().find("rolled the step back"), std::string::npos);
  const auto middle = apply(view, 1, 3);
  ASSERT_FALSE(middle);
  EXPECT_EQ(middle.error().at, 2U) << "what comes behind it is not run by itself";
  EXPECT_EQ(passed_over, 2);
  EXPECT_EQ(totals_of(view), tally_totals{});
}

TEST_F(sqlite_view_test, takes_values_of_every_kind_and_gives_them_back) {
  using namespace std::string_view_literals;
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}};
  std::optional<result<void>> seen;
  pay(1);
  tally_view view({.also = [&](const auto&, database& to) -> result<void> {
    if (auto made = to.script("create table kinds (a, b, c, d, e, f); -- a comment"); !made)
      return made;
    auto put = to.run("insert into kinds values (?1, ?2, ?3, ?4, ?5, ?6)",
                      {std::numeric_limits<std::int64_t>::min(), 0.5, "a\0'b"sv, std::span(bytes),
                       nullptr, log_position(9)});
    if (!put)
      return put;
    return to.each("select * from kinds", {}, [&](const row& one) {
      EXPECT_EQ(one.integer(0), std::numeric_limits<std::int64_t>::min());
      EXPECT_EQ(one.real(1), 0.5);
      EXPECT_EQ(one.text(2), "a\0'b"sv);
      EXPECT_TRUE(std::ranges::equal(one.bytes(3), bytes));
      EXPECT_TRUE(one.is_null(4));
      EXPECT_EQ(one.text(4), "");
      EXPECT_EQ(one.integer(5), 9);
      // The same statement, while it is under way.
      EXPECT_TRUE(*to.first("select * from kinds", {}, [](const row&) { return true; }));
    });
  }});
  ASSERT_TRUE(view.attach(*log));
  const auto done = apply(view, 1, 1);
  EXPECT_TRUE(done) << done.error().why.message();
}

TEST_F(sqlite_view_test, refuses_statements_that_are_not_what_they_seem) {
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  const auto message = [&](const auto& ask) {
    const auto asked = view.read([&](const reader& now) { return ask(now); });
    EXPECT_FALSE(asked);
    EXPECT_EQ(asked.error().code(), errc::invalid_argument);
    return asked.error().message();
  };
  const auto ignored = [](const row&) {};
  EXPECT_NE(message([&](const reader& now) {
              return now.each("select ?1", {}, ignored);
            }).find("parameters"),
            std::string::npos);
  EXPECT_NE(message([&](const reader& now) {
              return now.each("select 1; drop table tally", {}, ignored);
            }).find("one statement"),
            std::string::npos);
  EXPECT_NE(message([&](const reader& now) {
              return now.each("select ?1", {std::numeric_limits<std::uint64_t>::max()}, ignored);
            }).find("64 bits"),
            std::string::npos);
  EXPECT_NE(
    message([&](const reader& now) { return now.each("", {}, ignored); }).find("one statement"),
    std::string::npos);
}

TEST_F(sqlite_view_test, of_a_log_without_a_directory_is_gone_with_it) {
  const auto memory = storage::make_memory_log();
  shop_log orders(*memory);
  orders.add_payment(1, 5);
  std::filesystem::path file;
  {
    tally_view view;
    ASSERT_TRUE(view.attach(*memory));
    ASSERT_TRUE(feed(view, *memory));
    EXPECT_EQ(totals_of(view).cents, 5);
    file = view.file();
    EXPECT_TRUE(std::filesystem::exists(file));
  }
  EXPECT_FALSE(std::filesystem::exists(file.parent_path()));
}

TEST_F(sqlite_view_test, a_projector_feeds_it_and_its_callers_read_their_writes) {
  auto engine = runtime::engine::open<domain::orders::order>(std::move(log));
  ASSERT_TRUE(engine) << engine.error().message();
  tally_view view;
  {
    auto projector = projections::projector::start(**engine, view);
    ASSERT_TRUE(projector) << projector.error().message();
    const domain::orders::place order{.customer = "ada",
                                      .items = {{.product = "lamp", .category = "", .price = 100}}};
    ASSERT_TRUE((*engine)->ask<domain::orders::order>(7, order));
    const auto paid = (*engine)->ask<domain::orders::order>(7, domain::orders::pay{40, "card"});
    ASSERT_TRUE(paid);
    const auto seen =
      view.read(paid->position, 60s, [](const auto& now) { return totals_of(now); });
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(seen->cents, 40);
    ASSERT_TRUE((*projector)->reset());
    const auto again =
      view.read(paid->position, 60s, [](const auto& now) { return totals_of(now); });
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(again->cents, 40);
  }
  auto projector = projections::projector::start(**engine, view);
  ASSERT_TRUE(projector) << projector.error().message();
  const auto paid = (*engine)->ask<domain::orders::order>(7, domain::orders::pay{60, ""});
  const auto seen = view.read(paid->position, 60s, [](const auto& now) { return totals_of(now); });
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(seen->cents, 100);
}

} // namespace
} // namespace acta::tests
