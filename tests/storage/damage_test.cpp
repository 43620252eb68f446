// Damaged bytes: whatever they are, nothing crashes, verify_store() tells of them with their place,
// or they do no harm.
#include "../support/damaged_store.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/repair.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>
#include <lmdb.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t page_size = 4'096;

class damage_test : public ::testing::Test {
protected:
  void SetUp() override {
    make_small_store(store());
    if (HasFatalFailure())
      return;
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    auto read = content_of(**log);
    ASSERT_TRUE(read) << read.error().message();
    sound_ = std::move(*read);
    ASSERT_GE(sound_.records.size(), 60U);
  }

  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path data() const { return store() / "log" / "data.mdb"; }

  /// What is harmless: the store opens, and has what it had.
  void expect_harmless(const std::string& what) {
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << what << ": " << log.error().message();
    const auto read = content_of(**log);
    ASSERT_TRUE(read) << what << ": " << read.error().message();
    EXPECT_TRUE(*read == sound_) << what << " went unnoticed";
  }

  /// And it can be written: what LMDB needs for that is as it was.
  void expect_appends(const std::string& what) {
    const auto copy = directory_.path() / "copy";
    fs::remove_all(copy);
    fs::copy(store(), copy, fs::copy_options::recursive);
    {
      const auto log = storage::open_log(copy, small_map);
      ASSERT_TRUE(log) << what << ": " << log.error().message();
      const finished_record record(stream_id(category_id(1), 99), 1, std::string(5'000, 'y'));
      const std::array records{record.bytes()};
      ASSERT_TRUE((*log)->append(records, 9'000)) << what;
    }
    const auto done = storage::verify_store(copy);
    ASSERT_TRUE(done) << what << ": " << done.error().message();
    EXPECT_EQ(done->records, sound_.records.size() + 1) << what;
    EXPECT_EQ(done->problems, 0U) << what << ": " << done->findings.at(0).what;
  }

  /// Opens it, damaged as it is, and reads what it lets itself be read: an error is as good.
  [[nodiscard]] bool opens_and_reads() const {
    const auto log = storage::open_log(store(), small_map);
    if (!log) {
      EXPECT_NE(log.error().message().find(store().string()), std::string::npos)
        << log.error().message();
      return false;
    }
    return content_of(**log).has_value();
  }

  [[nodiscard]] bool is_reported(const std::string& name, std::size_t at, unsigned bits);

  log_content sound_;
  scratch_directory directory_{memory_folder()};
};

TEST_F(damage_test, is_not_there_in_a_sound_store) {
  const auto done = storage::verify_store(store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->problems, 0U) << done->findings.at(0).what;
  EXPECT_EQ(done->records, 90U);
  EXPECT_EQ(done->streams, 4U);
  EXPECT_GT(done->pages, 5U);
  expect_harmless("nothing");
}

/// Flips bits of a byte, looks at what is said of it, and puts the byte back.
bool damage_test::is_reported(const std::string& name, std::size_t at, unsigned bits) {
  const auto file = store() / name;
  const auto what = name + " byte " + std::to_string(at) + " ^ " + std::to_string(bits);
  flip(file, at, bits);
  const auto flipped = fs::last_write_time(file);
  const auto done = storage::verify_store(store());
  EXPECT_TRUE(done) << what << ": " << done.error().message();
  const bool reported = done && done->problems != 0;
  if (reported) {
    const auto& found = done->findings.at(0);
    EXPECT_EQ(found.file, name) << what << ": " << found.what;
    EXPECT_LE(found.byte, fs::file_size(file)) << what << ": " << found.what;
    const auto place = found.position == log_position(0) ? store().string() : "position";
    EXPECT_NE(found.what.find(place), std::string::npos) << found.what;
    (void)opens_and_reads();
  } else {
    expect_harmless(what);
    constexpr std::size_t head = 160; // of a meta page, and of the lists of others
    if (name == "log/data.mdb" && at % page_size < head)
      expect_appends(what);
  }
  // Opening may have written store.id anew, and writes the meta pages again as they are.
  if (name != "store.id" || fs::last_write_time(file) == flipped)
    flip(file, at, bits);
  return reported;
}

TEST_F(damage_test, of_any_byte_is_reported_with_its_place_or_harmless_and_never_crashes) {
  // Most of a page is space between nodes: by default every eighth byte of a long stretch of it.
  const bool all = std::getenv("ACTA_LONG_TESTS") != nullptr;
  const std::size_t stretch = all ? std::numeric_limits<std::size_t>::max() : 64;
  constexpr std::size_t stride = 8;
  std::size_t reported = 0;
  for (const std::string name : {"log/data.mdb", "store.id"}) {
    const auto size = fs::file_size(store() / name);
    std::size_t harmless = 0; // bytes in a row
    for (std::size_t at = 0; at < size && !HasFailure(); ++at) {
      bool found = is_reported(name, at, 0xff);
      for (unsigned bit = 0; all && bit < 8; ++bit)
        found = is_reported(name, at, 1U << bit) || found;
      reported += found ? 1U : 0U;
      if (found && harmless > stretch)
        at -= stride; // it may have begun before
      harmless = found ? 0 : harmless + 1;
      if (harmless > stretch)
        at = std::min(at + stride, static_cast<std::size_t>(size)) - 1;
    }
  }
  EXPECT_GT(reported, 15'000U);
  expect_harmless("what was put back");
}

TEST_F(damage_test, of_what_is_derived_from_the_log_is_reported_with_its_file) {
  for (const std::string name : {"index", "snapshots"}) {
    fs::create_directory(store() / name);
    const auto file = store() / name / "data.mdb";
    fs::copy(data(), file);
    flip(file, 0);
    flip(file, 16); // no meta page's magic
    const auto done = storage::verify_store(store());
    ASSERT_TRUE(done) << done.error().message();
    ASSERT_NE(done->problems, 0U);
    EXPECT_EQ(done->findings[0].file, name + "/data.mdb");
    fs::remove(file);
  }
}

TEST_F(damage_test, of_any_page_of_the_index_is_reported_and_opening_makes_it_anew) {
  const stream_id order(category_id(1), 1);
  const auto open_and_read = [&] {
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    const auto index = storage::stream_index::open(**log, {.memory = 4'096}); // so it is written
    ASSERT_TRUE(index) << index.error().message();
    const auto snapshot = (*log)->snapshot();
    ASSERT_TRUE(snapshot);
    const auto events = (*index)->read(order, **snapshot);
    ASSERT_TRUE(events) << events.error().message();
    EXPECT_EQ(events->size(), 20U);
  };
  open_and_read();
  const auto file = store() / "index" / "data.mdb";
  constexpr std::size_t kind = 10;
  constexpr std::size_t lower = 13;
  std::size_t reported = 0;
  for (std::size_t page = 0; page * page_size < fs::file_size(file); ++page) {
    for (const auto at : {kind, lower}) {
      flip(file, page * page_size + at);
      const auto done = storage::verify_store(store());
      ASSERT_TRUE(done) << done.error().message();
      reported += done->problems != 0 ? 1U : 0U;
      open_and_read();
      const auto again = storage::verify_store(store());
      ASSERT_TRUE(again) << again.error().message();
      EXPECT_EQ(again->problems, 0U) << again->findings.at(0).what;
    }
  }
  EXPECT_GE(reported, 4U);
}

TEST_F(damage_test, of_the_whole_file_is_reported) {
  const auto expect_reported = [&](const std::string& what) {
    const auto done = storage::verify_store(store());
    ASSERT_TRUE(done) << what << ": " << done.error().message();
    EXPECT_NE(done->problems, 0U) << what;
    EXPECT_FALSE(storage::open_log(store(), small_map)) << what;
  };
  const auto size = fs::file_size(data());
  fs::resize_file(data(), size - 1);
  expect_reported("cut by a byte");
  fs::resize_file(data(), 5'000);
  expect_reported("cut within the second page");
  fs::resize_file(data(), 0);
  expect_reported("empty");
  std::ofstream(data()) << std::string(size, 'x');
  expect_reported("written over");
  fs::remove(data());
  expect_reported("missing");
}

TEST_F(damage_test, is_told_from_the_file_of_another_lmdb) {
  constexpr std::size_t version = 16 + 4;
  flip(data(), version, 3);
  flip(data(), page_size + version, 3);
  const auto opened = storage::open_log(store(), small_map);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), errc::newer_format) << opened.error().message();
  const auto done = storage::verify_store(store());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), errc::newer_format) << done.error().message();
}

TEST_F(damage_test, of_its_id_is_reported) {
  const auto expect_reported = [&](const std::string& text) {
    const auto done = storage::verify_store(store());
    ASSERT_TRUE(done) << done.error().message();
    ASSERT_EQ(done->problems, 1U);
    EXPECT_EQ(done->findings[0].file, "store.id");
    EXPECT_NE(done->findings[0].what.find(text), std::string::npos) << done->findings[0].what;
  };
  const auto file = store() / "store.id";
  fs::resize_file(file, 10);
  expect_reported("no id");
  std::ofstream(file) << std::string(32, 'a') << '\n';
  expect_reported("but the log is of store");
  fs::remove(file);
  expect_reported("missing");
}

TEST_F(damage_test, is_not_looked_for_in_a_store_that_is_open_or_none) {
  {
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log);
    const auto done = storage::verify_store(store());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), errc::store_in_use);
    EXPECT_NE(done.error().message().find("backup"), std::string::npos) << done.error().message();
  }
  const auto none = storage::verify_store(store() / "none");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), errc::not_found);
  const auto folder = storage::verify_store(store().parent_path());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code(), errc::foreign_store);
  EXPECT_FALSE(fs::exists(store().parent_path() / "writer.lock")) << "nothing is left there";
}

