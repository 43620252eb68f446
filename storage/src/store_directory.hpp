#pragma once

#include <acta/base/error.hpp>

#include <filesystem>

namespace acta::storage {

/// Makes `store` and `store/log` unless they are there. Refuses a directory with anything in it
/// that is not an Acta store's. What a crash may leave at any moment of it can be opened again.
[[nodiscard]] result<void> prepare_store_directory(const std::filesystem::path& store);

/// Makes the names of a new store's files durable; the files' contents are synced by their owners.
[[nodiscard]] result<void> sync_store_directory(const std::filesystem::path& store);

} // namespace acta::storage
