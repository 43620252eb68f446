#pragma once

#include "desk.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/runtime/process_manager.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {

/// What a manager has noted.
[[nodiscard]] inline runtime::process_progress progress_of(runtime::engine& in,
                                                           std::string_view name = clerk::name) {
  using runtime::process_journal;
  const auto journal = *stream_id::from_text(in.category<process_journal>(), name);
  const auto read = in.ask<process_journal>(journal, runtime::read_process_progress{});
  EXPECT_TRUE(read) << read.error().message();
  return read ? *read->reply : runtime::process_progress{};
}

/// A desk, wallets and the clerk between them, over a log in memory that outlives engines.
class process_fixture : public testing::Test {
protected:
  using manager = runtime::process_manager;

  void open(runtime::engine_options options = {}) {
    options.workers = options.workers == 0 ? 2 : options.workers;
    auto opened = runtime::engine::open<desk, wallet, runtime::process_journal>(
      storage::make_faulty_log(log, faults_), options);
    ASSERT_TRUE(opened) << opened.error().message();
    engine_ = std::move(*opened);
  }
  void start(const runtime::process_options& options = {}) {
    auto started = manager::start<clerk>(*engine_, options);
    ASSERT_TRUE(started) << started.error().message();
    clerk_ = std::move(*started);
  }
  void open_and_start() {
    open();
    start();
  }
  void close() {
    clerk_.reset();
    engine_.reset();
    snapshot_.reset(); // of what records() returned, before the log is closed
  }
  void restart() {
    close();
    open_and_start();
  }

  /// Where the event is.
  log_position ask(const ask_for& what, runtime::command_options with = {}) {
    with.wait_for_room = std::chrono::seconds(10);
    const auto asked = engine_->ask<desk>(1, what, with);
    EXPECT_TRUE(asked) << asked.error().message();
    return asked ? asked->position : log_position();
  }
  void put(std::uint64_t key, std::int64_t amount) {
    ASSERT_TRUE(engine_->ask<wallet>(key, put_in{amount}));
  }
  /// Asks, and waits until the clerk has done it.
  void done(const ask_for& what) {
    const auto settled = clerk_->wait_for(ask(what), std::chrono::seconds(10));
    ASSERT_TRUE(settled) << settled.error().message();
  }
  /// Asks, and waits until the clerk has stopped in front of it.
  error stops_at(const ask_for& what) {
    const auto at = ask(what);
    const auto settled = clerk_->wait_for(at, std::chrono::seconds(10));
    EXPECT_FALSE(settled);
    EXPECT_LT(clerk_->position(), at);
    EXPECT_FALSE(clerk_->status());
    return settled ? error(errc::not_found, "it did not stop") : settled.error();
  }

  /// What was put into and taken out of wallets, in order: "7:+5".
  std::vector<std::string> moved() const {
    std::vector<std::string> all;
    for (const auto& record : records("wallet")) {
      const auto amount = flatbuffers::GetRoot<added>(record.payload().data())->amount();
      all.push_back(std::to_string(record.integer_key()) + (amount < 0 ? ":" : ":+")
                    + std::to_string(amount));
    }
    return all;
  }
  std::vector<storage::record_view> records(std::string_view category) const {
    std::vector<storage::record_view> all;
    snapshot_ = std::move(*log->snapshot());
    for (auto at = snapshot_->first(); at <= snapshot_->tail(); at = at.next()) {
      const auto record = snapshot_->at(at);
      EXPECT_TRUE(record);
      if (log->category_name(category_id(record->header().category)) == category)
        all.push_back(*record);
    }
    return all;
  }

  using steps = std::vector<std::string>;

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
  std::unique_ptr<runtime::engine> engine_;
  std::unique_ptr<manager> clerk_; // ends before the engine

private:
  mutable std::unique_ptr<storage::log_snapshot> snapshot_;
};

} // namespace acta::tests
