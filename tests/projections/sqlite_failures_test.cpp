// What a file of SQLite can do to a view: each is an error that names the file and the way out.
#include "../support/child_process.hpp"
#include "../support/tally.hpp"

#include <acta/projections/sqlite_view.hpp>

#include <gtest/gtest.h>

#include <sqlite3.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

using projections::sqlite::database;

/// SQLite as any other program has it.
class plain_sqlite {
public:
  explicit plain_sqlite(const std::filesystem::path& file) {
    EXPECT_EQ(sqlite3_open(file.c_str(), &handle_), SQLITE_OK) << file;
  }
  ~plain_sqlite() { sqlite3_close(handle_); }
  plain_sqlite(const plain_sqlite&) = delete;
  plain_sqlite& operator=(const plain_sqlite&) = delete;

  void run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sql << ": " << sqlite3_errmsg(handle_);
  }
  /// The first column of the first row; -1 if there is none.
  [[nodiscard]] std::int64_t number(const std::string& sql) {
    std::int64_t found = -1;
    const auto keep = [](void* to, int, char** texts, char**) {
      *static_cast<std::int64_t*>(to) = std::stoll(texts[0]);
      return 0;
    };
    return sqlite3_exec(handle_, sql.c_str(), keep, &found, nullptr) == SQLITE_OK ? found : -1;
  }

private:
  sqlite3* handle_ = nullptr;
};

class sqlite_failures : public tally_test {
protected:
  /// A view that was fed all there is, and is closed; its file.
  std::filesystem::path build() {
    tally_view view;
    EXPECT_TRUE(view.attach(*log));
    EXPECT_TRUE(feed(view, *log));
    return view.file();
  }
  /// Why a view cannot be attached: it must say which file, and that it can be removed; and when it
  /// was, the view is made anew.
  [[nodiscard]] errc refused(const std::string& part_of_message) {
    tally_view view;
    const auto attached = view.attach(*log);
    EXPECT_FALSE(attached);
    if (attached)
      return errc{};
    const auto& message = attached.error().message();
    const auto home = (directory.path() / "views" / "tally@1").string();
    EXPECT_TRUE(message.starts_with(home + "/view.sqlite: ")) << message;
    EXPECT_NE(message.find(part_of_message), std::string::npos) << message;
    EXPECT_NE(message.find("the view is made anew"), std::string::npos) << message;
    std::filesystem::remove_all(home);
    tally_view anew;
    EXPECT_TRUE(anew.attach(*log));
    EXPECT_TRUE(feed(anew, *log));
    EXPECT_EQ(totals_of(anew), expected(log->tail().value()));
    return attached.error().code();
  }
};

TEST_F(sqlite_failures, refuses_a_file_that_is_ahead_of_its_log) {
  pay(9);
  plain_sqlite(build()).run("update acta_view set position = 10");
  EXPECT_EQ(refused("ahead of its log: at position 10, and the log ends at 9"), errc::corrupt);
}

TEST_F(sqlite_failures, refuses_a_file_that_was_built_of_another_course_of_its_log) {
  pay(9);
  plain_sqlite(build()).run("update acta_view set checksum = checksum + 1");
  EXPECT_EQ(refused("the record at position 9 was another one"), errc::corrupt);
}

TEST_F(sqlite_failures, refuses_a_file_of_another_store) {
  pay(3);
  const auto file = build();
  const scratch_directory other(memory_folder());
  std::filesystem::create_directories(other.path() / "views");
  std::filesystem::copy(file.parent_path(), other.path() / "kept");
  open(other.path() / "store");
  pay(3);
  std::filesystem::create_directories(other.path() / "store" / "views");
  std::filesystem::copy(other.path() / "kept", other.path() / "store" / "views" / "tally@1");
  tally_view view;
  const auto attached = view.attach(*log);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code(), errc::foreign_store);
  EXPECT_NE(attached.error().message().find("it is of store "), std::string::npos);
}

TEST_F(sqlite_failures, refuses_a_file_of_another_view_or_version) {
  pay(3);
  plain_sqlite(build()).run("update acta_view set version = 2");
  EXPECT_EQ(refused("it is view 'tally' version 2, part 0 of 1, and not 'tally' version 1"),
            errc::foreign_store);
  plain_sqlite(build()).run("update acta_view set parts = 4");
  EXPECT_EQ(refused("part 0 of 4"), errc::foreign_store);
}

TEST_F(sqlite_failures, refuses_a_file_of_a_newer_format) {
  plain_sqlite(build()).run("update acta_view set format = 2; "
                            "alter table acta_view drop column checksum");
  EXPECT_EQ(refused("use a newer program"), errc::newer_format);
}

