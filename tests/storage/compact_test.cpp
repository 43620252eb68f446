// compact(): the files get smaller, and what is in them stays.
#include "../support/child_process.hpp"
#include "../support/damaged_store.hpp"
#include "../support/raw_store.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/compact.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/statistics.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::compact;
using storage::open_log;
using storage::open_log_for_reading;

class compact_test : public ::testing::Test {
protected:
  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path data() const { return store() / "log" / "data.mdb"; }

  /// A store whose log has free pages, as a reader had kept them from being used again.
  void SetUp() override {
    make_small_store(store(), 1);
    if (HasFatalFailure())
      return;
    const auto log = open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    const auto held = (*log)->snapshot();
    ASSERT_TRUE(held) << held.error().message();
    for (std::uint64_t i = 1; i <= 200; ++i) {
      const finished_record record(stream_id(category_id(1), 7), i, "submitted");
      const std::array records{record.bytes()};
      ASSERT_TRUE((*log)->append(records, 2'000));
    }
    const std::vector<std::byte> schema(20'000, std::byte{7});
    const auto spare = (*log)->register_event_type("spare");
    ASSERT_EQ(spare, event_type_id(4));
    const storage::event_schema one{*spare, schema};
    ASSERT_TRUE((*log)->put_schemas({&one, 1}));
  }

  [[nodiscard]] log_content content() const {
    const auto log = open_log(store(), small_map);
    EXPECT_TRUE(log) << log.error().message();
    auto read = content_of(**log);
    EXPECT_TRUE(read) << read.error().message();
    read->names.emplace_back((*log)->store_id());
    const auto schema = (*log)->schema(event_type_id(4));
    EXPECT_TRUE(schema);
    read->names.emplace_back(text_of(*schema));
    return std::move(*read);
  }
  void expect_sound() const {
    const auto done = storage::verify_store(store());
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->problems, 0U) << done->findings.at(0).what;
    EXPECT_FALSE(fs::exists(store() / "log" / "compacting"));
  }
  void expect_refused(errc code, const std::string& part) const {
    std::ifstream before_file(data(), std::ios::binary);
    const std::string before{std::istreambuf_iterator<char>(before_file), {}};
    const auto done = compact(store());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), code) << done.error().message();
    EXPECT_NE(done.error().message().find(part), std::string::npos) << done.error().message();
    std::ifstream after_file(data(), std::ios::binary);
    const std::string after{std::istreambuf_iterator<char>(after_file), {}};
    EXPECT_TRUE(before == after) << "the log stays as it was";
    EXPECT_FALSE(fs::exists(store() / "log" / "compacting"));
  }

  scratch_directory directory_{memory_folder()};
};

TEST_F(compact_test, gives_free_pages_back_and_keeps_all_that_is_there) {
  const auto before = content();
  const auto size = fs::file_size(data());
  std::uint64_t checked = 0;
  const auto done =
    compact(store(), {.progress = [&](std::uint64_t at, std::uint64_t /*of*/) { checked = at; }});
  ASSERT_TRUE(done) << done.error().message();
  ASSERT_EQ(done->size(), 1U);
  EXPECT_EQ(done->front().name, "log/data.mdb");
  EXPECT_EQ(done->front().before, size);
  EXPECT_EQ(done->front().after, fs::file_size(data()));
  EXPECT_LT(fs::file_size(data()), size / 4);
  EXPECT_EQ(checked, 203U) << "each record of the copy was looked at";
  expect_sound();
  EXPECT_TRUE(content() == before);
  const auto log = open_log(store(), small_map);
  ASSERT_TRUE(log);
  const auto made_of = storage::statistics(**log);
  ASSERT_TRUE(made_of);
  EXPECT_EQ(made_of->free_pages, 0U);
}

