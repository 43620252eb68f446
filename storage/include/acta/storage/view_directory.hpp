#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/verify.hpp>
#include <acta/storage/view_file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// What lies in `<store>/views`: a directory for each version of a view, and `<name>`, a symbolic
/// link to that of the version that serves (of a part: `<name>.<k>of<n>`). It is for other
/// processes, which open what is behind it, and for the next start of the program;
/// projections::served_view keeps it. Whatever is killed or loses its power at any moment leaves a
/// link to the one version or to the other, each whole: docs/projections.md has the moments.
namespace acta::storage {

/// `<store>/views/<label>`.
[[nodiscard]] std::filesystem::path view_directory(const std::filesystem::path& store,
                                                   const view_identity& which);

/// The version that serves, or served last; `of.version` does not matter. Empty: none ever did, or
/// its directory was removed. Errors: foreign_store where something else has the link's name.
[[nodiscard]] result<std::optional<std::uint32_t>>
serving_version(const std::filesystem::path& store, const view_identity& of);

/// Lets a version serve in the place of the one that does: who looks at the link sees the one or
/// the other. It lasts when this returns. The other is marked as replaced: remove it then, or have
/// the next start do it. After an error either may be what the link names.
[[nodiscard]] result<void> serve_view(const std::filesystem::path& store,
                                      const view_identity& which);

/// A directory in `<store>/views`.
struct stored_view {
  view_identity which;
  bool serves = false;      ///< The link names it.
  bool is_replaced = false; ///< Another one serves in its place, and it is to be removed.
  std::uint64_t size = 0;   ///< Bytes of its files.
};

/// In the order of their labels. What is in `views` and is no view's directory is passed over.
[[nodiscard]] result<std::vector<stored_view>> stored_views(const std::filesystem::path& store);

/// What a view says of itself.
struct view_summary {
  log_position position; ///< The checkpoint.
  std::uint64_t dead_letters = 0;
};

/// Of a view in LMDB, also while another process has it open; it must not be open in this one.
/// Changes nothing, but needs `lock.mdb` to be writable.
[[nodiscard]] result<view_summary> summary_of_view(const std::filesystem::path& directory);

/// Checks a view in LMDB straight from its file: each page, and that it is of the view `label` and
/// of `log`, as far as that is. It is taken back to its last sync first, as opening does it. An
/// error if it cannot be read at all: store_in_use where it is open.
[[nodiscard]] result<verification> verify_view(const event_log& log,
                                               const std::filesystem::path& directory,
                                               std::size_t max_findings = 100);

/// True if another version serves in its place, and it is still there.
[[nodiscard]] bool is_replaced(const std::filesystem::path& store, const view_identity& which);

/// Removes a view that nobody has open, or needs. What a kill leaves of one that was replaced,
/// remove_replaced_views() removes.
[[nodiscard]] result<void> remove_view(const std::filesystem::path& directory);

/// Removes the versions of a view that were replaced; `of.version` does not matter. None may be
/// open in this process; other processes that have one open keep it until they close it.
[[nodiscard]] result<void> remove_replaced_views(const std::filesystem::path& store,
                                                 const view_identity& of);

} // namespace acta::storage