TEST_F(sqlite_failures, refuses_a_file_of_another_program_and_leaves_it_as_it_is) {
  const auto file = build();
  std::filesystem::remove(file);
  plain_sqlite(file).run("create table notes (a); insert into notes values (7)");
  const auto before = std::filesystem::file_size(file);
  {
    tally_view view;
    EXPECT_FALSE(view.attach(*log));
  }
  EXPECT_EQ(std::filesystem::file_size(file), before);
  EXPECT_EQ(plain_sqlite(file).number("select a from notes"), 7);
  EXPECT_EQ(refused("another program"), errc::foreign_store);
}

TEST_F(sqlite_failures, refuses_what_is_no_file_of_sqlite) {
  pay(3);
  const auto file = build();
  std::ofstream(file, std::ios::trunc) << std::string(10'000, 'x');
  EXPECT_EQ(refused("it is damaged"), errc::corrupt);
}

TEST_F(sqlite_failures, refuses_a_file_whose_pages_are_damaged) {
  pay(3);
  const auto file = build();
  const auto size = std::filesystem::file_size(file);
  std::fstream pages(file, std::ios::in | std::ios::out | std::ios::binary);
  pages.seekp(4'096); // of the first page on: it has the tables' names
  pages << std::string(size - 4'096, '\xff');
  pages.close();
  EXPECT_EQ(refused("it is damaged"), errc::corrupt);
}

TEST_F(sqlite_failures, a_file_that_was_begun_and_not_finished_is_begun_anew) {
  pay(3);
  const auto file = build();
  std::ofstream(file, std::ios::trunc).close();
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  EXPECT_EQ(view.position(), log_position(0));
  ASSERT_TRUE(feed(view, *log));
  EXPECT_EQ(totals_of(view), expected(3));
}

struct broken {
  static constexpr std::string_view name = "broken";
  static constexpr std::uint32_t version = 1;
  using events = tally::events;
  static result<void> create(database& to) { return to.script("create table a (b); tabel c"); }
  void on(const domain::orders::payment_received&, const storage::record_view&, database&) {}
};

TEST_F(sqlite_failures, tables_that_cannot_be_created_leave_no_view) {
  projections::sqlite_view<broken> view;
  for (int i = 0; i < 2; ++i) {
    const auto attached = view.attach(*log);
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code(), errc::invalid_argument);
    EXPECT_NE(attached.error().message().find("tabel"), std::string::npos)
      << attached.error().message();
  }
}

TEST_F(sqlite_failures,
       a_file_that_is_removed_while_it_is_open_is_noticed_and_reset_makes_it_anew) {
  pay(6);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(apply(view, 1, 3));
  EXPECT_EQ(totals_of(view), expected(3)) << "so that a reader's connection is kept";
  std::filesystem::remove_all(view.file().parent_path());
  const auto done = apply(view, 4, 6);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().why.code(), errc::not_found);
  EXPECT_EQ(done.error().at, 3U) << "it is no event's fault";
  EXPECT_NE(done.error().why.message().find("reset()"), std::string::npos);
  const auto read = view.read([](const auto& now) { return totals_of(now); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), errc::not_found);
  EXPECT_NE(read.error().message().find("reset()"), std::string::npos) << read.error().message();
  ASSERT_TRUE(view.clear());
  ASSERT_TRUE(apply(view, 1, 6));
  EXPECT_EQ(totals_of(view), expected(6));
}

TEST_F(sqlite_failures, pages_that_are_found_damaged_later_stop_it_and_reset_makes_it_anew) {
  pay(300);
  const auto file = build();
  std::fstream pages(file, std::ios::in | std::ios::out | std::ios::binary);
  const auto root = plain_sqlite(file).number("select rootpage from sqlite_schema where name = "
                                              "'tally'");
  pages.seekp((root - 1) * 4'096);
  pages << std::string(4'096, '\xff');
  pages.close();
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  const auto read = view.read([](const auto& now) { return totals_of(now); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), errc::corrupt);
  EXPECT_NE(read.error().message().find("remove "), std::string::npos) << read.error().message();
  pay(1);
  const auto done = apply(view, 301, 301);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().why.code(), errc::corrupt);
  EXPECT_EQ(done.error().at, 1U);
  ASSERT_TRUE(view.clear());
  ASSERT_TRUE(apply(view, 1, 301));
  EXPECT_EQ(totals_of(view), expected(301));
}

TEST_F(sqlite_failures, a_full_disk_is_no_events_fault_and_the_view_goes_on_when_there_is_room) {
  pay(200);
  bool full = true;
  tally_view view({.also = [&](const auto&, database& to) {
    // As many pages as the file may have; and a handler that passes over what its statement says.
    auto limited = to.script(full ? "pragma max_page_count = 40" : "pragma max_page_count = 99999");
    (void)to.run("insert into words values (hex(randomblob(3000)))");
    return limited;
  }});
  ASSERT_TRUE(view.attach(*log));
  const auto done = apply(view, 1, 200);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().why.code(), errc::no_space);
  EXPECT_EQ(done.error().at, 200U);
  EXPECT_NE(done.error().why.message().find("view.sqlite: statement 'insert"), std::string::npos);
  EXPECT_NE(done.error().why.message().find("no space"), std::string::npos);
  EXPECT_EQ(totals_of(view), tally_totals{});
  full = false;
  ASSERT_TRUE(apply(view, 1, 200));
  EXPECT_EQ(totals_of(view).payments, 200);
}

TEST_F(sqlite_failures, a_file_that_another_holds_locked_is_told_and_waited_for) {
  pay(3);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  {
    plain_sqlite other(view.file());
    other.run("begin immediate");
    const auto done = apply(view, 1, 3);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().why.code(), errc::store_in_use);
    EXPECT_EQ(done.error().at, 3U);
    EXPECT_NE(done.error().why.message().find("locked"), std::string::npos);
  }
  ASSERT_TRUE(apply(view, 1, 3));
  EXPECT_EQ(totals_of(view), expected(3));
}