/// A store of more pages than opening checks: those that lead to others, and the last.
TEST_F(damage_test, of_a_large_store_is_found_at_opening_where_it_leads_astray) {
  const auto large = directory_.path() / "large";
  const storage::log_options options{.map_size = std::size_t{1} << 30U};
  constexpr std::uint64_t small = 30'000; // three levels of pages
  {
    const auto log = storage::open_log(large, options);
    ASSERT_TRUE(log) << log.error().message();
    ASSERT_TRUE((*log)->register_category("order"));
    ASSERT_TRUE((*log)->register_event_type("submitted"));
    std::vector<finished_record> records;
    const std::string payload(std::size_t{1} << 20U, 'x');
    for (std::uint64_t i = 1; i <= 64; ++i)
      records.emplace_back(stream_id(category_id(1), 1), i, payload);
    for (std::uint64_t i = 1; i <= small; ++i)
      records.emplace_back(stream_id(category_id(1), 2), i, "payload");
    std::vector<std::span<const std::byte>> spans;
    for (const auto& record : records)
      spans.push_back(record.bytes());
    ASSERT_TRUE((*log)->append(spans, 1'000));
  }
  const auto file = large / "log" / "data.mdb";
  ASSERT_GT(fs::file_size(file) / page_size, limits::max_pages_checked_at_open);
  const auto sound = storage::verify_store(large);
  ASSERT_TRUE(sound) << sound.error().message();
  EXPECT_EQ(sound->problems, 0U) << sound->findings.at(0).what;
  EXPECT_EQ(sound->records, small + 64);
  ASSERT_TRUE(storage::open_log(large, options));
  const auto fresh = directory_.path() / "fresh"; // in more than one commit
  const auto repaired = storage::repair_log(large, fresh);
  ASSERT_TRUE(repaired) << repaired.error().message();
  EXPECT_EQ(repaired->kept, log_position(small + 64));
  const auto again = storage::verify_store(fresh);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->problems, 0U) << again->findings.at(0).what;
  EXPECT_EQ(again->records, small + 64);
  // The kind of pages of a tree: branches, leaves.
  std::array<std::uint64_t, 2> refused{};
  std::array<std::uint64_t, 2> missed{};
  const int descriptor = ::open(file.c_str(), O_RDWR);
  for (std::size_t page = 2; page < fs::file_size(file) / page_size; ++page) {
    std::array<unsigned char, 16> head{};
    const auto at = static_cast<off_t>(page * page_size);
    ASSERT_EQ(::pread(descriptor, head.data(), head.size(), at), 16);
    std::uint64_t number = 0;
    std::memcpy(&number, head.data(), sizeof number);
    if (number != page || (head[10] != 1 && head[10] != 2))
      continue;
    const bool is_leaf = head[10] == 2;
    if (is_leaf && page % 16 != 0)
      continue;
    flip(file, page * page_size + 10);
    ++(storage::open_log(large, options) ? missed : refused)[is_leaf ? 1 : 0];
    flip(file, page * page_size + 10);
  }
  ::close(descriptor);
  EXPECT_GE(refused[0], 4U);
  EXPECT_EQ(missed[0], 0U) << "branches lead to other pages";
  EXPECT_GE(refused[1], 30U) << "of the last leaves";
}

/// Pages as LMDB leaves them after all that can be done to a database: nothing is found in them.
TEST_F(damage_test, is_not_seen_in_what_lmdb_itself_makes) {
  const int rounds = std::getenv("ACTA_LONG_TESTS") != nullptr ? 2'000 : 150;
  const auto folder = store() / "snapshots"; // where databases of other names are another layout's
  fs::create_directory(folder);
  MDB_env* raw = nullptr;
  ASSERT_EQ(mdb_env_create(&raw), 0);
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> env(raw, mdb_env_close);
  ASSERT_EQ(mdb_env_set_maxdbs(raw, 4), 0);
  ASSERT_EQ(mdb_env_set_mapsize(raw, std::size_t{1} << 30U), 0);
  ASSERT_EQ(mdb_env_open(raw, folder.c_str(), MDB_NOSYNC | MDB_NOTLS, 0644), 0);
  std::mt19937_64 random(1);
  MDB_txn* reader = nullptr;
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    MDB_txn* writer = nullptr;
    ASSERT_EQ(mdb_txn_begin(raw, nullptr, 0, &writer), 0);
    MDB_dbi text = 0;
    MDB_dbi numbers = 0;
    ASSERT_EQ(mdb_dbi_open(writer, "text", MDB_CREATE, &text), 0);
    ASSERT_EQ(mdb_dbi_open(writer, "numbers", MDB_CREATE | MDB_INTEGERKEY, &numbers), 0);
    const bool emptied = random() % 40 == 0;
    if (emptied) {
      ASSERT_EQ(mdb_drop(writer, random() % 2 == 0 ? text : numbers, 0), 0);
    }
    for (auto changes = random() % 400; changes > 0; --changes) {
      std::uint64_t number = random() % 3'000;
      std::string name = std::string(random() % 4 == 0 ? 400 : 1, 'k') + std::to_string(number);
      std::string bytes(random() % 10 == 0 ? random() % 20'000 : random() % 300, 'v');
      const bool named = random() % 2 == 0;
      MDB_val key{named ? name.size() : sizeof number,
                  named ? static_cast<void*>(name.data()) : &number};
      MDB_val value{bytes.size(), bytes.data()};
      const auto database = named ? text : numbers;
      const int code = random() % 5 < 2 ? mdb_del(writer, database, &key, nullptr)
                                        : mdb_put(writer, database, &key, &value, 0);
      ASSERT_TRUE(code == 0 || code == MDB_NOTFOUND) << mdb_strerror(code);
    }
    ASSERT_EQ(mdb_txn_commit(writer), 0);
    if (reader != nullptr && random() % 3 == 0)
      mdb_txn_abort(std::exchange(reader, nullptr));
    if (reader == nullptr && random() % 3 == 0) { // old pages stay
      ASSERT_EQ(mdb_txn_begin(raw, nullptr, MDB_RDONLY, &reader), 0);
    }
    MDB_envinfo info{};
    ASSERT_EQ(mdb_env_info(raw, &info), 0);
    const auto size = (info.me_last_pgno + 1) * page_size; // LMDB leaves out what was never used
    if (fs::file_size(folder / "data.mdb") < size)
      fs::resize_file(folder / "data.mdb", size);
    const auto done = storage::verify_store(store());
    ASSERT_TRUE(done) << done.error().message();
    ASSERT_EQ(done->problems, 0U) << done->findings.at(0).what;
  }
  if (reader != nullptr)
    mdb_txn_abort(reader);
}

} // namespace
} // namespace acta::tests
