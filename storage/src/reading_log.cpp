#include "disk_log.hpp"
#include "environment_lock.hpp"
#include "lmdb_error.hpp"
#include "store_directory.hpp"
#include "synced_point.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace acta::storage {

namespace {

/// The log of a store that another process may be writing. Its tail is LMDB's.
class reading_log final : public disk_log {
public:
  reading_log(std::filesystem::path directory, store_hold held, log_environment environment)
      : disk_log(std::move(directory), std::move(held), std::move(environment)) {}

  [[nodiscard]] result<void> start() {
    const auto last = read_what_is_there(false);
    if (!last)
      return std::unexpected(last.error());
    tail_.store(last->value(), std::memory_order_release);
    return {};
  }

  [[nodiscard]] log_position tail() const noexcept override;
  [[nodiscard]] log_position synced_tail() const noexcept override { return log_position(0); }
  [[nodiscard]] storage::durability durability() const noexcept override {
    return durability::process;
  }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept override { return none_; }
  [[nodiscard]] std::string_view category_name(category_id id) const noexcept override {
    return name_of(categories_, id);
  }
  [[nodiscard]] std::string_view event_type_name(event_type_id id) const noexcept override {
    return name_of(event_types_, id);
  }

  // What follows is for writers, and out of reach: the log is handed out const.
  [[nodiscard]] result<log_position> append(std::span<const std::span<const std::byte>> /*records*/,
                                            std::int64_t /*recorded_at_ns*/) override {
    return refuse();
  }
  [[nodiscard]] result<category_id> register_category(std::string_view /*name*/) override {
    return refuse();
  }
  [[nodiscard]] result<event_type_id> register_event_type(std::string_view /*name*/) override {
    return refuse();
  }
  [[nodiscard]] result<void> put_schemas(std::span<const event_schema> /*schemas*/) override {
    return refuse();
  }

private:
  /// A name that the writer has added since is read when it is met.
  template <class Id>
  [[nodiscard]] std::string_view name_of(const dictionary<Id>& names, Id id) const noexcept {
    if (const auto known = names.name(id); !known.empty() || id == Id(0))
      return known;
    if (auto reader = readers_.begin()) {
      // If they cannot be read, the name is not known.
      [[maybe_unused]] const auto read =
        environment_.read_names(*reader, categories_, event_types_);
      readers_.end(*reader);
    }
    return names.name(id);
  }
  [[nodiscard]] std::unexpected<error> refuse() const {
    return failure(errc::invalid_argument,
                   fmt::format("store '{}' is open for reading; open_log() opens it for writing",
                               directory_.string()));
  }

  const std::filesystem::path none_;
  mutable std::atomic<std::uint64_t> tail_{0};
  mutable std::atomic<std::size_t> seen_{0}; ///< The transaction that tail_ is of.
};

log_position reading_log::tail() const noexcept {
  MDB_envinfo info{};
  mdb_env_info(environment_.get(), &info);
  auto known = tail_.load(std::memory_order_acquire);
  if (info.me_last_txnid == seen_.load(std::memory_order_acquire))
    return log_position(known);
  auto reader = readers_.begin();
  if (!reader) // all slots are taken, perhaps: what was seen last is true all the same
    return log_position(known);
  const auto last = environment_.last_position(*reader);
  const auto transaction = mdb_txn_id(*reader);
  readers_.end(*reader);
  if (!last)
    return log_position(known);
  while (known < last->value() && !tail_.compare_exchange_weak(known, last->value())) {
  }
  seen_.store(transaction, std::memory_order_release);
  return log_position(std::max(known, last->value()));
}

[[nodiscard]] result<void> check_is_store(const std::filesystem::path& directory) {
  const auto data = directory / "log" / "data.mdb";
  struct stat found{};
  if (::stat(data.c_str(), &found) != 0 && errno != ENOENT && errno != ENOTDIR)
    return system_failure(errno, data, "looking at it");
  if (found.st_size > 0)
    return {};
  if (const auto made = read_store_id(directory); made && !made->empty())
    return not_its_log(directory, "is missing or empty", *made);
  return failure(errc::not_found,
                 fmt::format("'{}' is no Acta store: it has no 'log/data.mdb', or an empty one; "
                             "check the path",
                             directory.string()));
}

/// True if the environment has the file that is in the directory now, and not one that
/// somebody has replaced meanwhile, by putting a backup in its place.
[[nodiscard]] bool is_current(const lmdb_environment& environment) {
  mdb_filehandle_t open{};
  struct stat has{};
  struct stat there{};
  return mdb_env_get_fd(environment.get(), &open) == MDB_SUCCESS && ::fstat(open, &has) == 0
         && ::stat(environment.path().c_str(), &there) == 0 && has.st_ino == there.st_ino
         && has.st_dev == there.st_dev;
}

[[nodiscard]] result<log_environment> open_environment(const std::filesystem::path& directory) {
  const auto kept = environment_lock::for_opening(directory / "log"); // from compact()
  if (!kept)
    return std::unexpected(kept.error());
  constexpr int attempts = 3; // it is not replaced twice in a row
  for (int attempt = 0; attempt < attempts; ++attempt) {
    auto environment =
      log_environment::open(directory / "log", {.map_size = 0, .flags = MDB_RDONLY});
    if (!environment || is_current(environment->lmdb()))
      return environment;
  }
  return failure(errc::store_in_use,
                 fmt::format("store '{}' is being replaced; open it again", directory.string()));
}

} // namespace

result<std::unique_ptr<const event_log>>
open_log_for_reading(const std::filesystem::path& directory) {
  if (auto there = check_is_store(directory); !there)
    return failure(there);
  auto held = store_hold::for_reading(directory);
  if (!held)
    return failure(held);
  if (auto readable = synced_point::check_not_needed(directory / "log"); !readable)
    return failure(readable);
  auto environment = open_environment(directory);
  if (!environment)
    return failure(environment);
  if (environment->is_new())
    return failure(errc::not_found, fmt::format("'{}' is a store that was never made whole; open "
                                                "it for writing, or remove it",
                                                directory.string()));
  if (auto checked = environment->check_format(); !checked)
    return failure(checked);
  const auto made = read_store_id(directory);
  if (!made)
    return std::unexpected(made.error());
  auto log = std::make_unique<reading_log>(directory, std::move(*held), std::move(*environment));
  if (auto started = log->start(); !started)
    return failure(started);
  ensure(!log->store_id().empty(), "what is open has an id");
  if (!made->empty() && *made != log->store_id())
    return not_its_log(directory, fmt::format("is of store {}", log->store_id()), *made);
  return log;
}

} // namespace acta::storage