TEST_F(sqlite_failures, two_that_feed_one_file_do_not_handle_an_event_twice) {
  pay(6);
  tally_view one;
  tally_view other;
  ASSERT_TRUE(one.attach(*log));
  ASSERT_TRUE(other.attach(*log));
  ASSERT_TRUE(apply(one, 1, 3));
  const auto done = apply(other, 1, 3);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().why.code(), errc::store_in_use);
  EXPECT_EQ(totals_of(other), expected(3));
}

TEST_F(sqlite_failures, a_directory_that_cannot_be_made_is_named) {
  std::ofstream(directory.path() / "views") << "a file";
  tally_view view;
  const auto attached = view.attach(*log);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code(), errc::io);
  EXPECT_NE(attached.error().message().find("views/tally@1: it cannot be made"), std::string::npos)
    << attached.error().message();
}

TEST_F(sqlite_failures, nothing_can_be_done_with_a_view_of_no_log) {
  tally_view view;
  const auto read = view.read([](const auto& now) { return totals_of(now); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), errc::invalid_argument);
  EXPECT_FALSE(view.apply({}));
  EXPECT_FALSE(view.clear());
  EXPECT_FALSE(view.dead_letters());
}

TEST_F(sqlite_failures, a_process_that_is_killed_in_the_middle_of_a_step_leaves_whole_steps) {
  constexpr std::uint64_t in_a_step = 8;
  pay(100);
  std::uint64_t before = 0;
  for (const std::int64_t at : {1, 7, 16, 17, 17, 99}) {
    shop.reset();
    log.reset();
    EXPECT_EQ(in_child([&] {
                open(directory.path());
                tally_view view({.also = [&](const auto& event, database&) -> result<void> {
                  return event.amount() == at ? (::raise(SIGKILL), result<void>()) : result<void>();
                }});
                return view.attach(*log) && feed(view, *log, {}, in_a_step) ? 1 : 2;
              }),
              -SIGKILL);
    open(directory.path());
    tally_view view;
    ASSERT_TRUE(view.attach(*log));
    const auto left = view.position().value();
    EXPECT_EQ(left, (static_cast<std::uint64_t>(at) - 1) / in_a_step * in_a_step);
    EXPECT_GE(left, before);
    EXPECT_EQ(totals_of(view), expected(left));
    before = left;
  }
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(feed(view, *log));
  EXPECT_EQ(totals_of(view), expected(100));
}

/// The child is forked before the view is opened: a connection must not be taken along.
TEST_F(sqlite_failures, another_process_reads_it_with_plain_sqlite_while_it_is_written) {
  const step half;
  const step seen;
  const step whole;
  const auto file = directory.path() / "views" / "tally@1" / "view.sqlite";
  const auto child = ::fork();
  if (child == 0) {
    half.wait();
    plain_sqlite reading(file);
    const bool first = reading.number("select sum(cents) from tally") == 15
                       && reading.number("select position from acta_view") == 5
                       && reading.number("select count(*) from acta_dead_letters") == 0;
    seen.done();
    whole.wait();
    const bool second = reading.number("select sum(cents) from tally") == 55
                        && reading.number("select count(*) from words where words match 'x'") == 0
                        && reading.number("select position from acta_view") == 10;
    ::_exit(first && second ? 0 : 1);
  }
  pay(10);
  tally_view view;
  ASSERT_TRUE(view.attach(*log));
  ASSERT_TRUE(apply(view, 1, 5));
  half.done();
  seen.wait();
  ASSERT_TRUE(apply(view, 6, 10));
  whole.done();
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
} // namespace acta::tests
