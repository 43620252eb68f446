#pragma once

#include "lmdb_file.hpp"
#include "lmdb_tree.hpp"

#include <acta/base/error.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

namespace acta::storage {

/// Walks the tree of a file's named databases and returns them.
[[nodiscard]] std::vector<lmdb_tree> named_trees(lmdb_file& in);

/// The one with this name; null if there is none.
[[nodiscard]] const lmdb_tree* find_tree(const std::vector<lmdb_tree>& trees,
                                         std::string_view name) noexcept;

/// Walks the tree of free pages: that each is one, and of no database walked before. If all of them
/// were, then also that each page of the file is used or free.
void check_free_pages(lmdb_file& in, bool all_were_walked);

/// Checks all pages of a file. `entry`, if given, is shown what is in its named databases, in the
/// order of their names.
using show_entry = std::function<void(const lmdb_tree&, const lmdb_entry&)>;
void check_every_page(lmdb_file& in, const show_entry& entry = {});

/// What LMDB must not be let at: checks a data file, unless it is missing or empty, before LMDB
/// opens it. All of it if it has up to limits::max_pages_checked_at_open pages; of a larger one the
/// databases but `large` whole, and of `large` the branches, then the leaves from its end on.
/// errc::corrupt names file, page and byte of the first thing that is wrong.
[[nodiscard]] result<void> check_before_lmdb(const std::filesystem::path& data_file,
                                             std::string_view large);

} // namespace acta::storage
