// What repair_log() keeps of a damaged log, and what it says is lost.
#include "../support/damaged_store.hpp"
#include "../support/raw_store.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/repair.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::repair_log;
using storage::repaired_log;

constexpr std::size_t page_size = 4'096;

[[nodiscard]] std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Three records a commit: a command of two of an order, and one of an account. Ninety in all.
class repair_test : public ::testing::Test {
protected:
  void SetUp() override {
    make_small_store(store());
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    auto read = content_of(**log);
    ASSERT_TRUE(read) << read.error().message();
    sound_ = std::move(*read);
    ASSERT_EQ(sound_.records.size(), 90U);
  }

  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path data() const { return store() / "log" / "data.mdb"; }
  [[nodiscard]] fs::path fresh() const { return directory_.path() / "fresh"; }

  /// Where these bytes are in the log's file; LMDB leaves older copies in pages it no longer uses.
  [[nodiscard]] std::vector<std::size_t> places_of(std::string_view bytes) const {
    std::vector<std::size_t> places;
    const auto all = bytes_of(data());
    for (auto at = all.find(bytes); at != std::string::npos; at = all.find(bytes, at + 1))
      places.push_back(at);
    EXPECT_FALSE(places.empty());
    return places;
  }
  [[nodiscard]] std::vector<std::size_t> places_of_record(std::uint64_t position) const {
    return places_of(sound_.records.at(position - 1));
  }
  void damage_record(std::uint64_t position) const {
    for (const auto at : places_of_record(position))
      flip(data(), at + 60);
  }

  /// Where the page begins that has the record now.
  [[nodiscard]] std::size_t page_of_record(std::uint64_t position) const {
    for (const auto at : places_of_record(position)) {
      flip(data(), at + 60);
      const auto done = storage::verify_store(store());
      flip(data(), at + 60);
      if (done && done->problems != 0)
        return at / page_size * page_size;
    }
    ADD_FAILURE() << "no page has it";
    return 0;
  }

  /// Repairs it, and checks that the damaged store is as it was, and the new one is sound and has
  /// exactly the first records.
  [[nodiscard]] repaired_log repaired(std::uint64_t kept, const log_content& names) {
    const auto before = bytes_of(data());
    auto done = repair_log(store(), fresh());
    EXPECT_TRUE(done) << done.error().message();
    if (!done)
      return {};
    EXPECT_TRUE(bytes_of(data()) == before) << "the damaged store was written";
    EXPECT_EQ(done->kept, log_position(kept));
    EXPECT_EQ(done->lost_records.size(), done->lost);
    const auto verified = storage::verify_store(fresh());
    EXPECT_TRUE(verified) << verified.error().message();
    if (verified && verified->problems != 0)
      ADD_FAILURE() << verified->findings.at(0).what;
    const auto log = storage::open_log(fresh(), small_map);
    EXPECT_TRUE(log) << log.error().message();
    const auto has = log ? content_of(**log) : failure(errc::io, "");
    EXPECT_TRUE(has);
    if (has) {
      auto expected = names;
      expected.records.resize(kept);
      EXPECT_TRUE(*has == expected);
    }
    return std::move(*done);
  }
  [[nodiscard]] repaired_log repaired(std::uint64_t kept) { return repaired(kept, sound_); }

  scratch_directory directory_{memory_folder()};
  log_content sound_;
};

TEST_F(repair_test, keeps_all_of_a_sound_log_under_another_id) {
  const auto done = repaired(90);
  EXPECT_EQ(done.lost, 0U);
  EXPECT_EQ(done.found.problems, 0U);
  EXPECT_NE(bytes_of(store() / "store.id"), bytes_of(fresh() / "store.id"));
}

TEST_F(repair_test, keeps_what_is_before_a_damaged_record_and_lists_what_is_behind) {
  damage_record(50); // the second of the command of 49 and 50
  ASSERT_TRUE(storage::open_log(store(), small_map)) << "it opens, and would serve it";
  const auto done = repaired(48);
  EXPECT_EQ(done.lost, 42U);
  EXPECT_EQ(done.readable, 41U);
  ASSERT_EQ(done.lost_records.size(), 42U);
  EXPECT_EQ(done.lost_records[0].position, log_position(49));
  EXPECT_EQ(done.lost_records[0].stream, stream_id(category_id(1), 17 % 3));
  EXPECT_EQ(done.lost_records[0].event_type, "order.submitted");
  EXPECT_EQ(done.lost_records[1].position, log_position(50));
  EXPECT_FALSE(done.lost_records[1].stream);
  EXPECT_EQ(done.lost_records[41].position, log_position(90));
  EXPECT_EQ(done.lost_records[41].event_type, "account.opened");
  ASSERT_FALSE(done.found.findings.empty());
  EXPECT_EQ(done.found.findings[0].position, log_position(50));
  EXPECT_EQ(done.found.findings[0].file, "log/data.mdb");
}

