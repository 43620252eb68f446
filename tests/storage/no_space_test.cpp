// A full device, made by standing between LMDB and the kernel's writes.
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>

namespace {

/// Writes that still succeed; below 0 all do.
std::atomic<long> writes_left = -1;

bool may_write() {
  if (writes_left.load() < 0)
    return true;
  if (writes_left.load() == 0) {
    errno = ENOSPC;
    return false;
  }
  --writes_left;
  return true;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

} // namespace

// In place of the C library's, also for liblmdb.
extern "C" ssize_t pwrite(int file, const void* from, std::size_t size, off_t at) {
  static auto* const next = real<decltype(pwrite)>("pwrite");
  return may_write() ? next(file, from, size, at) : -1;
}
extern "C" ssize_t pwrite64(int file, const void* from, std::size_t size, off_t at) {
  static auto* const next = real<decltype(pwrite)>("pwrite64");
  return may_write() ? next(file, from, size, at) : -1;
}
extern "C" ssize_t pwritev(int file, const iovec* from, int count, off_t at) {
  static auto* const next = real<decltype(pwritev)>("pwritev");
  return may_write() ? next(file, from, count, at) : -1;
}
extern "C" ssize_t pwritev64(int file, const iovec* from, int count, off_t at) {
  static auto* const next = real<decltype(pwritev)>("pwritev64");
  return may_write() ? next(file, from, count, at) : -1;
}

namespace acta::tests {
namespace {

/// Fails the n-th write of an append, for every n until the append needs no more: each time nothing
/// of it is stored, all before it is, and the store goes on once there is room.
TEST(no_space, loses_nothing_that_was_stored_whichever_write_fails) {
  const scratch_directory directory;
  const auto store = directory.path() / "store";
  const stream_id stream(category_id(1), 1);
  std::uint64_t stored = 0;
  bool failed = true;
  for (long writes = 0; failed; ++writes) {
    ASSERT_LT(writes, 100);
    auto log = storage::open_log(store);
    ASSERT_TRUE(log) << log.error().message();
    ASSERT_EQ((*log)->tail(), log_position(stored));
    const finished_record before(stream, stored + 1, "before");
    const std::array one{before.bytes()};
    ASSERT_TRUE((*log)->append(one, 1'000));
    ++stored;
    std::vector<finished_record> many;
    std::vector<std::span<const std::byte>> spans;
    for (std::uint64_t i = 1; i <= 200; ++i)
      many.emplace_back(stream, stored + i, std::string(500, 'x'));
    for (const auto& record : many)
      spans.push_back(record.bytes());
    writes_left = writes;
    const auto appended = (*log)->append(spans, 1'000);
    writes_left = -1;
    failed = !appended;
    if (failed) {
      EXPECT_EQ(appended.error().code(), errc::no_space) << appended.error().message();
      EXPECT_NE(appended.error().message().find("free space"), std::string::npos);
      EXPECT_EQ((*log)->tail(), log_position(stored));
    } else {
      stored += many.size();
      EXPECT_GT(writes, 1) << "the writes were not intercepted";
    }
  }
  const auto log = storage::open_log(store);
  ASSERT_TRUE(log);
  EXPECT_EQ((*log)->tail(), log_position(stored));
  const auto snapshot = (*log)->snapshot();
  for (std::uint64_t at = 1; at <= stored; ++at) {
    const auto record = (*snapshot)->at(log_position(at));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->version(), stream_version(at));
    EXPECT_TRUE(record->verify());
  }
}

/// Fails the n-th write of making a store, for every n: what is left of it can be opened.
TEST(no_space, is_said_when_a_store_cannot_be_made) {
  bool failed = true;
  for (long writes = 0; failed; ++writes) {
    ASSERT_LT(writes, 100);
    const scratch_directory directory;
    writes_left = writes;
    const auto opened = storage::open_log(directory.path() / "store");
    writes_left = -1;
    failed = !opened;
    if (failed) {
      EXPECT_EQ(opened.error().code(), errc::no_space) << opened.error().message();
      EXPECT_TRUE(storage::open_log(directory.path() / "store")) << "and it is made later";
    } else {
      EXPECT_GT(writes, 2) << "the writes were not intercepted";
    }
  }
}

TEST(no_space, keeps_no_store_from_being_opened) {
  const scratch_directory directory;
  const auto store = directory.path() / "store";
  ASSERT_TRUE(storage::open_log(store));
  std::filesystem::remove(store / "store.id");
  writes_left = 0;
  const auto opened = storage::open_log(store);
  writes_left = -1;
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
}

} // namespace
} // namespace acta::tests
