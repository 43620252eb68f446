// Views in files of their own: transactions of data and checkpoint, and what a file may not be.
#include "../support/raw_store.hpp"
#include "../support/scratch_directory.hpp"
#include "../support/stepped_view.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/view_file.hpp>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using storage::direction;
using storage::durability;
using storage::open_view;

class view_file_test : public ::testing::Test {
protected:
  void SetUp() override { reopen(); }

  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path files() const { return store() / "views" / "stepped@1"; }

  void close() {
    view.reset();
    log.reset();
  }
  void reopen(const storage::log_options& options = {}) {
    close();
    auto opened = storage::open_log(store(), options);
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    auto found = open_view(*log, stepped);
    ASSERT_TRUE(found) << found.error().message();
    view = std::move(*found);
  }
  void step_through(std::uint64_t position, std::uint64_t at_a_time = 1) {
    for (auto next = view->position().value() + at_a_time; next <= position; next += at_a_time) {
      const auto done = step_to(*view, next);
      ASSERT_TRUE(done) << done.error().message();
    }
  }
  void expect_at(std::uint64_t position) const {
    const auto found = check_stepped(*view);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, log_position(position));
    EXPECT_EQ(view->position(), log_position(position));
  }
  /// Of a closed view, opened.
  void expect_refused(errc code, const std::string& why) {
    if (!log) {
      auto opened = storage::open_log(store());
      ASSERT_TRUE(opened) << opened.error().message();
      log = std::move(*opened);
    }
    const auto found = open_view(*log, stepped);
    ASSERT_FALSE(found) << why;
    EXPECT_EQ(found.error().code(), code) << found.error().message();
    EXPECT_NE(found.error().message().find(why), std::string::npos) << found.error().message();
    EXPECT_NE(found.error().message().find(files().string()), std::string::npos);
    if (code == errc::corrupt) {
      EXPECT_NE(found.error().message().find("close the store, remove the directory"),
                std::string::npos)
        << found.error().message();
      EXPECT_EQ(found.error().message().find("backup"), std::string::npos);
    }
  }
  /// As the message says.
  void expect_mended_by_removing() {
    close();
    fs::remove_all(files());
    reopen();
    expect_at(0);
    step_through(log->tail().value());
    expect_at(log->tail().value());
  }

  scratch_directory directory_{memory_folder()};
  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<storage::view_file> view;
};

TEST_F(view_file_test, has_what_was_written_and_its_checkpoint_when_it_is_opened_again) {
  append_steps(*log, 300);
  for (const std::uint64_t until : {1U, 7U, 70U, 150U, 300U}) {
    step_through(until);
    expect_at(until);
    reopen();
    expect_at(until);
  }
}

