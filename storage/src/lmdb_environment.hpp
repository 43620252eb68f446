#pragma once

#include "dictionary.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace acta::storage {

inline constexpr std::string_view category_prefix = "category:";
inline constexpr std::string_view event_type_prefix = "event_type:";

/// The key of a name in `meta`: the prefix and five digits, so that they are in order.
[[nodiscard]] std::string name_key(std::string_view prefix, std::uint16_t id);

/// The LMDB environment of a log, with its two databases open: `events` (position -> record) and
/// `meta` (text -> bytes). Flags: MDB_NOTLS, so that a snapshot may move between threads; LMDB's
/// default sync, so that a commit is on the device when it returns; no MDB_WRITEMAP.
class lmdb_environment {
public:
  [[nodiscard]] static result<lmdb_environment> open(const std::filesystem::path& directory,
                                                     std::size_t map_size);

  [[nodiscard]] MDB_env* get() const noexcept { return environment_.get(); }
  [[nodiscard]] MDB_dbi events() const noexcept { return events_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  /// True if there is nothing in it: no store was made of it yet.
  [[nodiscard]] bool is_new() const noexcept { return meta_ == 0; }
  /// The store's id as 32 hexadecimal digits.
  [[nodiscard]] result<std::string> store_id() const;
  /// Checks that `meta` is of this format, or makes it if the environment is new.
  [[nodiscard]] result<void> check_or_make_format(std::int64_t now_ns);
  [[nodiscard]] result<void> read_names(MDB_txn* in, dictionary<category_id>& categories,
                                        dictionary<event_type_id>& event_types) const;
  /// The last position as `in` sees it; 0 if there are no events.
  [[nodiscard]] result<log_position> last_position(MDB_txn* in) const;
  [[nodiscard]] result<std::uint64_t> count_events(MDB_txn* in) const;
  /// Stores one entry of `meta` in a transaction of its own.
  [[nodiscard]] result<void> put_meta(std::string_view name, std::string_view text);

private:
  struct closer {
    void operator()(MDB_env* environment) const noexcept { mdb_env_close(environment); }
  };

  lmdb_environment(std::filesystem::path path, MDB_env* environment)
      : path_(std::move(path)), environment_(environment) {}

  [[nodiscard]] result<void> check_size() const;
  [[nodiscard]] result<void> open_databases();
  [[nodiscard]] result<void> make_format(std::int64_t now_ns);
  [[nodiscard]] result<void> check_format(std::string_view stored) const;
  [[nodiscard]] result<std::string> get_meta(std::string_view name) const;

  std::filesystem::path path_;
  std::unique_ptr<MDB_env, closer> environment_;
  MDB_dbi events_ = 0;
  MDB_dbi meta_ = 0;
};

/// A write transaction that is aborted unless it was committed.
class lmdb_write {
public:
  [[nodiscard]] static result<lmdb_write> begin(const lmdb_environment& in);
  lmdb_write(lmdb_write&& other) noexcept
      : in_(other.in_), transaction_(std::exchange(other.transaction_, nullptr)) {}
  lmdb_write& operator=(lmdb_write&&) = delete;
  ~lmdb_write() {
    if (transaction_ != nullptr)
      mdb_txn_abort(transaction_);
  }

  [[nodiscard]] MDB_txn* get() const noexcept { return transaction_; }
  [[nodiscard]] result<void> commit();

private:
  lmdb_write(const lmdb_environment& in, MDB_txn* transaction) noexcept
      : in_(&in), transaction_(transaction) {}

  const lmdb_environment* in_;
  MDB_txn* transaction_;
};

} // namespace acta::storage
