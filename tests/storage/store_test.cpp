// What can be wrong with a store on disk, and what is said of it.
#include "../support/raw_store.hpp"
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <gtest/gtest.h>
#include <lmdb.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::event_log;
using storage::open_log;

class store_test : public ::testing::Test {
protected:
  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }

  void fill(std::uint64_t count) {
    auto log = open_log(store());
    ASSERT_TRUE(log) << log.error().message();
    for (std::uint64_t i = 1; i <= count; ++i) {
      const finished_record record(stream_id(category_id(1), 1), i, "payload");
      const std::array records{record.bytes()};
      ASSERT_TRUE((*log)->append(records, 1'000));
    }
  }

  void expect_refused(errc code, const std::string& part) {
    const auto opened = open_log(store());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), code) << opened.error().message();
    EXPECT_NE(opened.error().message().find(part), std::string::npos) << opened.error().message();
    EXPECT_EQ(opened.error().message().find('\n'), std::string::npos) << "one line";
  }

  /// Changes what is stored under a key of one of the databases.
  void put(const char* database, const std::string& key, const std::string& value) const {
    put_raw(store(), database, key, value);
  }

  scratch_directory directory_;
};

TEST_F(store_test, keeps_its_events_and_names_when_it_is_opened_again) {
  {
    auto log = open_log(store());
    ASSERT_TRUE(log);
    ASSERT_EQ((*log)->register_category("order"), category_id(1));
    ASSERT_EQ((*log)->register_event_type("submitted"), event_type_id(1));
  }
  fill(3);
  fill(0);
  auto log = open_log(store());
  ASSERT_TRUE(log);
  EXPECT_EQ((*log)->tail(), log_position(3));
  EXPECT_EQ((*log)->category_name(category_id(1)), "order");
  EXPECT_EQ((*log)->event_type_name(event_type_id(1)), "submitted");
  EXPECT_TRUE((*(*log)->snapshot())->at(log_position(3))->verify());
}

TEST_F(store_test, is_refused_to_a_second_opener_of_the_same_process_and_named) {
  const auto first = open_log(store());
  ASSERT_TRUE(first);
  expect_refused(errc::store_in_use, std::to_string(::getpid()));
}

TEST_F(store_test, is_refused_to_a_second_process_until_the_first_ends) {
  auto first = open_log(store());
  ASSERT_TRUE(first);
  const auto open_in_child = [&] {
    const auto child = ::fork();
    if (child == 0) {
      const auto opened = open_log(store());
      ::_exit(opened ? 0 : static_cast<int>(opened.error().code()));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(open_in_child(), static_cast<int>(errc::store_in_use));
  first->reset();
  EXPECT_EQ(open_in_child(), 0);
}

TEST_F(store_test, is_not_made_in_a_directory_of_other_things) {
  fs::create_directory(store());
  std::ofstream(store() / "letter.txt") << "dear";
  expect_refused(errc::foreign_store, "letter.txt");
  EXPECT_FALSE(fs::exists(store() / "log")) << "nothing is left behind";
}

TEST_F(store_test, says_what_lies_in_it_that_is_not_its_own) {
  fill(1);
  std::ofstream(store() / "notes.txt") << "dear";
  expect_refused(errc::foreign_store, "move it elsewhere");
}

TEST_F(store_test, is_not_a_file) {
  std::ofstream(store()) << "text";
  expect_refused(errc::foreign_store, "store");
}

TEST_F(store_test, needs_a_parent_directory) {
  const auto opened = open_log(directory_.path() / "no" / "such");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), errc::not_found) << opened.error().message();
}

TEST_F(store_test, needs_a_place_it_may_write) {
  if (::geteuid() == 0)
    GTEST_SKIP() << "root may write everywhere";
  fs::create_directory(store());
  fs::permissions(store(), fs::perms::owner_read | fs::perms::owner_exec);
  expect_refused(errc::permission_denied, "store");
  fs::permissions(store(), fs::perms::owner_all);
}

TEST_F(store_test, cannot_be_made_in_proc) {
  const auto opened = open_log("/proc/acta-store");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message().find("/proc/acta-store"), std::string::npos);
}

TEST_F(store_test, refuses_a_file_that_is_not_lmdbs) {
  fs::create_directories(store() / "log");
  std::ofstream(store() / "log" / "data.mdb") << std::string(65'536, 'x');
  expect_refused(errc::corrupt, "data.mdb");
}

TEST_F(store_test, refuses_another_programs_lmdb_file) {
  fs::create_directories(store() / "log");
  MDB_env* env = nullptr;
  ASSERT_EQ(mdb_env_create(&env), 0);
  ASSERT_EQ(mdb_env_open(env, (store() / "log").c_str(), 0, 0644), 0);
  MDB_txn* writer = nullptr;
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &writer), 0);
  MDB_dbi dbi = 0;
  ASSERT_EQ(mdb_dbi_open(writer, nullptr, 0, &dbi), 0);
  MDB_val key{3, const_cast<char*>("key")};
  ASSERT_EQ(mdb_put(writer, dbi, &key, &key, 0), 0);
  ASSERT_EQ(mdb_txn_commit(writer), 0);
  mdb_env_close(env);
  expect_refused(errc::foreign_store, "is an LMDB file, but not of an Acta store");
}

