#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <thread>

/// Durability `process`. What becomes of unsynced pages is tests/crash's business.
namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using storage::durability;
using storage::log_options;
using storage::open_log;

namespace fs = std::filesystem;

constexpr log_options hardly_ever{.durability = durability::process, .sync_every = 1h};
constexpr log_options often{.durability = durability::process, .sync_every = 1ms};

void append(storage::event_log& log, std::uint64_t version) {
  const finished_record record(stream_id(category_id(1), 7), version, "event");
  const std::array all{record.bytes()};
  const auto appended = log.append(all, 1'000);
  ASSERT_TRUE(appended) << appended.error().message();
}

class process_test : public ::testing::Test {
protected:
  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path copy() const { return directory_.path() / "copy"; }
  [[nodiscard]] fs::path synced_file(const fs::path& of) const { return of / "log" / "synced"; }

  /// The store as the kernel has it, as if the process were killed now.
  void kill_copy() const {
    fs::remove_all(copy());
    fs::copy(store(), copy(), fs::copy_options::recursive);
  }

  /// As if the machine had been started since `synced` was written.
  void start_machine_again() const {
    std::fstream file(synced_file(copy()), std::ios::in | std::ios::out | std::ios::binary);
    for (const auto at : {std::streamoff{0}, std::streamoff{4096}}) {
      std::array<char, 224> slot{};
      file.seekg(at);
      file.read(slot.data(), slot.size());
      slot[16] = slot[16] == 'x' ? 'y' : 'x'; // in the boot id
      const auto checksum = XXH3_64bits(slot.data(), slot.size() - sizeof(std::uint64_t));
      if (slot[0] == 'A')
        std::memcpy(slot.data() + slot.size() - sizeof checksum, &checksum, sizeof checksum);
      file.seekp(at);
      file.write(slot.data(), slot.size());
    }
    ASSERT_TRUE(file.good());
  }

  [[nodiscard]] std::uint64_t tail_of_copy() const {
    auto log = open_log(copy());
    EXPECT_TRUE(log) << log.error().message();
    return log ? (*log)->tail().value() : 0;
  }

private:
  scratch_directory directory_;
};

TEST_F(process_test, is_the_level_a_store_was_opened_at) {
  EXPECT_EQ(open_log(store(), hardly_ever).value()->durability(), durability::process);
  EXPECT_EQ(open_log(store()).value()->durability(), durability::power);
}

TEST_F(process_test, commits_before_it_syncs) {
  auto log = open_log(store(), hardly_ever).value();
  append(*log, 1);
  EXPECT_EQ(log->tail(), log_position(1));
  EXPECT_EQ(log->synced_tail(), log_position(0));
}

TEST_F(process_test, syncs_what_was_committed_without_being_asked) {
  auto log = open_log(store(), often).value();
  append(*log, 1);
  while (log->synced_tail() != log_position(1)) // ends with the background sync, or never
    std::this_thread::yield();
}

TEST_F(process_test, syncs_the_last_commit_when_it_is_closed) {
  {
    auto log = open_log(store(), hardly_ever).value();
    append(*log, 1);
  }
  EXPECT_FALSE(fs::exists(synced_file(store()))) << "it ended well";
  EXPECT_EQ(open_log(store(), hardly_ever).value()->synced_tail(), log_position(1));
}

TEST_F(process_test, loses_nothing_when_the_process_is_killed) {
  auto log = open_log(store(), hardly_ever).value();
  append(*log, 1);
  append(*log, 2);
  kill_copy();
  EXPECT_EQ(tail_of_copy(), 2U);
  EXPECT_FALSE(fs::exists(synced_file(copy())));
}

TEST_F(process_test, goes_back_to_the_last_sync_when_the_machine_was_started_since) {
  {
    auto log = open_log(store()).value();
    append(*log, 1);
  }
  auto log = open_log(store(), hardly_ever).value();
  for (std::uint64_t version = 2; version < 100; ++version)
    append(*log, version);
  kill_copy();
  start_machine_again();
  EXPECT_EQ(tail_of_copy(), 1U);
  auto goes_on = open_log(copy()).value();
  append(*goes_on, 2);
  EXPECT_EQ(goes_on->tail(), log_position(2));
}

TEST_F(process_test, is_not_read_before_it_was_taken_back) {
  auto log = open_log(store(), hardly_ever).value();
  append(*log, 1);
  kill_copy();
  EXPECT_EQ(storage::open_log_for_reading(copy()).value()->tail(), log_position(1));
  start_machine_again();
  const auto refused = storage::open_log_for_reading(copy());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::io);
  EXPECT_NE(refused.error().message().find("open it for writing once"), std::string::npos);
  EXPECT_EQ(tail_of_copy(), 0U);
  EXPECT_TRUE(storage::open_log_for_reading(copy()));
}

TEST_F(process_test, goes_by_the_newer_slot) {
  auto log = open_log(store(), often).value();
  for (std::uint64_t version = 1; version < 5; ++version) {
    append(*log, version);
    while (log->synced_tail() != log_position(version))
      std::this_thread::yield();
  }
  kill_copy();
  start_machine_again();
  EXPECT_EQ(tail_of_copy(), 4U);
}

TEST_F(process_test, opens_where_making_the_file_was_cut) {
  {
    auto log = open_log(store()).value();
    append(*log, 1);
  }
  kill_copy();
  std::ofstream(synced_file(copy())) << "ACTA";
  EXPECT_EQ(tail_of_copy(), 1U);
}

TEST_F(process_test, is_not_for_a_level_or_interval_that_does_not_exist) {
  const auto memory = open_log(store(), {.durability = durability::memory});
  ASSERT_FALSE(memory);
  EXPECT_NE(memory.error().message().find("make_memory_log()"), std::string::npos);
  const auto never = open_log(store(), {.durability = durability::process, .sync_every = 0ms});
  ASSERT_FALSE(never);
  EXPECT_NE(never.error().message().find("sync_every is 0 ms"), std::string::npos);
}

} // namespace
} // namespace acta::tests