TEST_F(view_file_test, a_write_that_fails_or_throws_changes_nothing) {
  append_steps(*log, 100);
  step_through(50);
  const auto change = [](storage::view_writer& to) {
    EXPECT_TRUE(to.put(bytes_of("key 1001"), bytes_of("other")));
    EXPECT_EQ(to.erase(bytes_of("key 1002")), true);
    EXPECT_EQ(to.erase(bytes_of("key 1002")), false) << "a change sees itself";
    EXPECT_EQ(text_of(**to.get(bytes_of("key 1001"))), std::string_view("other\0\0\0", 8));
  };
  const auto failed = view->write(log_position(51), [&](storage::view_writer& to) {
    change(to);
    return result<void>(failure(errc::handler_failed, "no"));
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "no");
  EXPECT_THROW((void)view->write(log_position(51),
                                 [&](storage::view_writer& to) -> result<void> {
                                   change(to);
                                   throw std::runtime_error("no");
                                 }),
               std::runtime_error);
  expect_at(50);
  step_through(100);
  expect_at(100);
  reopen();
  expect_at(100);
}

TEST_F(view_file_test, ranges_are_those_of_a_map_forward_and_backward) {
  std::mt19937_64 random(7);
  std::map<std::string, std::string> plain;
  for (int i = 0; i < 40; ++i) {
    std::string key(8 + 8 * (random() % 3), '\0');
    for (auto& each : key)
      each = std::array{'\0', 'a', 'b', '\xff'}.at(random() % 4);
    plain.insert_or_assign(key, std::string(8, static_cast<char>('A' + i)));
  }
  const auto filled = view->write(log_position(0), [&](storage::view_writer& to) {
    for (const auto& [key, value] : plain)
      EXPECT_TRUE(to.put(bytes_of(key), bytes_of(value)));
    return result<void>();
  });
  ASSERT_TRUE(filled) << filled.error().message();
  std::vector<std::string> ends{"", "a", std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff")};
  for (const auto& [key, value] : plain)
    ends.insert(ends.end(), {key, key.substr(0, 3), key + 'x'});
  const auto read = view->read([&](const storage::view_reader& now) {
    for (const auto& from : ends)
      for (const auto& to : ends) {
        std::vector<std::string> expected;
        for (const auto& [key, value] : plain)
          if (key >= from && (to.empty() || key < to))
            expected.push_back(key);
        for (const auto way : {direction::forward, direction::backward}) {
          std::vector<std::string> found;
          EXPECT_TRUE(now.scan(bytes_of(from), bytes_of(to), way, [&](auto key, auto value) {
            found.emplace_back(text_of(key));
            EXPECT_EQ(text_of(value), plain[found.back()]);
            return true;
          }));
          EXPECT_EQ(found, expected);
          std::ranges::reverse(expected);
        }
      }
    return result<void>();
  });
  EXPECT_TRUE(read);
}

TEST_F(view_file_test, stops_showing_when_it_is_told_to) {
  append_steps(*log, 60);
  step_through(60);
  int shown = 0;
  const auto read = view->read([&](const storage::view_reader& now) {
    return now.scan({}, {}, direction::backward, [&](auto, auto) { return ++shown < 3; });
  });
  EXPECT_TRUE(read);
  EXPECT_EQ(shown, 3);
}

TEST_F(view_file_test, refuses_keys_that_are_none_and_values_that_are_too_large) {
  const std::string large(limits::max_view_value + 1, 'v');
  const auto put = [&](const std::string& key, const std::string& value) {
    return view->write(log_position(0), [&](storage::view_writer& to) {
      return to.put(bytes_of(key), bytes_of(value));
    });
  };
  for (const auto& key : {std::string(), std::string(7, 'k'), std::string(512, 'k')}) {
    const auto refused = put(key, "value");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::too_large) << refused.error().message();
  }
  EXPECT_EQ(put("12345678", large).error().code(), errc::too_large);
  EXPECT_TRUE(put(std::string(limits::max_view_key, 'k'), ""));
  EXPECT_TRUE(view->read([&](const storage::view_reader& now) {
    EXPECT_EQ(now.get(bytes_of("none"))->has_value(), false);
    const auto found = now.get(bytes_of(std::string(limits::max_view_key, 'k')));
    EXPECT_TRUE(found && *found && (*found)->empty());
    return result<void>();
  }));
}

TEST_F(view_file_test, its_checkpoint_goes_forward_and_not_beyond_the_log) {
  append_steps(*log, 10);
  step_through(10);
  for (const std::uint64_t position : {9U, 11U}) {
    const auto refused =
      view->write(log_position(position), [](storage::view_writer&) { return result<void>(); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::invalid_argument) << refused.error().message();
  }
  expect_at(10);
}

TEST_F(view_file_test, a_reader_keeps_its_state_while_others_are_written) {
  append_steps(*log, 200);
  step_through(100);
  const auto read = view->read([&](const storage::view_reader& now) {
    step_through(200);
    EXPECT_EQ(now.position(), log_position(100));
    const auto key = stepped_key(100);
    EXPECT_EQ(text_of(**now.get(bytes_of(key))).substr(0, 9), "value 100");
    return result<void>();
  });
  EXPECT_TRUE(read);
  expect_at(200);
}

TEST_F(view_file_test, readers_on_other_threads_see_whole_steps_only) {
  append_steps(*log, 600);
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      log_position before;
      while (!done.load()) {
        const auto found = check_stepped(*view);
        ASSERT_TRUE(found) << found.error().message();
        EXPECT_GE(*found, before) << "states do not go back";
        before = *found;
        reads.fetch_add(1);
        reads.notify_one();
      }
    });
  for (std::uint64_t position = 3; position <= 600; position += 3) {
    const auto stepped_on = step_to(*view, position);
    EXPECT_TRUE(stepped_on) << stepped_on.error().message();
    if (position % 60 == 0)
      reads.wait(reads.load()); // so that reads are among the steps
  }
  done = true;
  readers.clear();
  expect_at(600);
}

