#pragma once

#include <acta/base/error.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace acta::storage {

/// Makes `store` and `store/log` unless they are there. Refuses a directory with anything in it
/// that is not an Acta store's. What a crash may leave at any moment of it can be opened again.
[[nodiscard]] result<void> prepare_store_directory(const std::filesystem::path& store);

/// The id in `<store>/store.id`, 32 hexadecimal digits, which is written when a store was made and
/// tells that its log must be there. Empty if there is none, or none that was written whole.
[[nodiscard]] result<std::string> read_store_id(const std::filesystem::path& store);

/// Writes it, synced to the device.
[[nodiscard]] result<void> write_store_id(const std::filesystem::path& store, std::string_view id);

/// Makes room for the lock file of an environment that is to be opened: LMDB maps it and would be
/// killed where the device has none. errc::no_space.
[[nodiscard]] result<void> prepare_lock_file(const std::filesystem::path& environment);

/// Empties an environment's data file that was never made whole: without both of LMDB's first
/// pages, and without a commit.
[[nodiscard]] result<void> prepare_data_file(const std::filesystem::path& environment);

/// Makes the log's LMDB files fit to be opened, its lock file and, for a store that was never made
/// whole (its id is empty), its data file: what is left of one without both of LMDB's first pages
/// goes.
[[nodiscard]] result<void> prepare_lmdb_files(const std::filesystem::path& store, bool made_whole);

/// Makes a directory, unless it is there.
[[nodiscard]] result<void> make_directory(const std::filesystem::path& path);

/// Makes the names in a directory durable.
[[nodiscard]] result<void> sync_directory(const std::filesystem::path& path);

/// Makes the names of a new store's files durable; the files' contents are synced by their owners.
[[nodiscard]] result<void> sync_store_directory(const std::filesystem::path& store);

} // namespace acta::storage
