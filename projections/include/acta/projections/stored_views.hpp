#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/verify.hpp>
#include <acta/storage/view_directory.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

/// Views on disk, for tools: whatever keeps them, and without their models. Not for the process
/// that has them open.
namespace acta::projections {

enum class kept_in : std::uint8_t { nothing, lmdb, sqlite };
[[nodiscard]] std::string_view name(kept_in where) noexcept;

/// By the files in its directory.
[[nodiscard]] kept_in where_kept(const std::filesystem::path& directory);

/// What a view says of itself, also while another process has it open.
[[nodiscard]] result<storage::view_summary> summary_of(const std::filesystem::path& directory);

/// Checks a view that nobody has open: its pages, and that it is of this log, as far as that is.
/// LMDB: storage::verify_view(). SQLite: "pragma quick_check". An error if it cannot be read at
/// all.
[[nodiscard]] result<storage::verification> verify_view(const storage::event_log& log,
                                                        const std::filesystem::path& store,
                                                        const storage::view_identity& which,
                                                        std::size_t max_findings = 100);

} // namespace acta::projections
