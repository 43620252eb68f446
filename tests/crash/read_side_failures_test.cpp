// Whatever fails on the read side: commands go on meanwhile, each with its receipt; the projector
// says what failed, where, and what to do; and once that was done the view has all there is.
#include "disk_recorder.hpp"

#include "../support/child_process.hpp"
#include "../support/scratch_directory.hpp"
#include "../support/wallet_tallies.hpp"

#include <gtest/gtest.h>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <latch>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// Commands that go on all the time, on a thread: each must have its receipt, in its turn.
class load {
public:
  explicit load(runtime::engine& engine)
      : wallets_(fold(engine.log(), engine.log().tail()).value()),
        receipts_(engine.log().tail().value()),
        sending_([this, &engine](const std::stop_token& stop) { send(engine, stop); }) {}

  /// Returns when so many more receipts were had.
  void go_on_for(std::uint64_t more) const {
    const auto wanted = receipts_.load() + more;
    for (auto now = receipts_.load(); now < wanted && !failed_; now = receipts_.load())
      receipts_.wait(now);
    EXPECT_FALSE(failed_) << "a command failed";
  }
  [[nodiscard]] std::uint64_t receipts() const { return receipts_.load(); }

  /// No more commands. Returns what the wallets have by the receipts.
  [[nodiscard]] const wallet_tallies& stop() {
    sending_.request_stop();
    sending_.join();
    return wallets_;
  }

private:
  void send(runtime::engine& engine, const std::stop_token& stop) {
    std::mt19937_64 random(receipts_);
    while (!stop.stop_requested() && !failed_) {
      const auto key = random() % 100;
      const auto amount = static_cast<std::int64_t>(random() % 1'000);
      const auto receipt = engine.ask<wallet>(key, put_in{amount});
      auto& one = wallets_[key];
      one = {one.version + 1, one.sum + amount};
      EXPECT_TRUE(receipt) << receipt.error().message();
      failed_ = !receipt || receipt->position != log_position(receipts_ + 1)
                || receipt->version != stream_version(one.version) || receipt->reply != one.sum;
      ++receipts_;
      receipts_.notify_all();
      std::this_thread::sleep_for(20us); // a pace that views can follow, also under sanitizers
    }
  }

  wallet_tallies wallets_;
  std::atomic<std::uint64_t> receipts_{0};
  std::atomic<bool> failed_{false};
  std::jthread sending_; // last
};

template <class View>
class read_side_failures : public testing::Test {
protected:
  void TearDown() override { handlers_fail = failing::never; }

  [[nodiscard]] fs::path store() const { return directory.path() / "store"; }
  [[nodiscard]] fs::path files() const {
    return store() / "views" / (std::string(make_tallies<View>()->name()) + "@1");
  }
  [[nodiscard]] fs::path file() const {
    return files() / (std::is_same_v<View, lmdb_tallies> ? "data.mdb" : "view.sqlite");
  }

  void open() {
    auto opened = runtime::engine::open<wallet>(storage::open_log(store()).value());
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
    commands.emplace(*engine);
  }
  void close() {
    commands.reset();
    projector.reset();
    view.reset();
    engine.reset();
  }
  [[nodiscard]] result<void> start(projections::projector_options options = {}) {
    projector.reset();
    view = make_tallies<View>();
    auto started = projections::projector::start(*engine, *view, std::move(options));
    if (!started)
      return failure(started);
    projector = std::move(*started);
    return {};
  }
  /// A view that has followed for a while.
  void begin() {
    open();
    const auto started = start();
    ASSERT_TRUE(started) << started.error().message();
    expect_following();
  }

  void expect_said(const error& why, errc code, std::initializer_list<std::string_view> parts) {
    EXPECT_EQ(why.code(), code) << why.message();
    for (const auto part : parts)
      EXPECT_NE(why.message().find(part), std::string::npos) << part << ": " << why.message();
  }
  /// The projector stops, and says so; commands go on.
  void expect_stopped(errc code, std::initializer_list<std::string_view> parts) {
    const log_position never(std::numeric_limits<std::uint64_t>::max());
    const auto waited = projector->wait_for(never, 60s);
    ASSERT_FALSE(waited);
    const auto status = projector->status();
    ASSERT_FALSE(status) << waited.error().message();
    expect_said(status.error(), code, parts);
    expect_said(status.error(), code, {"stopped before position "});
    commands->go_on_for(200);
    EXPECT_FALSE(projector->status());
  }
  /// A projector is not started, and why; commands go on.
  void expect_not_started(errc code, std::initializer_list<std::string_view> parts) {
    const auto started = start();
    ASSERT_FALSE(started);
    expect_said(started.error(), code, parts);
    commands->go_on_for(200);
  }
  /// Commands go on, and the view with them.
  void expect_following() {
    commands->go_on_for(200);
    const auto there = projector->wait_for(log_position(commands->receipts()), 60s);
    EXPECT_TRUE(there) << there.error().message();
  }
  /// The same; then they end, and log and view have what was receipted.
  void expect_whole() {
    expect_following();
    const auto& receipted = commands->stop();
    const auto tail = engine->log().tail();
    EXPECT_EQ(tail.value(), commands->receipts());
    EXPECT_EQ(fold(engine->log(), tail), receipted);
    const auto there = projector->wait_for(tail, 60s);
    ASSERT_TRUE(there) << there.error().message();
    EXPECT_EQ(view->position(), tail);
    EXPECT_EQ(tallies_of(*view), receipted);
  }

