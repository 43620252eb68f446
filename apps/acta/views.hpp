#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/verify.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <string>

/// The read models beside a log.
namespace acta::tool {

/// Adds them to what stats says: `json["views"]`, and a table, if there are any.
result<void> add_views(const std::filesystem::path& store, nlohmann::ordered_json& json,
                       std::string& text);

/// Adds what is wrong with those of a store that nobody has open. Returns how many were looked at:
/// none where the log does not open, as a view is compared with it.
result<std::size_t> verify_views(const std::filesystem::path& store, std::size_t max_findings,
                                 storage::verification& to);

} // namespace acta::tool
