#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/event_log.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

/// For tests: logs around a log, which fail, wait or do otherwise what the test is about.
namespace acta::storage {

/// Passes everything on to a log, which it shares: the test may keep that log, and put one engine
/// after the other over it. Derive from it, and override what is to be different.
///
/// Threads, durability and errors: those of the log. Only one at a time may append.
class forwarding_log : public event_log {
public:
  explicit forwarding_log(std::shared_ptr<event_log> to);

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override;
  log_position tail() const noexcept override;
  log_position synced_tail() const noexcept override;
  void on_sync(const sync_listener& listener) override;
  result<std::unique_ptr<log_snapshot>> snapshot() const override;
  result<category_id> register_category(std::string_view name) override;
  result<event_type_id> register_event_type(std::string_view name) override;
  std::string_view category_name(category_id id) const noexcept override;
  std::string_view event_type_name(event_type_id id) const noexcept override;
  result<void> put_schemas(std::span<const event_schema> schemas) override;
  result<std::vector<std::byte>> schema(event_type_id id) const override;
  storage::durability durability() const noexcept override;
  std::string_view store_id() const noexcept override;
  const std::filesystem::path& directory() const noexcept override;

private:
  std::shared_ptr<event_log> to_;
};

/// The switches of a faulty_log: held by the test, while an engine has the log. Any thread.
class log_faults {
public:
  /// The next commit fails with `why`, and nothing of it is stored. As event_log::append() has it,
  /// that log appends no more, and an engine over it stops. The next log over the same events is
  /// sound.
  void fail_next_commit(error why = told_to_fail()) { fail_commit(1, std::move(why)); }
  /// As fail_next_commit(), for the n-th commit from now on; 1 is the next.
  void fail_commit(std::size_t nth, error why = told_to_fail());

  /// From now on commits wait, on the thread that commits, until they are released. Release them
  /// before the engine ends, which waits for them; not for an engine without threads, which commits
  /// in a step of its own.
  void hold_commits();
  /// Blocks until a commit waits.
  void wait_for_held_commit();
  void release_commits();

  /// From now on no snapshot of the log can be taken, for this reason: an aggregate that is not in
  /// memory is not loaded, and the index does not go on. Snapshots that there are serve, also those
  /// that projectors and process managers hold.
  void fail_reads(error why = told_to_fail());
  void heal_reads();

  /// errc::io.
  [[nodiscard]] static error told_to_fail();

private:
  friend class faulty_log;
  [[nodiscard]] std::optional<error> before_commit();
  [[nodiscard]] std::optional<error> before_read();

  struct failing_commit {
    std::size_t nth;
    error why;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::size_t waiting_ = 0;    ///< Since the last release.
  std::uint64_t released_ = 0; ///< How often.
  std::optional<failing_commit> failing_;
  std::optional<error> reads_;
};

/// `log` with these faults; none are on at first. Commits are appends of records: registering names
/// and schemas is not.
///
///     const std::shared_ptr<event_log> log = make_memory_log();
///     const auto faults = std::make_shared<log_faults>();
///     auto engine = *runtime::engine::open<account>(make_faulty_log(log, faults));
///     faults->fail_next_commit();
///     EXPECT_EQ(engine->ask<account>(42, deposit{10}).error().code(), errc::commit_failed);
[[nodiscard]] std::unique_ptr<event_log> make_faulty_log(std::shared_ptr<event_log> log,
                                                         std::shared_ptr<log_faults> faults);

} // namespace acta::storage