TEST_F(view_file_test, clear_empties_it_for_good) {
  append_steps(*log, 100);
  step_through(100);
  const auto cleared = view->clear();
  ASSERT_TRUE(cleared) << cleared.error().message();
  expect_at(0);
  reopen();
  expect_at(0);
  step_through(100);
  expect_at(100);
}

TEST_F(view_file_test, is_open_once) {
  const auto second = open_view(*log, stepped);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), errc::store_in_use);
  EXPECT_TRUE(open_view(*log, {.name = "stepped", .version = 2})) << "this is another";
  EXPECT_TRUE(open_view(*log, {.name = "stepped", .part = 1, .parts = 2}));
  EXPECT_TRUE(fs::exists(store() / "views" / "stepped@1.1of2" / "data.mdb"));
}

TEST_F(view_file_test, there_is_none_without_a_name_or_beside_a_log_without_a_directory) {
  for (const auto& which :
       {storage::view_identity{.name = ""}, storage::view_identity{.name = "../x"},
        storage::view_identity{.name = "A"}, storage::view_identity{.name = std::string(101, 'a')},
        storage::view_identity{.name = "a", .part = 2, .parts = 2}}) {
    const auto refused = open_view(*log, which);
    ASSERT_FALSE(refused) << which.name;
    EXPECT_EQ(refused.error().code(), errc::invalid_argument);
  }
  const auto in_memory = open_view(*storage::make_memory_log(), stepped);
  ASSERT_FALSE(in_memory);
  EXPECT_EQ(in_memory.error().code(), errc::invalid_argument);
}

// What a file may not be.

TEST_F(view_file_test, begins_anew_where_its_file_was_removed) {
  append_steps(*log, 30);
  step_through(30);
  close();
  fs::remove(files() / "data.mdb");
  reopen();
  expect_at(0);
  step_through(30);
  expect_at(30);
}

TEST_F(view_file_test, refuses_a_file_that_was_cut_short) {
  append_steps(*log, 200);
  step_through(200);
  close();
  fs::resize_file(files() / "data.mdb", fs::file_size(files() / "data.mdb") / 2 / 4096 * 4096);
  expect_refused(errc::corrupt, "data.mdb");
  expect_mended_by_removing();
}

TEST_F(view_file_test, refuses_a_file_of_something_else) {
  append_steps(*log, 20);
  step_through(20);
  close();
  std::ofstream(files() / "data.mdb") << std::string(20'000, '?');
  expect_refused(errc::corrupt, "data.mdb");
  expect_mended_by_removing();
}

TEST_F(view_file_test, refuses_a_page_of_noise) {
  append_steps(*log, 200);
  step_through(200);
  close();
  std::fstream file(files() / "data.mdb", std::ios::in | std::ios::out | std::ios::binary);
  const auto pages = fs::file_size(files() / "data.mdb") / 4096;
  ASSERT_GT(pages, 10U);
  for (std::uint64_t page = 2; page < pages; ++page) {
    file.seekp(static_cast<std::streamoff>(page * 4096));
    file << std::string(64, '\x7f');
  }
  file.close();
  expect_refused(errc::corrupt, "page");
  expect_mended_by_removing();
}

TEST_F(view_file_test, refuses_one_that_is_no_view) {
  close();
  change_raw(files(), "meta", "view", std::string("short"));
  expect_refused(errc::corrupt, "is not a view of this format");
  expect_mended_by_removing();
}

TEST_F(view_file_test, refuses_one_of_another_version_or_name) {
  append_steps(*log, 20);
  step_through(20);
  close();
  const auto views = store() / "views";
  for (const auto* other : {"stepped@2", "stepped2@1"}) {
    fs::remove_all(views / other);
    fs::copy(files(), views / other);
  }
  auto opened = storage::open_log(store());
  ASSERT_TRUE(opened);
  log = std::move(*opened);
  for (const auto& which : {storage::view_identity{.name = "stepped", .version = 2},
                            storage::view_identity{.name = "stepped2"}}) {
    const auto refused = open_view(*log, which);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::corrupt);
    EXPECT_NE(refused.error().message().find("is of the view 'stepped@1' and not of '"
                                             + which.label() + "'"),
              std::string::npos)
      << refused.error().message();
  }
}

