// A store copied while it is written.
#include "../support/any_log.hpp"
#include "../support/child_process.hpp"
#include "../support/raw_store.hpp"
#include "../support/stores.hpp"

#include <acta/storage/backup.hpp>
#include <acta/storage/statistics.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using storage::back_up;

class backup_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    fill_with_everything(*log);
  }
  [[nodiscard]] bool in_memory() const { return GetParam() == storage::durability::memory; }
  [[nodiscard]] fs::path copy() const { return other_.path() / "copy"; }

  void back_up_all() {
    while (log->synced_tail() != log->tail()) // at `process`, which syncs in the background
      std::this_thread::yield();
    const auto done = back_up(*log, copy());
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->after, log->tail());
  }
  void expect_refused(errc code, const std::string& part) {
    const auto done = back_up(*log, copy());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), code) << done.error().message();
    EXPECT_NE(done.error().message().find(part), std::string::npos) << done.error().message();
  }
  void expect_copy_is_same() {
    const auto opened = storage::open_log(copy());
    ASSERT_TRUE(opened) << opened.error().message();
    expect_same(*log, **opened);
    EXPECT_EQ((*opened)->store_id(), log->store_id());
    EXPECT_EQ(storage::statistics(**opened)->created_at_ns,
              storage::statistics(*log)->created_at_ns);
    EXPECT_EQ(storage::verify(**opened)->problems, 0U);
  }

  scratch_directory other_;
};

TEST_P(backup_test, is_the_same_store) {
  if (in_memory()) {
    expect_refused(errc::invalid_argument, "export it instead");
    return;
  }
  back_up_all();
  expect_copy_is_same();
}

TEST_P(backup_test, appends_only_what_is_new) {
  if (in_memory())
    return;
  back_up_all();
  append(42, 5, 3);
  ASSERT_TRUE(log->register_category("later"));
  while (log->synced_tail() != log->tail())
    std::this_thread::yield();
  const auto again = back_up(*log, copy());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->before, log_position(7));
  EXPECT_EQ(again->after, log_position(10));
  expect_copy_is_same();
  EXPECT_EQ(back_up(*log, copy())->before, log_position(10)) << "nothing is new";
}

TEST_P(backup_test, of_a_store_that_another_process_writes_is_a_prefix_of_it) {
  if (in_memory())
    return;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::uint64_t version = 5; !stop; ++version) {
      append(42, version);
      std::this_thread::yield();
    }
  });
  const auto status = in_child([&] {
    const auto reader = storage::open_log_for_reading(log->directory());
    if (!reader)
      return 1;
    for (int i = 0; i < 3; ++i)
      if (const auto done = back_up(**reader, copy()); !done || done->after < log_position(7))
        return 2;
    return 0;
  });
  stop = true;
  writer.join();
  EXPECT_EQ(status, 0);
  if (::testing::Test::HasFailure())
    return;
  back_up_all();
  expect_copy_is_same();
}

TEST_P(backup_test, while_this_process_writes_ends_where_it_began) {
  if (in_memory())
    return;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::uint64_t version = 5; !stop; version += 2)
      append(42, version, 2);
  });
  const auto first = back_up(*log, copy());
  const auto second = back_up(*log, copy());
  stop = true;
  writer.join();
  ASSERT_TRUE(first) << first.error().message();
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(second->before, first->after);
  EXPECT_EQ(storage::open_log(copy()).value()->tail(), second->after);
}

TEST_P(backup_test, that_was_killed_goes_on_where_it_stopped) {
  if (in_memory())
    return;
  const std::string large(limits::max_payload_size, 'l');
  for (std::uint64_t version = 1; version <= 12; ++version)
    append_records(*log, {finished_record(stream_id(category_id(1), 8), version, large)}, 0);
  while (log->synced_tail() != log->tail())
    std::this_thread::yield();
  ASSERT_EQ(back_up(*log, copy(), [](log_position, log_position) { /* each batch */ })->after,
            log_position(19));
  fs::remove_all(copy());
  const auto reader_of = log->directory();
  log.reset();
  EXPECT_EQ(in_child([&] {
              const auto reader = storage::open_log_for_reading(reader_of);
              [[maybe_unused]] const auto never =
                back_up(**reader, copy(), [](log_position, log_position) { ::_exit(7); });
              return 1;
            }),
            7);
  reopen();
  const auto half = storage::open_log(copy()).value()->tail();
  EXPECT_GT(half, log_position(0));
  EXPECT_LT(half, log->tail());
  const auto done = back_up(*log, copy());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->before, half);
  expect_copy_is_same();
}

TEST_P(backup_test, is_not_written_over_what_is_no_backup_of_it) {
  if (in_memory())
    return;
  { // another store
    auto another = storage::open_log(copy()).value();
  }
  expect_refused(errc::invalid_argument, "not a copy of store " + std::string(log->store_id()));
  fs::remove_all(copy());
  fs::create_directory(copy());
  std::ofstream(copy() / "letter.txt") << "dear";
  expect_refused(errc::foreign_store, "letter.txt");
  const auto itself = back_up(*log, log->directory());
  ASSERT_FALSE(itself);
  EXPECT_EQ(itself.error().code(), errc::store_in_use) << itself.error().message();
}

TEST_P(backup_test, that_was_written_since_is_refused) {
  if (in_memory())
    return;
  back_up_all();
  {
    auto backup = storage::open_log(copy()).value();
    append_records(*backup, {finished_record(stream_id(category_id(1), 42), 5, "mine")}, 0);
  }
  expect_refused(errc::invalid_argument, "it has 8 records, and the store 7");
  append(42, 5);
  while (log->synced_tail() != log->tail())
    std::this_thread::yield();
  expect_refused(errc::invalid_argument, "its last record, at position 8, is another one");
}

TEST_P(backup_test, ends_before_a_damaged_record_and_names_it) {
  if (in_memory())
    return;
  auto bytes = std::string(text_of((*log->snapshot())->at(log_position(5))->bytes()));
  bytes[80] ^= 1;
  const auto directory = log->directory();
  log.reset();
  put_raw(directory, "events", key_of_position(5), bytes);
  reopen();
  expect_refused(errc::corrupt, "position 5");
}

INSTANTIATE_TEST_SUITE_P(logs, backup_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests
