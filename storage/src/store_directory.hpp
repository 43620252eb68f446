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

/// Makes LMDB's files fit to be opened, for a store that was never made whole (its id is empty:
/// what is left of a data file without both of LMDB's first pages goes) and for any other: LMDB
/// maps its lock file and would be killed where the device has no room for it, errc::no_space here.
[[nodiscard]] result<void> prepare_lmdb_files(const std::filesystem::path& store, bool made_whole);

/// Makes the names of a new store's files durable; the files' contents are synced by their owners.
[[nodiscard]] result<void> sync_store_directory(const std::filesystem::path& store);

} // namespace acta::storage
