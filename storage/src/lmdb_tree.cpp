#include "lmdb_tree.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace acta::storage {

namespace {

using lmdb_format::load;
using lmdb_format::node_header;
using lmdb_format::page_header;
using bytes = std::span<const std::byte>;

/// A node whose parts lie within its page.
struct node {
  std::size_t offset;
  std::size_t size; ///< Even, as LMDB rounds it.
  node_header header;
  bytes key;
  bytes rest; ///< The value, or the number of its page; empty in a branch.
};

[[nodiscard]] std::uint64_t child_of(const node_header& header) noexcept {
  return header.low | std::uint64_t{header.high} << 16U | std::uint64_t{header.flags} << 32U;
}
[[nodiscard]] std::uint64_t value_size_of(const node_header& header) noexcept {
  return header.low | std::uint64_t{header.high} << 16U;
}

/// The keys that a page may have: from `least` on and less than `end`.
struct key_range {
  std::optional<bytes> least;
  std::optional<bytes> end;
};

class tree_walk {
public:
  tree_walk(lmdb_file& in, const lmdb_tree& tree, const walk_options& options,
            const std::function<void(const lmdb_entry&)>& entry)
      : in_(in), tree_(tree), options_(options), entry_(entry), problems_before_(in.problems()) {}

  void run() {
    const auto& record = tree_.record;
    if ((record.flags & ~lmdb_format::integer_keys) != 0)
      return tell_record("its kind is none of a store's");
    if (record.root == lmdb_format::no_page)
      return check_counts();
    if (record.depth == 0 || record.depth > lmdb_format::max_depth)
      tell_record(fmt::format("its depth of {} cannot be", record.depth));
    visit(record.root, 1, {});
    check_counts();
  }

private:
  using buffer = std::vector<std::uint64_t>; ///< Words, so that values are aligned as in the file.

  [[nodiscard]] static std::span<std::byte> writable(buffer& words, std::size_t size) {
    ensure(size != 0, "there is something to read");
    words.resize((size + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t));
    return std::as_writable_bytes(std::span(words)).first(size);
  }

  void visit(std::uint64_t number, unsigned level, const key_range& range) {
    if (in_.is_stopped() || !in_.take(number, 1, tree_.name))
      return;
    if (level > lmdb_format::max_depth)
      return tell(number, 0, "the tree is deeper than any can be");
    if (levels_.size() < level)
      levels_.push_back(std::make_unique<buffer>());
    ensure(level >= 1 && level <= levels_.size(), "each level has a page, whose keys stay");
    const auto page = writable(*levels_[level - 1], in_.page_size());
    if (!in_.read(number, page, tree_.name))
      return;
    const auto header = load<page_header>(page, 0);
    if (header.number != number)
      tell(number, 0, fmt::format("it says that it is page {}", header.number));
    const bool is_leaf = kind_of(header, number, level) == lmdb_format::leaf_page;
    ++(is_leaf ? leaf_pages_ : branch_pages_);
    const auto nodes = nodes_of(page, number, is_leaf);
    if (is_leaf)
      read_leaf(nodes, number, level, range);
    else
      read_branch(nodes, number, level, range);
  }

  /// Where the page does not say, what it must be at this depth.
  [[nodiscard]] std::uint16_t kind_of(const page_header& header, std::uint64_t number,
                                      unsigned level) {
    if (header.flags == lmdb_format::leaf_page || header.flags == lmdb_format::branch_page)
      return header.flags;
    tell(number, offsetof(page_header, flags),
         fmt::format("kind {:#x} is none of a page in a tree", header.flags));
    return level < tree_.record.depth ? lmdb_format::branch_page : lmdb_format::leaf_page;
  }

  /// The nodes in the page's order, without those that do not lie within it.
  [[nodiscard]] std::vector<node> nodes_of(bytes page, std::uint64_t number, bool is_leaf) {
    const auto header = load<page_header>(page, 0);
    std::vector<node> nodes;
    const std::size_t lower = header.lower;
    if (lower < sizeof header || lower > page.size() || lower % 2 != 0) {
      tell(number, offsetof(page_header, lower), "its list of nodes ends outside of it");
      return nodes;
    }
    const auto problems = in_.problems();
    const auto count = (lower - sizeof header) / 2;
    for (std::size_t i = 0; i < count; ++i) {
      const auto at = sizeof header + 2 * i;
      if (auto one = node_at(page, load<std::uint16_t>(page, at), lower, is_leaf))
        nodes.push_back(*one);
      else
        tell(number, at, fmt::format("its node {} does not lie within it", i));
    }
    if (nodes.size() < (is_leaf || tree_.name == free_pages_name ? 1U : 2U))
      tell(number, 0, fmt::format("it has {} nodes, too few", nodes.size()));
    if (in_.problems() == problems)
      check_tiling(nodes, page.size(), number, header.upper);
    return nodes;
  }

