#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

/// The data file of LMDB 0.9 on a 64-bit little-endian machine, as its mdb.c lays it out. Pages of
/// one size; pages 0 and 1 are meta pages, the newer of which says where the trees begin.
namespace acta::storage::lmdb_format {

static_assert(std::endian::native == std::endian::little && sizeof(void*) == 8);

inline constexpr std::uint32_t magic = 0xbeefc0de;
inline constexpr std::uint32_t data_version = 1;
inline constexpr std::uint64_t no_page = ~std::uint64_t{0}; ///< The root of an empty tree.
inline constexpr std::uint64_t meta_pages = 2;
inline constexpr std::size_t min_page_size = 4096; ///< The kernel's page size, as LMDB takes it.
inline constexpr std::size_t max_page_size = 32'768;
inline constexpr std::size_t max_key_size = 511;
inline constexpr unsigned max_depth = 32; ///< LMDB's cursors have no room for more.

/// At the start of each page, but for those of an overflow run behind its first.
struct page_header {
  std::uint64_t number;
  std::uint16_t unused;
  std::uint16_t flags;
  std::uint16_t lower; ///< Where the node offsets end. With `upper`: how many pages a run has.
  std::uint16_t upper; ///< Where the nodes begin.
};
static_assert(sizeof(page_header) == 16);

inline constexpr std::uint16_t branch_page = 0x01;
inline constexpr std::uint16_t leaf_page = 0x02;
inline constexpr std::uint16_t overflow_page = 0x04;
inline constexpr std::uint16_t meta_page = 0x08;

/// Before each key. In a leaf, `low` and `high` are the size of the value; in a branch they and the
/// flags are the number of the child.
struct node_header {
  std::uint16_t low;
  std::uint16_t high;
  std::uint16_t flags;
  std::uint16_t key_size;
};
static_assert(sizeof(node_header) == 8);

inline constexpr std::uint16_t in_overflow = 0x01; ///< The value is the number of its first page.
inline constexpr std::uint16_t is_database = 0x02; ///< The value is a database_record.

struct database_record {
  std::uint32_t page_size; ///< In the record of the free pages; else unused.
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};
static_assert(sizeof(database_record) == 48);

inline constexpr std::uint16_t integer_keys = 0x08; ///< MDB_INTEGERKEY

struct meta {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_size;
  database_record free_pages; ///< Transaction number -> page numbers.
  database_record main;       ///< Name -> database_record.
  std::uint64_t last_page;
  std::uint64_t transaction;
};
static_assert(sizeof(meta) == 136);

/// A copy of what lies at `at`: pages of a damaged file have nothing aligned.
template <class T>
[[nodiscard]] T load(std::span<const std::byte> from, std::size_t at) noexcept {
  T value;
  std::memcpy(&value, from.subspan(at, sizeof value).data(), sizeof value);
  return value;
}

/// The pages of a run for a value of this size: it has one header.
[[nodiscard]] constexpr std::uint64_t overflow_run(std::uint64_t size,
                                                   std::size_t page_size) noexcept {
  return (sizeof(page_header) - 1 + size) / page_size + 1;
}

} // namespace acta::storage::lmdb_format
