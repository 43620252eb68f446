#include "lmdb_pages.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace acta::storage {

namespace {

using lmdb_format::load;

/// A list of free pages: how many, then their numbers, the greatest first.
class free_list {
public:
  explicit free_list(lmdb_file& in) noexcept : in_(in) {}

  void read(const lmdb_entry& entry) {
    const auto words = entry.value.size() / sizeof(std::uint64_t);
    if (load<std::uint64_t>(entry.key, 0) > in_.meta().transaction)
      return tell(entry, "a list of free pages is of no transaction");
    if (entry.value.size() % sizeof(std::uint64_t) != 0 || words == 0
        || load<std::uint64_t>(entry.value, 0) >= words)
      return tell(entry, "a list of free pages is longer than its value");
    const auto count = load<std::uint64_t>(entry.value, 0);
    ensure(count < words, "the list lies within its value");
    auto before = lmdb_format::no_page;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto page = load<std::uint64_t>(entry.value, i * sizeof(std::uint64_t));
      if (page >= before || page < lmdb_format::meta_pages || page > in_.meta().last_page)
        return tell(entry, fmt::format("page {} cannot be in a list of free pages", page));
      before = page;
      if (!in_.take(page, 1, free_pages_name))
        return;
    }
  }

private:
  void tell(const lmdb_entry& entry, std::string_view what) {
    in_.tell(entry.page, 0, free_pages_name, what);
  }

  lmdb_file& in_;
};

/// LMDB gives each page up to the last to a database or to the free ones.
void check_all_accounted(lmdb_file& in) {
  std::uint64_t nobodys = 0;
  std::uint64_t first = 0;
  const auto end = std::min(in.pages(), in.meta().last_page + 1);
  for (auto page = end; page-- > lmdb_format::meta_pages;) {
    if (!in.is_taken(page)) {
      first = page;
      ++nobodys;
    }
  }
  if (nobodys != 0)
    in.tell(first, 0, free_pages_name,
            fmt::format("it is neither in use nor free, as are {} pages", nobodys));
}

} // namespace

std::vector<lmdb_tree> named_trees(lmdb_file& in) {
  std::vector<lmdb_tree> trees;
  const lmdb_tree main{std::string(main_tree_name), in.meta().main, in.meta_number()};
  walk_tree(in, main, {}, [&](const lmdb_entry& entry) {
    if (!entry.is_database)
      return;
    ensure(entry.value.size() == sizeof(lmdb_format::database_record),
           "the walk looked at a database's size");
    trees.push_back({std::string(reinterpret_cast<const char*>(entry.key.data()), entry.key.size()),
                     load<lmdb_format::database_record>(entry.value, 0), entry.page});
  });
  return trees;
}

const lmdb_tree* find_tree(const std::vector<lmdb_tree>& trees, std::string_view name) noexcept {
  const auto found = std::ranges::find(trees, name, &lmdb_tree::name);
  return found == trees.end() ? nullptr : &*found;
}

void check_free_pages(lmdb_file& in, bool all_were_walked) {
  const auto problems = in.problems();
  free_list pages(in);
  const lmdb_tree tree{std::string(free_pages_name), in.meta().free_pages, in.meta_number()};
  walk_tree(in, tree, {}, [&](const lmdb_entry& entry) { pages.read(entry); });
  if (all_were_walked && in.problems() == problems && !in.is_stopped())
    check_all_accounted(in);
}

void check_every_page(lmdb_file& in, const show_entry& entry) {
  const auto problems = in.problems();
  for (const auto& tree : named_trees(in)) {
    std::function<void(const lmdb_entry&)> show;
    if (entry)
      show = [&](const lmdb_entry& one) { entry(tree, one); };
    walk_tree(in, tree, {.values = entry != nullptr}, show);
  }
  check_free_pages(in, in.problems() == problems);
}

namespace {

void check_most_important_pages(lmdb_file& in, std::string_view large) {
  in.limit_pages(limits::max_pages_checked_at_open);
  const auto trees = named_trees(in);
  for (const auto& tree : trees)
    if (tree.name != large)
      walk_tree(in, tree, {.values = false}, {});
  check_free_pages(in, false);
  const auto* leaves = find_tree(trees, large);
  if (leaves == nullptr)
    return;
  const auto left = in.pages_left();
  in.limit_pages(left / 2);
  walk_tree(in, *leaves, {.branches_only = true, .values = false}, {});
  in.limit_pages(left / 2);
  in.give_all_back();
  walk_tree(in, *leaves, {.way = walk_options::order::descending, .values = false}, {});
}

} // namespace

result<void> check_before_lmdb(const std::filesystem::path& data_file, std::string_view large) {
  std::error_code missing;
  if (const auto size = std::filesystem::file_size(data_file, missing); missing || size == 0)
    return {}; // LMDB makes it, or says why it cannot
  std::optional<page_problem> first;
  auto in = lmdb_file::open(data_file, [&](page_problem&& problem) {
    if (!first)
      first = std::move(problem);
    return false;
  });
  if (!in)
    return failure(in);
  if (in->pages() <= limits::max_pages_checked_at_open)
    check_every_page(*in);
  else
    check_most_important_pages(*in, large);
  if (first)
    return failure(errc::corrupt,
                   fmt::format("'{}' is damaged: {}; restore a backup, or keep what is good with "
                               "repair_log()",
                               data_file.string(), first->what));
  return {};
}

} // namespace acta::storage