  /// Of an open file, or a closed one.
  void overwrite(std::uint64_t first_page, char with) const {
    const auto size = fs::file_size(file());
    std::fstream pages(file(), std::ios::in | std::ios::out | std::ios::binary);
    pages.seekp(static_cast<std::streamoff>(first_page * 4'096));
    pages << std::string(size - first_page * 4'096, with);
    EXPECT_TRUE(pages.flush());
  }

  scratch_directory directory{memory_folder()};
  std::unique_ptr<runtime::engine> engine;
  std::optional<load> commands; // ends before the engine
  std::unique_ptr<View> view;
  std::unique_ptr<projections::projector> projector; // ends first
};

using views = testing::Types<lmdb_tallies, sqlite_tallies>;
TYPED_TEST_SUITE(read_side_failures, views);

TYPED_TEST(read_side_failures, a_handler_that_throws_for_good) {
  this->begin();
  handlers_fail = failing::always;
  this->expect_stopped(errc::handler_failed,
                       {"position ", "event type 'acta.tests.added' version 1", "view 'tallies",
                        "threw: told to fail", "projector::resume()"});
  const auto at = this->projector->position();
  this->projector->resume(); // too early
  this->expect_stopped(errc::handler_failed, {"threw: told to fail"});
  EXPECT_EQ(this->projector->position(), at) << "what readers see does not go back";
  handlers_fail = failing::never;
  this->projector->resume();
  this->expect_whole();
}

TYPED_TEST(read_side_failures, a_full_disk) {
  this->begin();
  disk_recorder disk(this->store() / "views"); // the log's is another
  for (const std::uint64_t n : {1U, 2U, 3U, 20U}) {
    disk.fail(disk_fault::no_space, n);
    this->expect_stopped(errc::no_space, {this->file().string(), "free", "projector::resume()"});
    EXPECT_TRUE(disk.heal());
    this->projector->resume();
    this->expect_following();
  }
  this->expect_whole();
}

TYPED_TEST(read_side_failures, a_device_that_fails_for_good) {
  this->begin();
  disk_recorder disk(this->store() / "views");
  disk.fail(disk_fault::io_for_good, 1);
  this->expect_stopped(errc::io, {this->file().string(), "device", "projector::resume()"});
  this->projector->resume(); // too early
  this->expect_stopped(errc::io, {this->files().string(), "device"});
  EXPECT_TRUE(disk.heal());
  this->projector->resume();
  this->expect_whole();
}

TYPED_TEST(read_side_failures, a_file_that_is_removed_while_it_is_open) {
  this->begin();
  const std::initializer_list<std::string_view> says{"it was removed, or replaced", " anew",
                                                     "projector::resume()"};
  std::latch inside(1);
  std::latch gone(1);
  std::jthread reader([&] { // who ends long after it, and leaves the new one alone
    EXPECT_TRUE(this->view->read([&](const auto&) {
      inside.count_down();
      gone.wait();
    }));
  });
  inside.wait();
  fs::remove_all(this->files());
  this->expect_stopped(errc::not_found, says);
  this->projector->resume();
  this->expect_following();
  gone.count_down();
  reader.join();
  EXPECT_TRUE(fs::exists(
    this->files() / (std::is_same_v<TypeParam, lmdb_tallies> ? "synced" : "view.sqlite-wal")));

  fs::remove(this->file());
  this->expect_stopped(errc::not_found, says);
  const auto reset = this->projector->reset();
  ASSERT_TRUE(reset) << reset.error().message();
  this->expect_following();

  fs::rename(this->files(), this->store() / "views" / "elsewhere");
  this->expect_stopped(errc::not_found, says);
  const auto started = this->start();
  ASSERT_TRUE(started) << started.error().message();
  this->expect_whole();
}

TYPED_TEST(read_side_failures, a_file_that_is_damaged_before_it_is_opened) {
  this->begin();
  this->close();
  this->overwrite(1, '\xff');
  this->open();
  this->expect_not_started(errc::corrupt, {this->file().string(), "emove ", "made anew"});
  fs::remove_all(this->files());
  ASSERT_TRUE(this->start());
  this->expect_whole();
}

TYPED_TEST(read_side_failures, a_file_that_is_found_damaged_or_cut_while_it_is_open) {
  // Also what says what it is, as it is opened again.
  const std::uint64_t first_page = std::is_same_v<TypeParam, lmdb_tallies> ? 2 : 1;
  for (const auto& [is_cut, by_hand] :
       {std::pair(false, true), std::pair(false, false), std::pair(true, true)}) {
    this->begin();
    this->close();
    this->open();
    ASSERT_TRUE(this->start({.paused = true})); // so that its pages are not in memory yet
    if (is_cut)
      fs::resize_file(this->file(), first_page * 4'096);
    else
      this->overwrite(first_page, '\0');
    this->projector->resume();
    this->expect_stopped(errc::corrupt, {this->file().string(), "emove ", "made anew"});
    this->projector->resume(); // too early
    this->expect_stopped(errc::corrupt, {this->file().string(), "emove ", "made anew"});
    if (by_hand) {
      fs::remove_all(this->files());
      this->projector->resume();
    } else {
      const auto reset = this->projector->reset();
      ASSERT_TRUE(reset) << reset.error().message();
    }
    this->expect_whole();
    this->close();
  }
}

TYPED_TEST(read_side_failures, a_directory_that_may_not_be_written) {
  fs::permissions(this->directory.path(), fs::perms::all);
  const auto writable = [](const fs::path& path, bool is) {
    EXPECT_EQ(::chmod(path.c_str(), is ? 0755 : 0555), 0);
  };
  EXPECT_EQ(
    in_child([&] { // which is no superuser
      if (::geteuid() == 0
          && (::setgroups(0, nullptr) != 0 || ::setgid(65'534) != 0 || ::setuid(65'534) != 0))
        return 2;
      this->open();
      fs::create_directory(this->store() / "views");
      writable(this->store() / "views", false);
      this->expect_not_started(errc::permission_denied, {this->files().string(), "write"});
      writable(this->store() / "views", true);
      EXPECT_TRUE(this->start());
      this->expect_following();

      writable(this->files(), false); // it has what it needs open
      this->expect_following();
      writable(this->files(), true); // to be closed
      this->projector.reset();
      this->view.reset();
      writable(this->files(), false);
      this->expect_not_started(errc::permission_denied, {this->files().string(), "write"});
      writable(this->files(), true);
      EXPECT_TRUE(this->start());
      this->expect_whole();
      this->close();
      std::fflush(stdout);
      return testing::Test::HasFailure() ? 1 : 0;
    }),
    0);
}

TYPED_TEST(read_side_failures, a_file_of_another_log) {
  this->begin();
  this->close();
  fs::rename(this->store(), this->directory.path() / "other");
  this->open();
  fs::create_directory(this->store() / "views");
  fs::copy(this->directory.path() / "other" / "views", this->store() / "views",
           fs::copy_options::recursive);
  const bool in_lmdb = std::is_same_v<TypeParam, lmdb_tallies>;
  this->expect_not_started(
    in_lmdb ? errc::corrupt : errc::foreign_store,
    {this->file().string(), in_lmdb ? "another store" : "it is of store ", "emove ", "made anew"});
  fs::remove_all(this->files());
  ASSERT_TRUE(this->start());
  this->expect_whole();
}

TYPED_TEST(read_side_failures, a_file_that_is_ahead_of_its_log) {
  this->begin();
  this->close();
  const auto backup = this->directory.path() / "backup";
  fs::copy(this->store() / "log", backup);
  this->begin();
  this->close();
  fs::remove_all(this->store() / "log");
  fs::rename(backup, this->store() / "log");
  this->engine = runtime::engine::open<wallet>(storage::open_log(this->store()).value()).value();
  const auto started = this->start(); // before there are as many events again
  ASSERT_FALSE(started);
  this->expect_said(started.error(), errc::corrupt,
                    {this->file().string(), "ahead of ", "emove ", "made anew"});
  this->commands.emplace(*this->engine);
  fs::remove_all(this->files());
  ASSERT_TRUE(this->start());
  this->expect_whole();
}

} // namespace
} // namespace acta::tests