TEST_F(store_test, refuses_a_newer_format_and_says_which) {
  fill(1);
  put("meta", "format",
      std::string("ACTALOG\0", 8) + std::string("\x63\0\0\0", 4) + "\x04\x03\x02\x01");
  expect_refused(errc::newer_format, "has format 99, and this Acta knows up to 1");
}

TEST_F(store_test, refuses_a_machine_of_other_byte_order_and_says_the_way_out) {
  fill(1);
  put("meta", "format",
      std::string("ACTALOG\0", 8) + std::string("\0\0\0\1", 4) + "\x01\x02\x03\x04");
  expect_refused(
    errc::foreign_store,
    "was written on a machine of other byte order; export it there and import it here");
}

TEST_F(store_test, refuses_a_format_entry_that_is_none) {
  fill(1);
  put("meta", "format", "something else");
  expect_refused(errc::foreign_store, "is not the log of an Acta store");
}

TEST_F(store_test, refuses_a_file_that_was_cut_short) {
  fill(500);
  const auto file = store() / "log" / "data.mdb";
  fs::resize_file(file, fs::file_size(file) / 2 / 4096 * 4096);
  expect_refused(errc::corrupt, "data.mdb");
}

TEST_F(store_test, finds_a_damaged_record_by_its_checksum) {
  fill(3);
  {
    const finished_record record(stream_id(category_id(1), 1), 2, "pAyload");
    auto bytes = std::string(text_of(record.bytes()));
    bytes[70] = 'X';
    std::string key(8, '\0');
    key[0] = 2;
    put("events", key, bytes);
  }
  auto log = open_log(store());
  ASSERT_TRUE(log);
  const auto indexed = storage::stream_index::open(**log);
  ASSERT_FALSE(indexed);
  EXPECT_EQ(indexed.error().code(), errc::corrupt);
  EXPECT_NE(indexed.error().message().find("position 2"), std::string::npos)
    << indexed.error().message();
}

/// What a crash may leave of a store that was being made: any prefix of its files.
TEST_F(store_test, is_made_again_where_making_it_was_interrupted) {
  const auto try_with = [&](const std::vector<std::string>& names) {
    fs::remove_all(store());
    fs::create_directory(store());
    for (const auto& name : names) {
      if (name.ends_with('/'))
        fs::create_directory(store() / name);
      else
        std::ofstream(store() / name).flush();
    }
    const auto opened = open_log(store());
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
  };
  try_with({});
  try_with({"log/"});
  try_with({"log/", "writer.lock"});
  try_with({"log/", "writer.lock", "log/lock.mdb"});
  try_with({"log/", "writer.lock", "log/lock.mdb", "log/data.mdb"});
  try_with({"log/", "writer.lock", "store.id"});
  for (const auto left : {1, 4'096, 8'191, 8'192}) { // of LMDB's first write, cut or never synced
    fs::remove_all(store());
    fs::create_directories(store() / "log");
    std::ofstream(store() / "log" / "data.mdb")
      << std::string(static_cast<std::size_t>(left), '\0');
    EXPECT_TRUE(open_log(store())) << left;
    fs::remove(store() / "store.id");
    fs::resize_file(store() / "log" / "data.mdb", static_cast<std::uintmax_t>(left) / 2);
    EXPECT_TRUE(open_log(store())) << left;
  }
}

TEST_F(store_test, that_lost_its_log_is_not_taken_for_a_new_one) {
  fill(3);
  const auto file = store() / "log" / "data.mdb";
  fs::resize_file(file, 0);
  expect_refused(errc::corrupt, "missing or empty");
  fs::remove(file);
  expect_refused(errc::corrupt, "missing or empty");
  fs::remove_all(store() / "log");
  expect_refused(errc::corrupt, "restore");
  fs::remove_all(store());
  fill(1);
}

TEST_F(store_test, refuses_the_log_of_another_store) {
  fill(1);
  fs::rename(store() / "log", directory_.path() / "log");
  fs::remove_all(store());
  fill(2);
  fs::remove_all(store() / "log");
  fs::rename(directory_.path() / "log", store() / "log");
  expect_refused(errc::corrupt, "is of store");
  fs::remove(store() / "store.id"); // whoever means it
  fill(0);
}

TEST_F(store_test, says_so_when_its_map_is_full_and_goes_on_with_a_larger_one) {
  std::uint64_t stored = 0;
  {
    auto log = open_log(store(), {.map_size = std::size_t{64} * 4096});
    ASSERT_TRUE(log) << log.error().message();
    const std::string payload(3000, 'x');
    for (;; ++stored) {
      const finished_record record(stream_id(category_id(1), 1), stored + 1, payload);
      const std::array records{record.bytes()};
      const auto appended = (*log)->append(records, 1'000);
      if (!appended) {
        EXPECT_EQ(appended.error().code(), errc::map_full) << appended.error().message();
        break;
      }
      ASSERT_LT(stored, 1000U);
    }
  }
  fill(0);
  const auto log = open_log(store());
  ASSERT_TRUE(log);
  EXPECT_EQ((*log)->tail(), log_position(stored));
}

} // namespace
} // namespace acta::tests
