#pragma once

#include <acta/storage/event_log.hpp>

#include <pthread.h>

#include <array>
#include <atomic>
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

/// Logs around a log, for tests that need to hold, fail or outlive an engine's appends.
namespace acta::tests {

/// Passes everything on to a log that several of these may share, one after the other.
class shared_log : public storage::event_log {
public:
  explicit shared_log(std::shared_ptr<storage::event_log> to) : to_(std::move(to)) {}

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override {
    return to_->append(records, recorded_at_ns);
  }
  log_position tail() const noexcept override { return to_->tail(); }
  log_position synced_tail() const noexcept override { return to_->synced_tail(); }
  void on_sync(const sync_listener& listener) override { to_->on_sync(listener); }
  result<std::unique_ptr<storage::log_snapshot>> snapshot() const override {
    return to_->snapshot();
  }
  result<category_id> register_category(std::string_view name) override {
    return to_->register_category(name);
  }
  result<event_type_id> register_event_type(std::string_view name) override {
    return to_->register_event_type(name);
  }
  std::string_view category_name(category_id id) const noexcept override {
    return to_->category_name(id);
  }
  std::string_view event_type_name(event_type_id id) const noexcept override {
    return to_->event_type_name(id);
  }
  result<void> put_schemas(std::span<const storage::event_schema> schemas) override {
    return to_->put_schemas(schemas);
  }
  result<std::vector<std::byte>> schema(event_type_id id) const override { return to_->schema(id); }
  storage::durability durability() const noexcept override { return to_->durability(); }
  std::string_view store_id() const noexcept override { return to_->store_id(); }
  const std::filesystem::path& directory() const noexcept override { return to_->directory(); }

private:
  std::shared_ptr<storage::event_log> to_;
};

/// Holds appends of records back while its gate is closed, and fails them when told to.
class gate {
public:
  void close() {
    const std::lock_guard guard(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard guard(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  /// The n-th append of records from now on fails (1 is the next), and all after it.
  void fail_append(int n) { appends_until_failure_ = n; }
  /// Waits until an append stands at the closed gate.
  void wait_for_arrival() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return arrived_ > 0; });
  }

  /// Called by the log.
  [[nodiscard]] bool pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --arrived_;
    if (!appends_until_failure_)
      return true;
    if (*appends_until_failure_ > 1) {
      --*appends_until_failure_;
      return true;
    }
    return false;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int arrived_ = 0;
  std::optional<int> appends_until_failure_;
};

class gated_log final : public shared_log {
public:
  gated_log(std::shared_ptr<storage::event_log> to, std::shared_ptr<gate> at)
      : shared_log(std::move(to)), gate_(std::move(at)) {}

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override {
    if (!records.empty() && !gate_->pass())
      return failure(errc::no_space, "gated_log: told to fail: no space left on device");
    return shared_log::append(records, recorded_at_ns);
  }

private:
  std::shared_ptr<gate> gate_;
};

/// Holds the thread of an index where it begins to write a batch, while its gate is closed, and
/// fails it there, so many times.
class held_index_log final : public shared_log {
public:
  struct state {
    gate at;
    std::atomic<int> failures{0};
  };
  held_index_log(std::shared_ptr<storage::event_log> to, std::shared_ptr<state> by)
      : shared_log(std::move(to)), by_(std::move(by)) {}

  result<std::unique_ptr<storage::log_snapshot>> snapshot() const override {
    if (is_indexer() && by_->at.pass() && by_->failures > 0) {
      --by_->failures;
      by_->failures.notify_all();
      return failure(errc::io, "held_index_log: told to fail");
    }
    return shared_log::snapshot();
  }

private:
  [[nodiscard]] static bool is_indexer() {
    std::array<char, 16> name{};
    return ::pthread_getname_np(::pthread_self(), name.data(), name.size()) == 0
           && std::string_view(name.data()) == "acta.indexer";
  }

  std::shared_ptr<state> by_;
};

/// Whose housekeeper cannot read it, while told so: the index falls behind.
class unreadable_log final : public shared_log {
public:
  unreadable_log(std::shared_ptr<storage::event_log> to, std::shared_ptr<std::atomic<bool>> fails)
      : shared_log(std::move(to)), fails_(std::move(fails)) {}

  result<std::unique_ptr<storage::log_snapshot>> snapshot() const override {
    std::array<char, 16> name{};
    const bool is_named = ::pthread_getname_np(::pthread_self(), name.data(), name.size()) == 0;
    if (*fails_ && is_named && std::string_view(name.data()) == "acta.housekeep")
      return failure(errc::io, "unreadable_log: told to fail");
    return shared_log::snapshot();
  }

private:
  std::shared_ptr<std::atomic<bool>> fails_;
};

} // namespace acta::tests
