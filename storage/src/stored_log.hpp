#pragma once

#include "lmdb_file.hpp"
#include "lmdb_tree.hpp"
#include "record_verifier.hpp"
#include "store_format.hpp"
#include "writer_lock.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {

/// Holds a store that nobody has open, and takes it back to its last sync if opening it would.
/// errc::not_found or foreign_store if there is none.
[[nodiscard]] result<writer_lock> lock_closed_store(const std::filesystem::path& store);

/// A store's log read from its file without LMDB: what can be read of it, whatever is damaged.
/// Nobody may have the store open. What is wrong is told to the sink it was opened with.
class stored_log {
public:
  /// By its data file, `<store>/log/data.mdb`. Errors: those of lmdb_file::open().
  [[nodiscard]] static result<stored_log> open(const std::filesystem::path& path,
                                               lmdb_file::problem_sink problems);

  [[nodiscard]] lmdb_file& file() noexcept { return file_; }

  /// Reads the databases and `meta`, and checks its entries. errc::foreign_store or newer_format if
  /// it says, undamaged, that it is not for this Acta.
  [[nodiscard]] result<void> read_dictionary();

  /// The entries of `meta` whose checksums fit.
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& meta() const noexcept {
    return meta_;
  }
  /// By number, from 1; empty where one is lost.
  [[nodiscard]] std::vector<std::string>& categories() noexcept { return categories_; }
  [[nodiscard]] std::vector<std::string>& event_types() noexcept { return event_types_; }
  /// Of this log, which must outlive it.
  [[nodiscard]] type_names names() const;

  /// Where it begins. If the entry that says so is damaged, where the first record is that
  /// check_records() met.
  [[nodiscard]] const log_start& start() const noexcept { return start_; }

  /// How many records there are to be. 0 if that cannot be told.
  [[nodiscard]] std::uint64_t expected() const noexcept { return expected_; }
  /// The last position there is to be.
  [[nodiscard]] log_position last() const noexcept {
    return log_position(start_.first.value() + expected_ - 1);
  }

  /// Gives each record to `with` in order, and then to `seen`, if it reads, with whether it was
  /// sound; then checks the pages that are left. `progress` is told of the records looked at and
  /// how many there should be.
  void check_records(record_verifier& with,
                     const std::function<void(std::uint64_t done, std::uint64_t of)>& progress,
                     const std::function<void(const record_view&, bool sound)>& seen);

  /// Shows each record that reads, in order. After read_dictionary().
  void each_record(const std::function<void(const record_view&)>& show);

private:
  explicit stored_log(lmdb_file file, std::filesystem::path path)
      : file_(std::move(file)), path_(std::move(path)) {}

  void read_meta(const lmdb_tree& tree);
  [[nodiscard]] result<void> check_meta();
  [[nodiscard]] bool check_checksum(std::string_view key, std::string_view value);
  void read_start();
  void read_names(std::string_view prefix, std::vector<std::string>& names);
  void tell(std::string_view key, const std::string& what);

  lmdb_file file_;
  std::filesystem::path path_;
  std::vector<lmdb_tree> trees_;
  std::map<std::string, std::string, std::less<>> meta_;
  std::map<std::string, std::string, std::less<>> checksums_; ///< By the key they are of.
  std::map<std::string, std::uint64_t, std::less<>> bytes_;   ///< Where an entry of `meta` lies.
  std::vector<std::string> categories_;
  std::vector<std::string> event_types_;
  log_start start_;
  bool is_start_known_ = true;
  std::uint64_t expected_ = 0;
  std::uint64_t most_ = 0; ///< More records than these the file cannot hold.
  std::uint64_t problems_before_ = 0;
};

} // namespace acta::storage
