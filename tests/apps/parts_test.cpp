// The parts of acta-sim, one by one.
#include "../support/scratch_directory.hpp"

#include "acknowledgements.hpp"
#include "csv.hpp"
#include "decimal.hpp"
#include "generator.hpp"
#include "output_file.hpp"
#include "source.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace acta::sim {
namespace {

namespace fs = std::filesystem;

TEST(decimal, reads_prices_exactly_and_nothing_else) {
  EXPECT_EQ(parse_price("13"), 13'000'000'000);
  EXPECT_EQ(parse_price("5.51"), 5'510'000'000);
  EXPECT_EQ(parse_price("-0.000000001"), -1);
  EXPECT_EQ(parse_price("9223372036.854775807"), INT64_MAX);
  for (const char* bad : {"", "-", ".", "1.", ".5", "1.0000000001", "1e3", " 1", "1 ", "1,0", "--1",
                          "+1", "0x1", "9223372036.854775808", "99999999999999999999", "1.-5"})
    EXPECT_FALSE(parse_price(bad)) << bad;
}

TEST(decimal, writes_what_it_reads) {
  EXPECT_EQ(price_text(13'000'000'000), "13.0");
  EXPECT_EQ(price_text(5'510'000'000), "5.51");
  EXPECT_EQ(price_text(-1), "-0.000000001");
  EXPECT_EQ(price_text(0), "0.0");
  EXPECT_TRUE(rc::check([](std::int64_t price) {
    RC_PRE(price != INT64_MIN);
    RC_ASSERT(parse_price(price_text(price)) == price);
  }));
}

TEST(decimal, reads_integers_that_fit) {
  EXPECT_EQ(parse_integer<std::uint32_t>("4294967295"), 4'294'967'295U);
  for (const char* bad : {"", "4294967296", "-1", "1.0", "1 ", " 1", "x"})
    EXPECT_FALSE(parse_integer<std::uint32_t>(bad)) << bad;
}

using csv_row = std::vector<std::string>;

/// The rows of a text, with their lines, up to its end or to what is malformed.
std::vector<std::pair<std::uint64_t, csv_row>> rows_of(csv_rows& rows) {
  std::vector<std::pair<std::uint64_t, csv_row>> all;
  while (rows.next() == true)
    all.emplace_back(rows.line(), csv_row(rows.fields().begin(), rows.fields().end()));
  return all;
}
using numbered_rows = std::vector<std::pair<std::uint64_t, csv_row>>;

TEST(csv_rows, takes_any_line_ends_and_skips_empty_lines) {
  csv_rows rows("f", "a,b\r\n\n\n,\nlast");
  EXPECT_EQ(rows_of(rows), (numbered_rows{{1, {"a", "b"}}, {4, {"", ""}}, {5, {"last"}}}));
  EXPECT_EQ(rows.next(), false);
  csv_rows other("f", "\r\na,\r\n\r");
  EXPECT_EQ(rows_of(other), (numbered_rows{{2, {"a", ""}}}));
}

TEST(csv_rows, takes_quoted_fields_and_counts_their_lines) {
  csv_rows rows("f", "\xEF\xBB\xBF\"a\",\"b,\nc\"\r\n\"say \"\"x\"\"\",it\"s,\"\"\n\"\"\"\"\r");
  EXPECT_EQ(rows_of(rows),
            (numbered_rows{{1, {"a", "b,\nc"}}, {3, {"say \"x\"", "it\"s", ""}}, {4, {"\""}}}));
  EXPECT_EQ(rows.next(), false);
}

TEST(csv_rows, refuse_quotes_that_are_not_closed_or_not_at_a_fields_end) {
  for (const char* bad : {"a\n\"b\nc", "a\nb,\"c\"d\n", "a\n\"", "a\n\"b\"\"", "a\n\"b\" ,c"}) {
    csv_rows rows("f", bad);
    EXPECT_EQ(rows.next(), true);
    const auto next = rows.next();
    ASSERT_FALSE(next) << bad;
    EXPECT_EQ(next.error().code(), errc::malformed);
    EXPECT_TRUE(next.error().message().starts_with("f:2: ")) << next.error().message();
    EXPECT_EQ(rows.next(), false) << "it is the end";
  }
}

TEST(named_rows, finds_columns_wherever_they_are) {
  static constexpr std::array<std::string_view, 2> wanted{"id", "price"};
  auto rows = named_rows::open("f", "price,other,\"id\"\n1,2,3\n4,5\n", wanted, "a list");
  ASSERT_TRUE(rows) << rows.error().message();
  ASSERT_EQ(rows->next(), true);
  EXPECT_EQ((*rows)[0], "3");
  EXPECT_EQ((*rows)[1], "1");
  EXPECT_EQ(rows->malformed(1, "a price").error().message(),
            "f:2: column 'price' is '1', where a price must be");
  const auto narrow = rows->next();
  ASSERT_FALSE(narrow);
  EXPECT_EQ(narrow.error().message(), "f:3: 2 columns, where the first line has 3");
  const auto missing = named_rows::open("f", "id,other\n", wanted, "a list");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(),
            "f:1: there is no column 'price'; this is not a list with a line of column names");
  EXPECT_FALSE(named_rows::open("f", "\n", wanted, "a list"));
}

TEST(acknowledgements, never_miss_a_wake_up) {
  constexpr std::uint64_t count = 200'000;
  acknowledgements acknowledged;
  std::atomic<std::uint64_t> sent = 0;
  std::thread settler([&] {
    for (std::uint64_t done = 0; done < count;)
      for (const auto ready = sent.load(); done < ready; ++done)
        acknowledged.settle_one();
  });
  std::mt19937 random(3);
  for (std::uint64_t at = 0; at < count;) {
    at = std::min<std::uint64_t>(count, at + 1 + random() % 8);
    sent = at;
    acknowledged.wait_for(at);
    ASSERT_GE(acknowledged.done(), at);
  }
  settler.join();
}

/// Runs a generator against what an exchange would say: which orders rest, with how much.
TEST(generator, makes_valid_flow_with_a_bounded_number_of_live_orders) {
  constexpr std::uint64_t orders = 100'000;
  generator flow(orders, 42, 5);
  std::map<std::uint64_t, std::int64_t> resting;
  std::set<std::uint64_t> records;
  std::set<std::uint32_t> instruments;
  std::uint64_t steps = 0;
  std::uint64_t refused = 0;
  std::uint64_t printed = 0;
  std::size_t most = 0;
  for (step one; flow.next(one); ++steps) {
    EXPECT_TRUE(records.insert(one.record).second) << "a record of its own for each step";
    if (std::holds_alternative<trading::print_trade>(one.what)) {
      ++printed;
      continue;
    }
    const auto& command = std::get<trading::limit_order::command>(one.what);
    const auto rests = resting.find(one.key);
    const auto take = [&](std::int64_t quantity) {
      if (rests == resting.end() || rests->second < quantity)
        ++refused;
      else if ((rests->second -= quantity) == 0)
        resting.erase(rests);
    };
    if (const auto* submitted = std::get_if<trading::submit>(&command)) {
      EXPECT_TRUE(resting.emplace(one.key, submitted->quantity).second);
      instruments.insert(submitted->instrument);
    } else if (const auto* executed = std::get_if<trading::execute>(&command)) {
      take(executed->quantity);
    } else if (const auto* reduced = std::get_if<trading::reduce>(&command)) {
      take(reduced->quantity);
    } else if (std::holds_alternative<trading::cancel>(command)) {
      take(rests == resting.end() ? 0 : rests->second);
    }
    most = std::max(most, resting.size());
  }
  EXPECT_LE(most, generator::max_live);
  EXPECT_GT(most, generator::max_live / 4);
  EXPECT_EQ(resting.size(), generator::left_at_end);
  EXPECT_EQ(instruments, (std::set<std::uint32_t>{1, 2, 3, 4, 5}));
  EXPECT_GT(steps, 3 * orders);
  EXPECT_NEAR(static_cast<double>(refused) / static_cast<double>(steps), 0.002, 0.0005);
  EXPECT_GT(printed, 0U);
  EXPECT_EQ(flow.progress(), 1.0);
}

std::string as_text(generator& flow) {
  std::string text;
  for (step one; flow.next(one);) {
    const auto* command = std::get_if<trading::limit_order::command>(&one.what);
    text +=
      fmt::format("{}:{}:{} ", one.record, one.key, command == nullptr ? 10 : command->index());
  }
  return text;
}

TEST(generator, repeats_itself_for_a_seed_and_not_for_another) {
  generator first(1'000, 1, 3);
  generator again(1'000, 1, 3);
  generator other(1'000, 2, 3);
  EXPECT_EQ(first.fingerprint(), again.fingerprint());
  EXPECT_NE(first.fingerprint(), other.fingerprint());
  const auto text = as_text(first);
  EXPECT_EQ(text, as_text(again));
  EXPECT_NE(text, as_text(other));
}

TEST(generator, ends_at_once_without_orders) {
  generator none(0, 1, 1);
  step one;
  EXPECT_FALSE(none.next(one));
  EXPECT_EQ(none.progress(), 1.0);
}

class files : public ::testing::Test {
protected:
  [[nodiscard]] fs::path path(const char* name) const { return directory_.path() / name; }
  [[nodiscard]] fs::path write(const char* name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    return path(name);
  }

private:
  tests::scratch_directory directory_;
};

TEST_F(files, appear_when_they_are_finished_and_not_before) {
  {
    auto unfinished = apps::output_file::create(path("a"));
    ASSERT_TRUE(unfinished);
    unfinished->write("text");
  }
  EXPECT_TRUE(fs::is_empty(path("a").parent_path())) << "nothing is left of an unfinished file";
  auto file = apps::output_file::create(path("a"));
  ASSERT_TRUE(file);
  file->write("some ");
  file->write("text");
  EXPECT_FALSE(fs::exists(path("a")));
  ASSERT_TRUE(file->finish());
  EXPECT_EQ(**read_file(path("a")), "some text");
}

TEST_F(files, that_cannot_be_written_are_named) {
  const auto missing = apps::output_file::create(path("no/such/directory"));
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("no/such/directory"), std::string::npos);
  auto full = apps::output_file::create("/dev/full");
  ASSERT_TRUE(full) << full.error().message();
  full->write("text");
  const auto finished = full->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code(), errc::no_space);
  EXPECT_NE(finished.error().message().find("/dev/full"), std::string::npos);
}

TEST_F(files, that_cannot_be_read_are_named) {
  EXPECT_EQ(read_file(path("none")).error().code(), errc::not_found);
  EXPECT_EQ(read_file(path(".")).error().code(), errc::invalid_argument);
  EXPECT_EQ(**read_file(write("empty", "")), "");
}

const std::string mbo_header = "ts_event,instrument_id,action,side,price,size,order_id,sequence\n";

std::string mbo_error(const fs::path& file) {
  const auto feed = read_mbo(file, {});
  EXPECT_FALSE(feed);
  return feed ? "" : feed.error().message();
}

TEST_F(files, of_mbo_are_translated_record_by_record) {
  const auto feed = read_mbo(write("f", mbo_header
                                          + "t1,7,R,N,,0,0,1\n"
                                            "t2,7,A,B,10.5,100,11,2\n"
                                            "t3,7,F,B,10.5,40,11,3\n"
                                            "t4,7,C,B,10.5,40,11,3\n"
                                            "t5,7,C,B,10.5,10,11,4\n"
                                            "t6,7,M,B,10.4,50,11,5\n"
                                            "t7,7,T,N,10.5,3,0,6\n"
                                            "t8,7,T,B,10.5,3,0,6\n"),
                             {});
  ASSERT_TRUE(feed) << feed.error().message();
  ASSERT_EQ(feed->steps.size(), 6U);
  const auto command = [&](std::size_t at) {
    return std::get<trading::limit_order::command>(feed->steps[at].what);
  };
  EXPECT_TRUE(std::holds_alternative<clear_book>(feed->steps[0].what));
  EXPECT_EQ(feed->steps[0].key, 7U);
  EXPECT_EQ(std::get<trading::replace>(command(1)).price, 10'500'000'000);
  EXPECT_EQ(std::get<trading::execute>(command(2)).quantity, 40);
  EXPECT_EQ(feed->steps[2].record, 4U);
  EXPECT_EQ(std::get<trading::reduce>(command(3)).quantity, 10);
  EXPECT_EQ(std::get<trading::replace>(command(4)).quantity, 50);
  EXPECT_EQ(std::get<trading::print_trade>(feed->steps[5].what).quantity, 3);
  EXPECT_EQ(feed->labels[4].sequence, 3U);
  EXPECT_EQ(feed->labels[4].time, "t4");
}

TEST_F(files, of_mbo_leave_skipped_orders_out) {
  const auto feed = read_mbo(write("f", mbo_header + "t,7,A,B,1,1,11,1\nt,7,A,B,1,1,12,2\n"), {11});
  ASSERT_TRUE(feed);
  ASSERT_EQ(feed->steps.size(), 1U);
  EXPECT_EQ(feed->steps[0].key, 12U);
}

TEST_F(files, of_mbo_that_are_malformed_name_file_line_and_column) {
  const auto expect = [&](const std::string& row, const std::string& part) {
    const auto message = mbo_error(write("f", mbo_header + "t,7,A,B,1,1,1,1\n" + row + "\n"));
    EXPECT_TRUE(message.starts_with(path("f").string() + ":3: ")) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("t,7,X,B,1,1,1,1", "'action'");
  expect("t,7,AA,B,1,1,1,1", "'action'");
  expect("t,7,A,Q,1,1,1,1", "'side'");
  expect("t,7,A,N,1,1,1,1", "'side'");
  expect("t,7,A,B,one,1,1,1", "'price'");
  expect("t,7,A,B,1,-1,1,1", "'size'");
  expect("t,7,A,B,1,99999999999999999999,1,1", "'size'");
  expect("t,7,A,B,1,1,x,1", "'order_id'");
  expect("t,7,A,B,1,1,1,", "'sequence'");
  expect("t,x,A,B,1,1,1,1", "'instrument_id'");
  expect("t,7,A,B,1,1,1", "7 columns");
  EXPECT_NE(mbo_error(write("g", "a,b\n")).find("ts_event"), std::string::npos);
  EXPECT_NE(mbo_error(write("h", "")).find("empty"), std::string::npos);
  EXPECT_NE(mbo_error(write("i", mbo_header + "\"t,7\n")).find(":2: a field begins with a quote"),
            std::string::npos);
}

TEST_F(files, of_lobster_that_are_malformed_name_file_line_and_column) {
  const auto expect = [&](const std::string& row, const std::string& part) {
    const auto feed = read_lobster(write("f", "1.5,1,11,5,1000,1\n" + row + "\n"), {}, {});
    ASSERT_FALSE(feed);
    EXPECT_TRUE(feed.error().message().starts_with(path("f").string() + ":2: "));
    EXPECT_NE(feed.error().message().find(part), std::string::npos) << feed.error().message();
  };
  expect("x,1,11,5,1000,1", "'time'");
  expect("1.,1,11,5,1000,1", "'time'");
  expect("1,6,11,5,1000,1", "'type'");
  expect("1,1,x,5,1000,1", "'order id'");
  expect("1,1,4611686018427387904,5,1000,1", "'order id'");
  expect("1,1,11,0,1000,1", "'size'");
  expect("1,1,11,1000000000001,1000,1", "'size'");
  expect("1,1,11,5,9223372036854775807,1", "'price'");
  expect("1,1,11,5,1000,2", "'direction'");
  expect("1,1,11,5,1000", "5 columns");
  expect("1,1,11,5,1000,\"1", "a field begins with a quote");
  const auto messages = write("m", "1.5,1,11,5,1000,1\n");
  EXPECT_FALSE(read_lobster(messages, write("b", "1,2,3\n"), {}));
  EXPECT_FALSE(read_lobster(messages, write("b", ""), {}));
  EXPECT_FALSE(read_lobster(messages, write("b", "1,2,x,4\n"), {}));
  EXPECT_FALSE(read_lobster(messages, write("b", "9223372036854775807,2,3,4\n"), {}));
  EXPECT_FALSE(read_lobster(messages, write("b", "1,9223372036854775807,3,4\n"), {}));
}

/// The initial book is the first row with the first message taken back.
TEST_F(files, of_lobster_start_from_the_book_before_their_first_message) {
  const auto feed = read_lobster(write("m", "1.5,1,11,5,1000,1\n"  // adds 5 at 1000
                                            "1.6,3,99,7,1001,-1\n" // takes all of the ask
                                            "1.7,4,98,1,1000,1\n"  // more than is left at 1000
                                            "1.8,7,0,0,-1,-1\n"),
                                 write("b", "1001,7,1000,5,1002,3,999,2\n"), {});
  ASSERT_TRUE(feed) << feed.error().message();
  EXPECT_EQ(feed->unknown_orders, 2U);
  EXPECT_EQ(feed->taken_by_initial_book, 1U);
  ASSERT_EQ(feed->steps.size(), 3U + 3U) << "three levels, and the halt is nothing to do";
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(feed->steps[i].record, 0U);
    EXPECT_EQ(feed->steps[i].key, first_initial_order + i);
  }
  EXPECT_GE(feed->steps[4].key, first_initial_order);
  EXPECT_EQ(feed->steps[5].key, 98U);
}

/// Any bytes give a feed or an error, never a crash.
TEST_F(files, of_any_bytes_do_no_harm) {
  std::mt19937 random(11);
  const std::string alphabet = "0123456789,.\n-ABCFMNRTx\"\r";
  for (int round = 0; round < 300; ++round) {
    std::string text = round % 2 == 0 ? mbo_header : "";
    for (auto size = random() % 400; size != 0; --size)
      text += alphabet[random() % alphabet.size()];
    const auto file = write("noise", text);
    (void)read_mbo(file, {});
    (void)read_lobster(file, file, {});
  }
}

} // namespace
} // namespace acta::sim