  [[nodiscard]] static std::optional<node> node_at(bytes page, std::size_t offset,
                                                   std::size_t lower, bool is_leaf) {
    if (offset < lower || offset % 2 != 0 || offset + sizeof(node_header) > page.size())
      return std::nullopt;
    const auto header = load<node_header>(page, offset);
    const std::uint64_t rest = !is_leaf ? 0
                               : (header.flags & lmdb_format::in_overflow) != 0
                                 ? sizeof(std::uint64_t)
                                 : value_size_of(header);
    const auto size = sizeof header + header.key_size + rest;
    if (size > page.size() - offset)
      return std::nullopt;
    const auto key_at = offset + sizeof header;
    ensure(key_at + header.key_size + rest <= page.size(), "a node lies within its page");
    return node{offset, (size + 1) / 2 * 2, header, page.subspan(key_at, header.key_size),
                page.subspan(key_at + header.key_size, rest)};
  }

  /// LMDB keeps the nodes of a page side by side, from `upper` to the end.
  void check_tiling(const std::vector<node>& nodes, std::size_t page_size, std::uint64_t number,
                    std::size_t upper) {
    by_offset_.clear();
    for (const auto& one : nodes)
      by_offset_.emplace_back(one.offset, one.size);
    std::ranges::sort(by_offset_);
    auto next = upper;
    for (const auto& [offset, size] : by_offset_) {
      if (offset != next)
        break;
      next += size;
    }
    if (next != page_size)
      tell(number, 0, "its nodes do not lie side by side");
  }

  [[nodiscard]] bool has_integer_keys() const noexcept {
    return tree_.record.flags == lmdb_format::integer_keys;
  }

  [[nodiscard]] bool is_key(bytes key) const noexcept {
    return has_integer_keys() ? key.size() == sizeof(std::uint64_t)
                              : !key.empty() && key.size() <= lmdb_format::max_key_size;
  }

  [[nodiscard]] std::strong_ordering compare(bytes a, bytes b) const noexcept {
    if (has_integer_keys()) // is_key() of both
      return load<std::uint64_t>(a, 0) <=> load<std::uint64_t>(b, 0);
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
  }

  /// Tells of a key that is none, or not where it belongs.
  [[nodiscard]] bool fits(const node& one, const key_range& range, std::uint64_t number) {
    const auto at = one.offset + sizeof(node_header);
    if (!is_key(one.key)) {
      tell(number, at, fmt::format("a key of {} bytes cannot be", one.key.size()));
      return false;
    }
    if ((range.least && compare(one.key, *range.least) < 0)
        || (range.end && compare(one.key, *range.end) >= 0)) {
      tell(number, at, "a key is not in order");
      return false;
    }
    return true;
  }

  void read_branch(const std::vector<node>& nodes, std::uint64_t number, unsigned level,
                   const key_range& range) {
    std::vector<std::pair<std::uint64_t, key_range>> children;
    auto least = range.least;
    for (const auto& one : nodes) {
      // The first key is not looked at by LMDB: all that is less than the second lies there.
      const bool is_first = one.offset == nodes.front().offset;
      if (!is_first) {
        if (!fits(one, {least, range.end}, number))
          continue;
        least = one.key;
        if (!children.empty())
          children.back().second.end = least;
      }
      children.push_back({child_of(one.header), {least, range.end}});
    }
    if (options_.branches_only && level + 1 >= tree_.record.depth)
      return;
    if (options_.way == walk_options::order::descending)
      std::ranges::reverse(children);
    for (const auto& [child, keys] : children)
      visit(child, level + 1, keys);
  }

  void read_leaf(const std::vector<node>& nodes, std::uint64_t number, unsigned level,
                 const key_range& range) {
    if (level != tree_.record.depth && !std::exchange(depth_told_, true))
      tell(number, 0,
           fmt::format("this leaf is {} deep in a tree of depth {}", level, tree_.record.depth));
    auto rest = range;
    std::optional<bytes> last;
    for (const auto& one : nodes) {
      if (last && is_key(one.key) && compare(one.key, *last) == 0) {
        tell(number, one.offset + sizeof(node_header), "a key is there twice");
        continue;
      }
      if (!fits(one, rest, number))
        continue;
      last = rest.least = one.key;
      read_entry(one, number);
    }
  }

