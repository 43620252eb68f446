#pragma once

#include "dictionary.hpp"
#include "lmdb_environment.hpp"
#include "store_format.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace acta::storage {

/// What makes a store that store, and a copy of it a copy.
struct store_identity {
  std::array<std::uint8_t, store_id_size> id;
  std::int64_t created_at_ns;

  /// A new one, with a random id.
  [[nodiscard]] static store_identity make(std::int64_t now_ns);
  /// The id as 32 hexadecimal digits.
  [[nodiscard]] std::string text() const;
};

/// From the first position to the last. An empty log's last is the one before its first.
struct log_range {
  log_position first{1};
  log_position last{};

  [[nodiscard]] bool is_empty() const noexcept { return last < first; }
};

/// The LMDB environment of a log, with its two databases open: `events` (position -> record) and
/// `meta` (text -> bytes).
class log_environment {
public:
  [[nodiscard]] static result<log_environment> open(const std::filesystem::path& directory,
                                                    const lmdb_options& options);

  [[nodiscard]] const lmdb_environment& lmdb() const noexcept { return environment_; }
  [[nodiscard]] MDB_env* get() const noexcept { return environment_.get(); }
  [[nodiscard]] MDB_dbi events() const noexcept { return events_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return environment_.path(); }

  /// True if there is nothing in it: no store was made of it yet.
  [[nodiscard]] bool is_new() const noexcept { return meta_ == 0; }
  [[nodiscard]] result<store_identity> identity() const;
  /// Checks that `meta` is of this format, or makes it if the environment is new.
  [[nodiscard]] result<void> check_or_make_format(const store_identity& of_new);
  [[nodiscard]] result<void> check_format() const;
  /// Reads the names that are not in the dictionaries yet.
  [[nodiscard]] result<void> read_names(MDB_txn* in, dictionary<category_id>& categories,
                                        dictionary<event_type_id>& event_types) const;
  /// The positions there are, as `in` sees them: told by the last and how many there are.
  [[nodiscard]] result<log_range> range(MDB_txn* in) const;
  /// The last of them; of an empty log the one before the first.
  [[nodiscard]] result<log_position> last_position(MDB_txn* in) const;
  /// The position of the first record; 0 if there is none.
  [[nodiscard]] result<log_position> first_key(MDB_txn* in) const;
  /// Where the log begins, as `meta` says. errc::corrupt if that is damaged.
  [[nodiscard]] result<log_start> start(MDB_txn* in) const;
  /// A write transaction for about so many bytes. See room_ahead in the source.
  [[nodiscard]] result<lmdb_write> begin_write(std::size_t bytes) const;
  /// Deletes records from the front, up to one before `end`, in a transaction of
  /// limits::copy_batch_size, and keeps where the log begins then, and `archive` for messages.
  [[nodiscard]] result<log_start> cut_front(log_position end, std::string_view archive) const;
  /// Stores entries of `meta`, name and value, each with its checksum, in one transaction of their
  /// own.
  [[nodiscard]] result<void>
  put_meta(std::span<const std::pair<std::string, std::string>> entries) const;
  /// The same of one entry, in a transaction.
  [[nodiscard]] result<void> put_meta(MDB_txn* in, std::string_view name,
                                      std::string_view text) const;
  /// The value of an entry of `meta`; empty if there is none. Its checksum is not looked at.
  [[nodiscard]] result<std::string> get_meta(std::string_view name) const;
  /// The same, and errc::corrupt if it does not have the checksum it was stored with.
  [[nodiscard]] result<std::string> get_sound_meta(std::string_view name) const;

private:
  explicit log_environment(lmdb_environment opened) noexcept : environment_(std::move(opened)) {}

  [[nodiscard]] result<void> open_databases();
  [[nodiscard]] result<void> make_format(const store_identity& of);
  [[nodiscard]] result<std::string> get_meta(MDB_txn* in, std::string_view name) const;

  lmdb_environment environment_;
  MDB_dbi events_ = 0;
  MDB_dbi meta_ = 0;
  bool has_free_pages_ = false; ///< Something was archived when it was opened.
};

} // namespace acta::storage