TEST_F(compact_test, leaves_a_store_that_goes_on_and_can_be_compacted_again) {
  ASSERT_TRUE(compact(store()));
  const auto once = fs::file_size(data());
  for (std::uint64_t i = 201; i <= 210; ++i) {
    const auto log = open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    const finished_record record(stream_id(category_id(1), 7), i, "submitted");
    const std::array records{record.bytes()};
    ASSERT_TRUE((*log)->append(records, 3'000));
  }
  expect_sound();
  const auto before = content();
  ASSERT_TRUE(compact(store()));
  EXPECT_LE(fs::file_size(data()), once + 4'096);
  EXPECT_TRUE(content() == before);
  ASSERT_TRUE(compact(store())) << "also where nothing is free";
  EXPECT_TRUE(content() == before);
}

TEST_F(compact_test, works_on_a_log_without_events) {
  const auto empty = directory_.path() / "empty";
  ASSERT_TRUE(open_log(empty, small_map));
  const auto done = compact(empty);
  ASSERT_TRUE(done) << done.error().message();
  const auto log = open_log(empty, small_map);
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ((*log)->tail(), log_position(0));
}

TEST_F(compact_test, compacts_index_and_snapshots_too_and_they_are_used_as_before) {
  const stream_id order(category_id(1), 7);
  {
    const auto log = open_log(store(), small_map);
    ASSERT_TRUE(log);
    const auto index = storage::stream_index::open(**log, {.memory = 4'096}); // so it is written
    ASSERT_TRUE(index) << index.error().message();
    const auto snapshots = storage::open_snapshots(**log, {.keep = 1});
    ASSERT_TRUE(snapshots) << snapshots.error().message();
    const auto now = (*log)->snapshot();
    for (std::uint64_t i = 1; i <= 100; ++i) { // each takes the place of the one before
      const auto record = (*now)->at(log_position(i + 3));
      ASSERT_TRUE(record);
      const std::vector<std::byte> state(i * 500, std::byte{1});
      const storage::snapshot_to_save one{.stream = order,
                                          .snapshot = {.version = stream_version(i),
                                                       .position = log_position(i + 3),
                                                       .event_checksum = record->header().checksum,
                                                       .state = state}};
      ASSERT_TRUE((*snapshots)->save({&one, 1}));
    }
  }
  const auto before = fs::file_size(store() / "snapshots" / "data.mdb");
  const auto done = compact(store());
  ASSERT_TRUE(done) << done.error().message();
  ASSERT_EQ(done->size(), 3U);
  EXPECT_EQ(done->at(1).name, "index/data.mdb");
  EXPECT_EQ(done->at(2).name, "snapshots/data.mdb");
  EXPECT_LT(fs::file_size(store() / "snapshots" / "data.mdb"), before);
  expect_sound();
  const auto log = open_log(store(), small_map);
  ASSERT_TRUE(log);
  const auto index = storage::stream_index::open(**log);
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_GT((*index)->stored_watermark(), log_position(150)) << "it was not made anew";
  const auto now = (*log)->snapshot();
  const auto events = (*index)->read(order, **now);
  ASSERT_TRUE(events) << events.error().message();
  EXPECT_EQ(events->size(), 200U);
  std::size_t found = 0;
  const auto snapshots = storage::open_snapshots(**log);
  ASSERT_TRUE(snapshots) << snapshots.error().message();
  ASSERT_TRUE((*snapshots)->read(order, {}, [&](const auto& one) {
    found += one && one->state.size() == 50'000 ? 1U : 0U;
    return true;
  }));
  EXPECT_EQ(found, 1U);
}

TEST_F(compact_test, is_refused_while_the_store_is_open) {
  {
    const auto log = open_log(store(), small_map);
    ASSERT_TRUE(log);
    expect_refused(errc::store_in_use, std::to_string(::getpid()));
  }
  const auto reader = open_log_for_reading(store());
  ASSERT_TRUE(reader);
  expect_refused(errc::store_in_use, "open in this process already");
}

/// Two numbers that a process and its child see.
struct shared_counts {
  std::atomic<int> opened{0};
  std::atomic<bool> stop{false};
};

/// In memory that is shared with children.
[[nodiscard]] shared_counts* make_shared_counts() {
  void* const memory = ::mmap(nullptr, sizeof(shared_counts), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(memory, MAP_FAILED);
  return new (memory) shared_counts;
}

TEST_F(compact_test, is_refused_while_another_process_reads_and_names_it) {
  const step opened;
  const step refused;
  const auto child = ::fork();
  if (child == 0) {
    const auto log = open_log_for_reading(store());
    opened.done();
    refused.wait();
    ::_exit(log && (*log)->tail() == log_position(203) ? 0 : 1);
  }
  opened.wait();
  expect_refused(errc::store_in_use, "process " + std::to_string(child) + " (");
  refused.done();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(compact(store()));
}

/// A reader that opens the store at any moment of it sees the store.
TEST_F(compact_test, is_not_seen_by_who_opens_the_store_for_reading_meanwhile) {
  auto* const counts = make_shared_counts();
  const auto child = ::fork();
  if (child == 0) {
    int wrong = 0;
    while (!counts->stop && wrong == 0) {
      auto log = open_log_for_reading(store());
      const auto read = log ? content_of(**log) : result<log_content>(failure(log));
      wrong = read && read->records.size() == 203 ? 0 : 1;
      ++counts->opened;
    }
    ::_exit(wrong);
  }
  const auto file_number = [&] {
    struct stat found{};
    EXPECT_EQ(::stat(data().c_str(), &found), 0);
    return found.st_ino;
  };
  int compacted = 0;
  int status = 0;
  for (int tries = 0; (compacted < 30 || counts->opened < 30) && tries < 100'000; ++tries) {
    const auto before = file_number();
    const auto done = compact(store());
    EXPECT_TRUE(done || done.error().code() == errc::store_in_use) << done.error().message();
    EXPECT_EQ(done.has_value(), file_number() != before);
    compacted += done ? 1 : 0;
  }
  counts->stop = true;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_GE(compacted, 30);
  expect_sound();
  ::munmap(counts, sizeof *counts);
}

TEST_F(compact_test, is_refused_where_a_page_or_a_record_is_damaged) {
  ASSERT_TRUE(compact(store())) << "so that what is found is in use";
  std::ifstream in(data(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto record = bytes.rfind("submitted");
  ASSERT_NE(record, std::string::npos);
  flip(data(), record);
  expect_refused(errc::corrupt, "checksum");
  flip(data(), record);
  constexpr std::size_t page_size = 4'096;
  constexpr std::size_t lower = 12; // where the list of nodes ends
  const auto leaf = record / page_size * page_size;
  flip(data(), leaf + lower);
  expect_refused(errc::corrupt, "page " + std::to_string(leaf / page_size));
  flip(data(), leaf + lower);
  EXPECT_TRUE(compact(store()));
}

TEST_F(compact_test, is_refused_before_the_log_is_touched_where_the_index_is_damaged) {
  {
    const auto log = open_log(store(), small_map);
    ASSERT_TRUE(log);
    ASSERT_TRUE(storage::stream_index::open(**log, {.memory = 1}));
  }
  const auto index = store() / "index" / "data.mdb";
  fs::resize_file(index, fs::file_size(index) / 2);
  expect_refused(errc::corrupt, index.string());
  fs::remove_all(store() / "index");
  EXPECT_TRUE(compact(store()));
}

TEST_F(compact_test, keeps_who_may_read_the_file) {
  fs::permissions(data(), fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(compact(store()));
  EXPECT_EQ(fs::status(data()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(compact_test, is_refused_where_there_is_no_store) {
  const auto none = compact(directory_.path() / "none");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), errc::not_found);
  const auto foreign = compact(directory_.path());
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code(), errc::foreign_store);
}

TEST_F(compact_test, leaves_nothing_that_opening_does_not_remove) {
  const auto before = content();
  for (const auto* name : {"log", "index", "snapshots"}) {
    fs::create_directories(store() / name / "compacting");
    std::ofstream(store() / name / "compacting" / "data.mdb") << "half of it";
  }
  {
    const auto reader = open_log_for_reading(store());
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_TRUE(fs::exists(store() / "log" / "compacting")) << "a reader changes nothing";
  }
  {
    const auto log = open_log(store(), small_map);
    ASSERT_TRUE(log) << log.error().message();
    ASSERT_TRUE(storage::stream_index::open(**log));
    ASSERT_TRUE(storage::open_snapshots(**log));
  }
  for (const auto* name : {"log", "index", "snapshots"})
    EXPECT_FALSE(fs::exists(store() / name / "compacting")) << name;
  EXPECT_TRUE(content() == before);
}

/// What a process leaves that was killed at durability `process`.
TEST_F(compact_test, begins_with_the_recovery_that_a_killed_process_needs) {
  EXPECT_EQ(in_child([&] {
              auto log = open_log(store(), {.durability = storage::durability::process});
              const finished_record record(stream_id(category_id(1), 7), 201, "submitted");
              const std::array records{record.bytes()};
              if (!log || !(*log)->append(records, 3'000))
                return 1;
              ::_exit(0); // closes nothing
            }),
            0);
  ASSERT_TRUE(fs::exists(store() / "log" / "synced"));
  const auto done = compact(store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(fs::exists(store() / "log" / "synced"));
  expect_sound();
  EXPECT_EQ(content().records.size(), 204U);
}

} // namespace
} // namespace acta::tests
