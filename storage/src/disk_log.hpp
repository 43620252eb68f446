#pragma once

#include "dictionary.hpp"
#include "lmdb_environment.hpp"
#include "log_environment.hpp"
#include "store_hold.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <lmdb.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::storage {

[[nodiscard]] inline MDB_val key_of(const std::uint64_t& position) noexcept {
  return {sizeof position, const_cast<std::uint64_t*>(&position)};
}

/// The log of a store on disk, whoever opened it: all that reading needs. What knows its tail, a
/// writer or a reader, derives from it.
class disk_log : public event_log {
public:
  [[nodiscard]] result<std::unique_ptr<log_snapshot>> snapshot() const override;

  [[nodiscard]] std::string_view category_name(category_id id) const noexcept override {
    return categories_.name(id);
  }
  [[nodiscard]] std::string_view event_type_name(event_type_id id) const noexcept override {
    return event_types_.name(id);
  }
  [[nodiscard]] result<std::vector<std::byte>> schema(event_type_id id) const override;
  [[nodiscard]] std::string_view store_id() const noexcept override { return store_id_; }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept override {
    return directory_;
  }

  /// Where the log began when the snapshot was taken. errc::store_in_use if that has changed.
  [[nodiscard]] result<log_start> start_of(const log_snapshot& now) const;

  [[nodiscard]] const log_environment& environment() const noexcept { return environment_; }
  [[nodiscard]] const lmdb_readers& readers() const noexcept { return readers_; }

protected:
  disk_log(std::filesystem::path directory, store_hold held, log_environment environment)
      : directory_(std::move(directory)), held_(std::move(held)),
        environment_(std::move(environment)) {}

  /// Reads the store's id and its names, and checks that positions have no gap, and that it is no
  /// part of a copy, unless the copying goes on: `is_copied`. Returns the last one.
  [[nodiscard]] result<log_position> read_what_is_there(bool is_copied);

private:
  [[nodiscard]] result<log_position> check_range(MDB_txn* in, bool is_copied) const;

protected:
  std::filesystem::path directory_;
  std::string store_id_;
  store_hold held_; ///< Let go when the environment is closed.
  log_environment environment_;
  lmdb_readers readers_{environment_.lmdb()};
  // A reader adds what it meets and did not know. They are thread-safe.
  mutable dictionary<category_id> categories_;
  mutable dictionary<event_type_id> event_types_;
};

/// That `log/data.mdb` is not that of the store which was made in this directory.
[[nodiscard]] std::unexpected<error> not_its_log(const std::filesystem::path& directory,
                                                 std::string_view what, std::string_view made);

} // namespace acta::storage
