// A store that is opened for reading, beside the process that writes it.
#include "../support/child_process.hpp"
#include "../support/raw_store.hpp"
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>

#include <array>
#include <fstream>
#include <string>
#include <thread>
#include <type_traits>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::open_log;
using storage::open_log_for_reading;

class reading_log : public ::testing::Test {
protected:
  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }

  static void append(storage::event_log& log, std::uint64_t version) {
    const finished_record record(stream_id(category_id(1), 7), version, "event");
    const std::array all{record.bytes()};
    const auto appended = log.append(all, 1'000);
    ASSERT_TRUE(appended) << appended.error().message();
  }
  void fill(std::uint64_t count) const {
    auto log = open_log(store()).value();
    for (std::uint64_t version = 1; version <= count; ++version)
      append(*log, version);
  }
  void expect_refused(errc code, const std::string& part) const {
    const auto opened = open_log_for_reading(store());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), code) << opened.error().message();
    EXPECT_NE(opened.error().message().find(part), std::string::npos) << opened.error().message();
    EXPECT_EQ(opened.error().message().find('\n'), std::string::npos) << "one line";
  }
  [[nodiscard]] std::string bytes() const {
    std::ifstream in(store() / "log" / "data.mdb", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  scratch_directory directory_;
};

// D86
TEST_F(reading_log, shows_what_another_process_appends_and_names_while_it_does) {
  auto writer = open_log(store()).value();
  ASSERT_TRUE(writer->register_category("order"));
  append(*writer, 1);
  const step opened;
  const step written;
  std::thread second([&] {
    opened.wait();
    append(*writer, 2);
    append(*writer, 3);
    EXPECT_TRUE(writer->register_category("account"));
    EXPECT_TRUE(writer->register_event_type("closed"));
    written.done();
  });
  EXPECT_EQ(in_child([&] {
              const auto log = open_log_for_reading(store());
              if (!log || (*log)->tail() != log_position(1))
                return 1;
              const auto snapshot = (*log)->snapshot();
              opened.done();
              written.wait();
              if ((*log)->tail() != log_position(3) || (*snapshot)->tail() != log_position(1)
                  || !(*snapshot)->refresh() || (*snapshot)->tail() != log_position(3))
                return 2;
              if (!(*snapshot)->at(log_position(3))->verify())
                return 3;
              if ((*log)->category_name(category_id(1)) != "order"
                  || (*log)->category_name(category_id(2)) != "account"
                  || (*log)->event_type_name(event_type_id(1)) != "closed"
                  || !(*log)->event_type_name(event_type_id(2)).empty())
                return 4;
              const auto index = storage::stream_index::open(**log);
              return index && (*index)->watermark() == log_position(3) ? 0 : 5;
            }),
            0);
  second.join();
}

TEST_F(reading_log, is_const_so_that_nothing_can_be_appended) {
  fill(2);
  const auto before = bytes();
  {
    const auto log = open_log_for_reading(store());
    ASSERT_TRUE(log) << log.error().message();
    static_assert(
      std::is_same_v<decltype(log), const result<std::unique_ptr<const storage::event_log>>>);
    EXPECT_EQ((*log)->tail(), log_position(2));
    EXPECT_EQ((*log)->directory(), "") << "nothing is written beside it";
    EXPECT_EQ((*log)->store_id().size(), 32U);
    EXPECT_EQ((*log)->durability(), storage::durability::process);
    EXPECT_EQ((*log)->synced_tail(), log_position(0));
  }
  EXPECT_EQ(bytes(), before);
}

TEST_F(reading_log, does_not_keep_a_writer_out) {
  fill(2);
  const auto log = open_log_for_reading(store()).value();
  EXPECT_EQ(in_child([&] {
              auto writer = open_log(store());
              if (!writer)
                return 1;
              append(**writer, 3);
              return 0;
            }),
            0);
  EXPECT_EQ(log->tail(), log_position(3));
}

TEST_F(reading_log, is_open_once_a_process) {
  auto writer = open_log(store()).value();
  expect_refused(errc::store_in_use, "open in this process already");
  writer.reset();
  const auto reader = open_log_for_reading(store());
  ASSERT_TRUE(reader);
  expect_refused(errc::store_in_use, "open in this process already");
  const auto second = open_log(store());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), errc::store_in_use) << second.error().message();
}

/// Gives this process mounts of its own, and a file system on `at`.
[[nodiscard]] bool mount_on(const fs::path& at) {
  const auto user = ::geteuid();
  const auto group = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    return false;
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  return ::mount("none", at.c_str(), "tmpfs", 0, nullptr) == 0;
}

TEST_F(reading_log, works_where_nothing_can_be_written) {
  fill(3);
  const auto disk = directory_.path() / "disk";
  fs::create_directory(disk);
  const int status = in_child([&] {
    if (!mount_on(disk))
      return 77;
    const auto copy = disk / "store";
    fs::copy(store(), copy, fs::copy_options::recursive);
    fs::remove(copy / "log" / "lock.mdb");
    if (::mount(nullptr, disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return 77;
    const auto log = open_log_for_reading(copy);
    if (!log || std::ofstream(copy / "writer.lock").is_open())
      return 1;
    const auto snapshot = (*log)->snapshot();
    return snapshot && (*snapshot)->at(log_position(3))->verify() ? 0 : 2;
  });
  if (status == 77)
    GTEST_SKIP() << "this user may not mount";
  EXPECT_EQ(status, 0);
}

TEST_F(reading_log, is_not_made_where_there_is_none) {
  expect_refused(errc::not_found, "no Acta store");
  EXPECT_FALSE(fs::exists(store()));
  std::ofstream(store()) << "text";
  expect_refused(errc::not_found, "no Acta store");
  fs::remove(store());
  fs::create_directories(store() / "log");
  std::ofstream(store() / "log" / "data.mdb").flush();
  expect_refused(errc::not_found, "or an empty one");
}

TEST_F(reading_log, is_refused_as_for_writing_if_it_is_not_its_store) {
  fill(1);
  put_raw(store(), "meta", "format",
          std::string("ACTALOG\0", 8) + std::string("\x63\0\0\0", 4) + "\x04\x03\x02\x01");
  expect_refused(errc::newer_format, "has format 99");
  put_raw(store(), "meta", "format", "something else");
  expect_refused(errc::foreign_store, "not the log of an Acta store");
  fs::resize_file(store() / "log" / "data.mdb", 0);
  expect_refused(errc::corrupt, "is missing or empty");
  std::ofstream(store() / "log" / "data.mdb") << std::string(65'536, 'x');
  expect_refused(errc::corrupt, "data.mdb");
}

TEST_F(reading_log, reads_what_was_written_with_any_map_size) {
  {
    auto log = open_log(store(), {.map_size = std::size_t{64} * 4096}).value();
    append(*log, 1);
  }
  const auto reader = open_log_for_reading(store()).value();
  EXPECT_EQ(in_child([&] {
              auto writer = open_log(store());
              for (std::uint64_t version = 2; version <= 1'000; ++version)
                append(**writer, version);
              return 0;
            }),
            0);
  EXPECT_EQ(reader->tail(), log_position(1'000));
  EXPECT_TRUE((*reader->snapshot())->at(log_position(1'000))->verify());
}

} // namespace
} // namespace acta::tests
