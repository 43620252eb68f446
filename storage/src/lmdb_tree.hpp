#pragma once

#include "lmdb_file.hpp"
#include "lmdb_format.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace acta::storage {

/// What problems call the trees that have no names.
inline constexpr std::string_view main_tree_name = "main"; ///< Lists the named ones.
inline constexpr std::string_view free_pages_name = "(free pages)";

/// One tree of an LMDB file: a database.
struct lmdb_tree {
  std::string name;
  lmdb_format::database_record record;
  std::uint64_t page = 0; ///< Where the record lies: its problems are told there.
};

/// An entry of a tree, borrowed until the next.
struct lmdb_entry {
  std::span<const std::byte> key;
  std::span<const std::byte> value;
  bool is_database;
  std::uint64_t page; ///< Its leaf.
  std::uint64_t byte; ///< Where the value begins in the file.
};

struct walk_options {
  enum class order : std::uint8_t { ascending, descending };
  order way = order::ascending;
  bool branches_only = false; ///< Leaves are not read; then there are no entries.
  bool values = true;         ///< Read those that lie in pages of their own; else they are empty.
};

/// Walks a tree depth first and checks each page: its number, its kind, that everything it points
/// at lies within it, that keys ascend within the parent's, that no page is there twice; and in the
/// end the counts in the tree's record. Hands out the entries, in order, that can be read: behind
/// something damaged it goes on with what is next, so what is handed out may not be all. Never
/// outside the file, nor longer than the file has pages.
void walk_tree(lmdb_file& in, const lmdb_tree& tree, const walk_options& options,
               const std::function<void(const lmdb_entry&)>& entry);

} // namespace acta::storage