  void read_entry(const node& one, std::uint64_t number) {
    const auto flags = one.header.flags;
    ++entries_;
    lmdb_entry found{.key = one.key,
                     .value = one.rest,
                     .is_database = flags == lmdb_format::is_database,
                     .page = number,
                     .byte = number * in_.page_size() + one.offset + sizeof(node_header)
                             + one.key.size()};
    if (flags == lmdb_format::in_overflow) {
      if (!read_overflow(one, found))
        return;
    } else if (flags != 0 && !is_database_record(one)) {
      return tell(number, one.offset, fmt::format("an entry of kind {:#x} cannot be", flags));
    }
    if (entry_)
      entry_(found);
  }

  [[nodiscard]] bool is_database_record(const node& one) const noexcept {
    return one.header.flags == lmdb_format::is_database && tree_.name == main_tree_name
           && one.rest.size() == sizeof(lmdb_format::database_record);
  }

  /// The value in pages of its own. Its size is what counts; the run's header must fit it.
  [[nodiscard]] bool read_overflow(const node& one, lmdb_entry& found) {
    ensure(one.rest.size() == sizeof(std::uint64_t), "node_at() took a page number for the value");
    const auto first = load<std::uint64_t>(one.rest, 0);
    const auto size = value_size_of(one.header);
    const auto run = lmdb_format::overflow_run(size, in_.page_size());
    if (in_.is_stopped() || !in_.take(first, run, tree_.name))
      return false;
    const bool whole = options_.values && size <= limits::max_stored_value_size;
    if (options_.values && !whole)
      tell(first, 0, fmt::format("a value of {} bytes cannot be", size));
    const auto page = writable(overflow_, sizeof(page_header) + (whole ? size : 0));
    if (!in_.read(first, page, tree_.name))
      return false;
    const auto header = load<page_header>(page, 0);
    const auto pages = header.lower | std::uint64_t{header.upper} << 16U;
    if (header.number != first || header.flags != lmdb_format::overflow_page || pages < run) {
      tell(first, 0, "it is not the beginning of a value");
    } else if (pages > run && !in_.take(first + run, pages - run, tree_.name)) {
      return false;
    }
    overflow_pages_ += std::max(run, pages);
    found.value = page.subspan(sizeof(page_header));
    found.byte = first * in_.page_size() + sizeof(page_header);
    return whole || !options_.values;
  }

  /// Only if all else is well: what could not be read was not counted.
  void check_counts() {
    if (in_.problems() != problems_before_ || in_.is_stopped() || options_.branches_only)
      return;
    const auto& record = tree_.record;
    const auto check = [&](std::string_view what, std::uint64_t counted, std::uint64_t told) {
      if (counted != told)
        tell_record(fmt::format("it has {} {}, and its record says {}", counted, what, told));
    };
    check("entries", entries_, record.entries);
    check("branch pages", branch_pages_, record.branch_pages);
    check("leaf pages", leaf_pages_, record.leaf_pages);
    check("pages of large values", overflow_pages_, record.overflow_pages);
    if (record.root == lmdb_format::no_page)
      check("levels", 0, record.depth);
  }

  void tell(std::uint64_t page, std::size_t offset, std::string_view what) {
    in_.tell(page, offset, tree_.name, what);
  }
  void tell_record(std::string_view what) { tell(tree_.page, 0, what); }

  lmdb_file& in_;
  const lmdb_tree& tree_;
  const walk_options& options_;
  const std::function<void(const lmdb_entry&)>& entry_;
  std::uint64_t problems_before_;
  std::vector<std::unique_ptr<buffer>> levels_; ///< A page each: what is being read of it stays.
  buffer overflow_;
  std::vector<std::pair<std::size_t, std::size_t>> by_offset_;
  std::uint64_t entries_ = 0;
  std::uint64_t branch_pages_ = 0;
  std::uint64_t leaf_pages_ = 0;
  std::uint64_t overflow_pages_ = 0;
  bool depth_told_ = false;
};

} // namespace

void walk_tree(lmdb_file& in, const lmdb_tree& tree, const walk_options& options,
               const std::function<void(const lmdb_entry&)>& entry) {
  tree_walk(in, tree, options, entry).run();
}

} // namespace acta::storage