/// The view of this store, beside the log of another.
class moved_view_test : public view_file_test {
protected:
  /// Fills this store and another, and puts the view of this one to the other.
  void move_to_another(std::uint64_t events) {
    append_steps(*log, 30);
    step_through(30);
    close();
    fs::rename(store(), directory_.path() / "old");
    reopen();
    append_steps(*log, events);
    close();
    fs::remove_all(store() / "views");
    fs::copy(directory_.path() / "old" / "views", store() / "views", fs::copy_options::recursive);
  }
};

TEST_F(moved_view_test, is_refused_as_one_of_another_store) {
  move_to_another(30);
  expect_refused(errc::corrupt, "is a view of another store");
  expect_mended_by_removing();
}

class restored_log_test : public view_file_test {
protected:
  /// Takes the log back to what it was after `kept` events, and adds `more`, which are others.
  void restore_log(std::uint64_t kept, std::uint64_t more) {
    append_steps(*log, kept);
    close();
    fs::copy(store() / "log", directory_.path() / "backup");
    reopen();
    append_steps(*log, 30 - kept);
    step_through(30);
    close();
    fs::remove_all(store() / "log");
    fs::copy(directory_.path() / "backup", store() / "log");
    auto opened = storage::open_log(store());
    ASSERT_TRUE(opened) << opened.error().message();
    for (std::uint64_t i = 0; i < more; ++i) {
      const finished_record record(stream_id(category_id(1), 2), i + 1, "another event");
      const std::array records{record.bytes()};
      ASSERT_TRUE((*opened)->append(records, 2'000));
    }
  }
};

TEST_F(restored_log_test, makes_a_view_that_is_ahead_of_it_an_error) {
  restore_log(20, 5);
  expect_refused(errc::corrupt, "is ahead of the log");
  expect_mended_by_removing();
}

TEST_F(restored_log_test, makes_a_view_of_another_past_an_error) {
  restore_log(20, 30);
  expect_refused(errc::corrupt, "was built from another log");
  expect_mended_by_removing();
}

// What is left where it was not closed.

class killed_view_test : public view_file_test {
protected:
  /// Another process appends and steps on until it is killed, in the middle, after `steps` or more.
  void kill_after(int steps, const storage::log_options& options) {
    close();
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const auto child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      reopen(options);
      for (;;) {
        append_steps(*log, 3);
        const char done = log && view && step_to(*view, log->tail().value()) ? 'y' : 'n';
        if (::write(ends[1], &done, 1) != 1)
          ::_exit(1);
      }
    }
    ::close(ends[1]);
    for (int i = 0; i < steps; ++i) {
      char done = 'n';
      ASSERT_EQ(::read(ends[0], &done, 1), 1);
      ASSERT_EQ(done, 'y');
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ends[0]);
  }
};

TEST_F(killed_view_test, is_as_after_some_step_and_goes_on) {
  for (const int steps : {1, 10, 100, 200}) {
    SCOPED_TRACE(steps);
    kill_after(steps, {});
    reopen();
    const auto found = check_stepped(*view);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->value() % 3, 0U) << "whole steps";
    if (steps > 2 * static_cast<int>(limits::view_sync_every)) {
      EXPECT_GT(*found, log_position(0)) << "it is synced from time to time";
    }
    step_through(log->tail().value(), 3);
    expect_at(log->tail().value());
  }
}

TEST_F(killed_view_test, is_not_synced_before_its_log) {
  kill_after(200, {.durability = durability::process, .sync_every = 1h});
  reopen();
  EXPECT_GE(log->tail(), log_position(600)) << "no power was lost";
  expect_at(0);
  step_through(log->tail().value(), 3);
  expect_at(log->tail().value());
}

TEST_F(killed_view_test, is_synced_as_far_as_its_log_while_that_goes_on) {
  kill_after(2'000, {.durability = durability::process, .sync_every = 1ms});
  reopen();
  const auto found = check_stepped(*view);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_GT(*found, log_position(0)) << "the log is never synced to the step that is the newest";
}

TEST_F(killed_view_test, stays_empty_once_it_was_cleared) {
  append_steps(*log, 300);
  step_through(300);
  close();
  const auto child = ::fork();
  if (child == 0) {
    reopen();
    ::_exit(view && view->position() == log_position(300) && view->clear() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  reopen();
  expect_at(0);
}

} // namespace
} // namespace acta::tests