TEST_F(repair_test, keeps_nothing_but_names_if_the_first_record_is_damaged) {
  damage_record(1);
  const auto done = repaired(0);
  EXPECT_EQ(done.lost, 90U);
  EXPECT_EQ(done.readable, 89U);
}

TEST_F(repair_test, keeps_all_but_the_last_record_if_that_is_damaged) {
  damage_record(90);
  const auto done = repaired(89);
  EXPECT_EQ(done.lost, 1U);
  EXPECT_EQ(done.readable, 0U);
}

TEST_F(repair_test, keeps_the_records_of_a_page_whose_kind_is_damaged) {
  constexpr std::size_t flags = 10;
  flip(data(), page_of_record(50) + flags);
  EXPECT_FALSE(storage::open_log(store(), small_map));
  const auto done = repaired(90);
  EXPECT_EQ(done.lost, 0U);
  EXPECT_NE(done.found.problems, 0U);
}

TEST_F(repair_test, keeps_what_is_before_a_page_that_does_not_read_and_finds_what_is_behind) {
  constexpr std::size_t lower = 13;
  flip(data(), page_of_record(50) + lower);
  EXPECT_FALSE(storage::open_log(store(), small_map));
  auto done = repair_log(store(), fresh());
  ASSERT_TRUE(done) << done.error().message();
  const auto kept = done->kept.value();
  EXPECT_GT(kept, 10U);
  EXPECT_LT(kept, 49U);
  fs::remove_all(fresh());
  const auto again = repaired(kept);
  EXPECT_EQ(again.lost, 90 - kept);
  EXPECT_GT(again.readable, 0U) << "of the pages behind it";
  EXPECT_LT(again.readable, again.lost);
  EXPECT_TRUE(again.lost_records.back().stream);
}

TEST_F(repair_test, goes_back_one_commit_where_the_last_one_leads_nowhere) {
  const auto newest = [&] { // the meta page of the greater transaction
    const auto all = bytes_of(data());
    constexpr std::size_t transaction = 16 + 128;
    return all[transaction] > all[page_size + transaction] ? 0 : page_size;
  }();
  constexpr std::size_t main_root = 16 + 24 + 48 + 40;
  flip(data(), newest + main_root);
  EXPECT_FALSE(storage::open_log(store(), small_map));
  const auto done = repaired(87);
  EXPECT_NE(done.found.problems, 0U);
}

TEST_F(repair_test, keeps_what_is_left_of_a_file_that_was_cut) {
  const auto whole = fs::file_size(data());
  for (const auto pages : {4U, 8U, 12U}) {
    SCOPED_TRACE(pages);
    ASSERT_LT(pages * page_size, whole);
    const auto copy = directory_.path() / "copy";
    fs::remove_all(copy);
    fs::copy(store(), copy, fs::copy_options::recursive);
    fs::resize_file(copy / "log" / "data.mdb", pages * page_size - 100);
    EXPECT_FALSE(storage::open_log(copy, small_map));
    const auto verified = storage::verify_store(copy);
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_NE(verified->problems, 0U);
    fs::remove_all(fresh());
    const auto done = repair_log(copy, fresh());
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_LT(done->kept, log_position(90));
    const auto fresh_verified = storage::verify_store(fresh());
    ASSERT_TRUE(fresh_verified) << fresh_verified.error().message();
    EXPECT_EQ(fresh_verified->problems, 0U) << fresh_verified->findings.at(0).what;
    EXPECT_EQ(fresh_verified->records, done->kept.value());
  }
}

TEST_F(repair_test, says_so_where_nothing_is_left) {
  fs::resize_file(data(), 100);
  const auto done = repair_log(store(), fresh());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::corrupt);
  EXPECT_FALSE(fs::exists(fresh())) << "nothing is left behind";
}

TEST_F(repair_test, keeps_a_damaged_name_as_it_reads) {
  for (const auto at : places_of("order.filled"))
    flip(data(), at, 0x20);
  EXPECT_FALSE(storage::open_log(store(), small_map));
  auto names = sound_;
  names.names.at(3) = "Order.filled";
  const auto done = repaired(90, names);
  EXPECT_EQ(done.found.problems, 1U);
  EXPECT_NE(done.found.findings.at(0).what.find("event_type:00002"), std::string::npos)
    << done.found.findings[0].what;
}

TEST_F(repair_test, makes_up_a_name_where_one_is_lost) {
  for (const auto at : places_of("event_type:00002"))
    if (bytes_of(data()).compare(at - 9, 9, "checksum:") != 0)
      flip(data(), at, 1);
  auto names = sound_;
  names.names.at(3) = "lost.event_type:00002";
  const auto done = repaired(90, names);
  EXPECT_NE(done.found.problems, 0U);
}

TEST_F(repair_test, copies_what_else_the_log_says_of_itself) {
  put_raw(store(), "meta", "schema:order", "some bytes");
  damage_record(90);
  (void)repaired(89);
  EXPECT_NE(bytes_of(fresh() / "log" / "data.mdb").find("some bytes"), std::string::npos);
}

TEST_F(repair_test, leaves_out_what_else_the_log_says_where_that_is_damaged) {
  put_raw(store(), "meta", "schema:order", "some bytes");
  put_raw(store(), "meta", "checksum:schema:order", "of other");
  const auto done = repaired(90);
  EXPECT_EQ(done.found.problems, 1U);
  EXPECT_EQ(bytes_of(fresh() / "log" / "data.mdb").find("some bytes"), std::string::npos);
}

TEST_F(repair_test, lists_as_many_losses_as_it_was_asked_for) {
  damage_record(50);
  const auto done = repair_log(store(), fresh(), {.max_lost = 3});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->lost_records.size(), 3U);
  EXPECT_EQ(done->lost, 42U);
  EXPECT_EQ(done->readable, 41U);
}

TEST_F(repair_test, tells_how_far_it_is) {
  std::uint64_t last = 0;
  std::uint64_t all = 0;
  const auto done =
    repair_log(store(), fresh(), {.progress = [&](std::uint64_t reached, std::uint64_t of) {
                 last = reached;
                 all = of;
               }});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(last, 90U);
  EXPECT_EQ(all, 90U);
}

TEST_F(repair_test, writes_into_no_directory_that_has_anything_in_it) {
  fs::create_directory(fresh());
  std::ofstream(fresh() / "letter.txt") << "dear";
  const auto done = repair_log(store(), fresh());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::invalid_argument);
  EXPECT_NE(done.error().message().find(fresh().string()), std::string::npos);
  EXPECT_FALSE(repair_log(store(), store()));
}

TEST_F(repair_test, leaves_a_store_alone_that_is_open) {
  const auto log = storage::open_log(store(), small_map);
  ASSERT_TRUE(log);
  const auto done = repair_log(store(), fresh());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::store_in_use);
  EXPECT_NE(done.error().message().find("backup"), std::string::npos) << done.error().message();
}

/// Whatever is done to the file: what can be kept is, and what is made of it is sound.
TEST_F(repair_test, makes_a_sound_store_of_whatever_is_left) {
  const int rounds = std::getenv("ACTA_LONG_TESTS") != nullptr ? 5'000 : 300;
  std::mt19937 random(1);
  const auto any = [&](std::size_t below) { return random() % below; };
  const auto sound = bytes_of(data());
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    auto bytes = sound;
    for (auto damages = 1 + any(4); damages > 0; --damages) {
      const auto at = any(bytes.size());
      const auto count = std::min<std::size_t>(1 + any(200), bytes.size() - at);
      const auto pages = bytes.size() / page_size;
      switch (any(4)) {
        case 0: // noise
          for (auto i = at; i < at + count; ++i)
            bytes[i] = static_cast<char>(random());
          break;
        case 1: // a page that was not written
          bytes.replace(at / page_size * page_size, page_size, page_size, '\0');
          break;
        case 2: // a page in another's place
          bytes.replace(any(pages) * page_size, page_size,
                        sound.substr(any(pages) * page_size, page_size));
          break;
        default: // a word of a page's head
          bytes[at / page_size * page_size + any(64)] = static_cast<char>(random());
      }
    }
    if (any(8) == 0)
      bytes.resize(any(bytes.size()));
    std::ofstream(data(), std::ios::binary) << bytes;
    const auto verified = storage::verify_store(store());
    ASSERT_TRUE(verified) << verified.error().message();
    fs::remove_all(fresh());
    if (const auto done = repair_log(store(), fresh())) {
      const auto made = storage::verify_store(fresh());
      ASSERT_TRUE(made) << made.error().message();
      EXPECT_EQ(made->problems, 0U) << made->findings.at(0).what;
      EXPECT_EQ(made->records, done->kept.value());
    } else {
      EXPECT_NE(done.error().code(), errc::io) << done.error().message();
    }
    if (const auto log = storage::open_log(store(), small_map))
      (void)content_of(**log);
  }
}

} // namespace
} // namespace acta::tests
