#include <acta/storage/view_directory.hpp>

#include "lmdb_environment.hpp"
#include "lmdb_error.hpp"
#include "lmdb_pages.hpp"
#include "synced_point.hpp"
#include "view_tie.hpp"
#include "writer_lock.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

struct reader_end {
  void operator()(MDB_txn* reader) const noexcept { mdb_txn_abort(reader); }
};
using reading = std::unique_ptr<MDB_txn, reader_end>;

/// Dead letters are the first in `tables`, in table 0.
[[nodiscard]] int count_letters(MDB_txn* in, MDB_dbi tables, std::uint64_t& count) {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(in, tables, &cursor);
  if (code != MDB_SUCCESS)
    return code;
  MDB_val key{};
  MDB_val value{};
  for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
       code == MDB_SUCCESS && *static_cast<const unsigned char*>(key.mv_data) == 0;
       code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
    ++count;
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

[[nodiscard]] result<view_summary> read_summary(const lmdb_environment& of) {
  MDB_txn* raw = nullptr;
  int code = mdb_txn_begin(of.get(), nullptr, MDB_RDONLY, &raw);
  const reading in(raw);
  MDB_dbi meta = 0;
  MDB_dbi tables = 0;
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(raw, view_meta_name, 0, &meta);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(raw, view_tables_name, 0, &tables);
  MDB_val key{view_tie_name.size(), const_cast<char*>(view_tie_name.data())};
  MDB_val value{};
  if (code == MDB_SUCCESS)
    code = mdb_get(raw, meta, &key, &value);
  view_tie tie;
  if (code == MDB_SUCCESS && value.mv_size < sizeof tie)
    code = MDB_CORRUPTED;
  view_summary found;
  if (code == MDB_SUCCESS) {
    std::memcpy(&tie, value.mv_data, sizeof tie);
    found.position = log_position(tie.position);
    code = count_letters(raw, tables, found.dead_letters);
  }
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, of.path(), "reading what it says of itself");
  return found;
}

} // namespace

result<view_summary> summary_of_view(const fs::path& directory) {
  const auto file = directory / "data.mdb";
  const auto explained = [&](const error& why) {
    return std::unexpected(made_anew(why, directory));
  };
  std::error_code code;
  if (!fs::exists(file, code) || fs::file_size(file, code) == 0)
    return failure(errc::not_found, fmt::format("'{}' was never made whole", file.string()));
  // Whoever has it open has checked it; LMDB is killed by some damage.
  if (!fs::exists(directory / "synced", code))
    if (auto sound = check_before_lmdb(file, view_tables_name); !sound)
      return explained(sound.error());
  const auto opened = lmdb_environment::open(directory, {.map_size = 0, .flags = MDB_RDONLY});
  if (!opened)
    return explained(opened.error());
  auto found = read_summary(*opened);
  if (!found)
    return explained(found.error());
  return found;
}

result<verification> verify_view(const event_log& log, const fs::path& directory,
                                 std::size_t max_findings) {
  const auto held = writer_lock::acquire(directory);
  if (!held)
    return std::unexpected(held.error());
  if (auto restored = synced_point::take_back(directory); !restored)
    return failure(restored);
  const auto label = directory.filename().string();
  const auto path = directory / "data.mdb";
  verification found;
  const auto add = [&](const error& why, std::uint64_t byte) {
    if (found.problems++ < max_findings)
      found.findings.push_back({.position = {},
                                .what = std::string(made_anew(why, directory).message()),
                                .file = fmt::format("views/{}/data.mdb", label),
                                .byte = byte});
  };
  const auto damaged = [&](std::string_view what) {
    return error(errc::corrupt, fmt::format("'{}': {}; ", path.string(), what));
  };
  std::error_code code;
  if (!fs::exists(path, code) || fs::file_size(path, code) == 0)
    return found; // it was never made whole, and opening makes it anew
  auto pages = lmdb_file::open(path, [&](page_problem&& problem) {
    add(damaged(problem.what), problem.byte);
    return true;
  });
  if (!pages && pages.error().code() != errc::corrupt)
    return failure(pages);
  if (!pages) {
    add(pages.error(), 0);
    return found;
  }
  bool has_tie = false;
  check_every_page(*pages, [&](const lmdb_tree& of, const lmdb_entry& entry) {
    const std::string_view key(reinterpret_cast<const char*>(entry.key.data()), entry.key.size());
    if (of.name != view_meta_name || key != view_tie_name)
      return;
    has_tie = true;
    if (const auto tie = check_view_tie(entry.value, log, label, path); !tie)
      add(tie.error(), entry.byte);
  });
  found.pages = pages->pages_read();
  ensure(found.findings.size() <= found.problems, "what is listed is counted");
  if (!has_tie && found.problems == 0)
    add(damaged("it does not say what it is a view of"), 0);
  return found;
}

} // namespace acta::storage
