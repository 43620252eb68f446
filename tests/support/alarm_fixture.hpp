#pragma once

#include "alarm.hpp"
#include "scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {

/// A timer that fired.
struct ring {
  std::uint64_t key;
  std::int64_t bell;
  std::int64_t at_ns;
  bool operator==(const ring&) const = default;
};
inline std::ostream& operator<<(std::ostream& to, const ring& one) {
  return to << "alarm/" << one.key << ": " << one.bell << " at " << one.at_ns;
}
using rings = std::vector<ring>;

/// A store of alarms in memory or on disk, under one engine after the other, which tests run step
/// by step.
class alarm_fixture : public ::testing::TestWithParam<storage::durability> {
  scratch_directory directory_; // the engine ends before what it writes to
  std::mutex mutex_;

protected:
  void SetUp() override {
    alarm::throws = false;
    open_log();
  }
  void open_log() {
    log.reset();
    if (GetParam() == storage::durability::memory) {
      log = storage::make_memory_log();
      return;
    }
    auto opened = storage::open_log(store(), {.durability = GetParam()});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
  }
  [[nodiscard]] bool on_disk() const { return GetParam() != storage::durability::memory; }
  [[nodiscard]] std::filesystem::path store() const { return directory_.path() / "store"; }

  void open(runtime::engine_options options = {}) {
    options.deterministic_seed = seed++;
    open_as_it_is(std::move(options));
  }
  void open_as_it_is(runtime::engine_options options) {
    engine.reset();
    if (options.clock == &wall_clock())
      options.clock = &now;
    options.warning = [this](const error& one) {
      const std::lock_guard guard(mutex_);
      warnings.push_back(one.message());
    };
    auto opened =
      runtime::engine::open<alarm>(storage::make_faulty_log(log, faults_), std::move(options));
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
  }
  /// What a kill and a start would do, but for what stop() does.
  void reopen(runtime::engine_options options = {}) {
    engine.reset();
    open(std::move(options));
  }

  runtime::outcome set(std::uint64_t key, timer_id which, std::int64_t due_ns,
                       set_bell::end how = set_bell::end::accept) {
    return engine->ask<alarm>(key, set_bell{which, due_ns, how});
  }
  /// Does all there is to do by then.
  void run_to(std::int64_t time_ns) {
    now.advance_ns(time_ns - now.now_ns());
    engine->run_until_idle();
  }

  /// All that fired, in the order of the log.
  [[nodiscard]] rings rung() const {
    rings all;
    const auto snapshot = log->snapshot();
    const auto cursor = (*snapshot)->scan((*snapshot)->first());
    for (auto some = (*cursor)->next(); some && !some->empty(); some = (*cursor)->next())
      for (const auto& record : *some)
        if (log->event_type_name(record.event_type()) == added::GetFullyQualifiedName())
          all.push_back({record.integer_key(),
                         flatbuffers::GetRoot<added>(record.payload().data())->amount(),
                         record.header().recorded_at_ns});
    return all;
  }

  manual_clock now{1'000};
  std::uint64_t seed = 1;
  std::shared_ptr<storage::event_log> log;
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
  std::vector<std::string> warnings;
  std::unique_ptr<runtime::engine> engine;
};

inline const auto alarm_logs =
  ::testing::Values(storage::durability::memory, storage::durability::process);

[[nodiscard]] inline std::string
name_of_alarm_log(const ::testing::TestParamInfo<storage::durability>& of) {
  return std::string(storage::name(of.param));
}

} // namespace acta::tests
