#include <acta/storage/statistics.hpp>

#include "disk_log.hpp"
#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>

namespace acta::storage {

namespace {

constexpr MDB_dbi free_list = 0; // LMDB's own database: transaction -> a list of pages

/// A list begins with its length.
[[nodiscard]] result<std::uint64_t> count_free_pages(const log_environment& of, MDB_txn* in) {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(in, free_list, &cursor); code != MDB_SUCCESS)
    return lmdb_failure(code, of.path(), "a cursor");
  std::uint64_t pages = 0;
  MDB_val key{};
  MDB_val list{};
  int code = mdb_cursor_get(cursor, &key, &list, MDB_FIRST);
  for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) {
    std::size_t length = 0;
    if (list.mv_size >= sizeof length)
      std::memcpy(&length, list.mv_data, sizeof length);
    pages += length;
  }
  mdb_cursor_close(cursor);
  if (code != MDB_NOTFOUND)
    return lmdb_failure(code, of.path(), "reading its free list");
  return pages;
}

struct reader_table {
  std::size_t in_use = 0;
  std::optional<open_reader> oldest;
};

/// One line of LMDB's list: process, thread, and the transaction or '-'.
void read_line(std::string_view line, reader_table& into) {
  const auto word = [&line]() -> std::string_view {
    line.remove_prefix(std::min(line.find_first_not_of(" \n"), line.size()));
    const auto found = line.substr(0, line.find_first_of(" \n"));
    line.remove_prefix(found.size());
    return found;
  };
  const auto number = [](std::string_view text, auto& to) {
    return std::from_chars(text.data(), text.data() + text.size(), to).ec == std::errc();
  };
  open_reader one;
  if (!number(word(), one.process))
    return; // its heading
  ++into.in_use;
  (void)word();
  if (number(word(), one.transaction)
      && (!into.oldest || one.transaction < into.oldest->transaction))
    into.oldest = one;
}

extern "C" int read_reader_lines(const char* text, void* into) {
  std::string_view left(text);
  while (!left.empty()) {
    const auto line = left.substr(0, left.find('\n'));
    read_line(line, *static_cast<reader_table*>(into));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
  }
  return 0;
}

[[nodiscard]] result<void> read_readers(const log_environment& of, log_statistics& into) {
  int cleared = 0;
  if (const int code = mdb_reader_check(of.get(), &cleared); code != MDB_SUCCESS)
    return lmdb_failure(code, of.path(), "clearing stale readers");
  into.stale_readers = static_cast<std::size_t>(std::max(cleared, 0));
  MDB_envinfo info{};
  mdb_env_info(of.get(), &info);
  into.max_readers = info.me_maxreaders;
  into.map_size = info.me_mapsize;
  into.transactions = info.me_last_txnid;
  into.used_pages = info.me_last_pgno + 1;
  reader_table table;
  if (const int code = mdb_reader_list(of.get(), read_reader_lines, &table); code < 0)
    return lmdb_failure(code, of.path(), "reading its table of readers");
  ensure(table.in_use <= info.me_maxreaders, "a reader has a slot of its own");
  into.readers_in_use = table.in_use;
  into.oldest_reader = table.oldest;
  if (into.oldest_reader)
    into.oldest_reader->behind =
      info.me_last_txnid - std::min<std::uint64_t>(info.me_last_txnid, table.oldest->transaction);
  return {};
}

[[nodiscard]] result<void> read_pages(const log_environment& of, MDB_txn* in,
                                      log_statistics& into) {
  const auto free = count_free_pages(of, in);
  if (!free)
    return std::unexpected(free.error());
  MDB_stat tree{};
  if (const int code = mdb_stat(in, of.events(), &tree); code != MDB_SUCCESS)
    return lmdb_failure(code, of.path(), "reading its statistics");
  into.free_pages = *free;
  into.events = tree.ms_entries;
  into.page_size = tree.ms_psize;
  into.event_pages = tree.ms_branch_pages + tree.ms_leaf_pages + tree.ms_overflow_pages;
  std::error_code failed;
  into.file_size = std::filesystem::file_size(of.path(), failed);
  if (failed)
    return system_failure(failed.value(), of.path(), "looking at its size");
  return {};
}

[[nodiscard]] result<void> read_dates(const event_log& log, log_statistics& into) {
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  into.first = (*snapshot)->first();
  into.tail = (*snapshot)->tail();
  auto cursor = (*snapshot)->scan(log_position(0));
  if (!cursor)
    return failure(cursor);
  const auto first = (*cursor)->next();
  if (!first)
    return std::unexpected(first.error());
  if (first->empty())
    return {};
  const auto last = (*snapshot)->at(into.tail);
  if (!last)
    return std::unexpected(last.error());
  into.first_recorded_at_ns = first->front().header().recorded_at_ns;
  into.last_recorded_at_ns = last->header().recorded_at_ns;
  return {};
}

} // namespace

result<log_statistics> statistics(const event_log& log) {
  const auto* on_disk = dynamic_cast<const disk_log*>(&log);
  if (on_disk == nullptr)
    return failure(errc::invalid_argument, "a log in memory has no pages; count_records() counts "
                                           "what is in it");
  const auto& environment = on_disk->environment();
  const auto identity = environment.identity();
  if (!identity)
    return std::unexpected(identity.error());
  log_statistics found;
  found.store_id = identity->text();
  found.created_at_ns = identity->created_at_ns;
  if (auto read = read_readers(environment, found); !read) // first: without the reader below
    return failure(read);
  auto reader = on_disk->readers().begin();
  if (!reader)
    return failure(reader);
  auto pages = read_pages(environment, *reader, found);
  on_disk->readers().end(*reader);
  if (!pages)
    return failure(pages);
  if (auto dates = read_dates(log, found); !dates)
    return failure(dates);
  return found;
}

namespace {

using counts = std::map<std::uint16_t, record_count>;

void add(counts& to, std::uint16_t id, const record_view& record) {
  auto& count = to[id];
  ++count.events;
  count.bytes += record.bytes().size();
  count.streams += record.version() == stream_version(1) ? 1U : 0U;
}

template <class Name>
[[nodiscard]] std::vector<record_count> named(counts&& all, const Name& name_of) {
  std::vector<record_count> list;
  for (auto& [id, count] : all) {
    const std::string_view name = name_of(id);
    count.name = name.empty() ? fmt::format("#{}", id) : std::string(name);
    list.push_back(std::move(count));
  }
  return list;
}

} // namespace

result<record_counts> count_records(const event_log& log,
                                    const std::function<void(log_position)>& progress) {
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto cursor = (*snapshot)->scan(log_position(0));
  if (!cursor)
    return failure(cursor);
  counts categories;
  counts event_types;
  auto records = (*cursor)->next();
  for (; records && !records->empty(); records = (*cursor)->next()) {
    for (const auto& record : *records) {
      add(categories, record.header().category, record);
      add(event_types, record.header().event_type, record);
    }
    if (progress)
      progress(records->back().position());
  }
  if (!records)
    return std::unexpected(records.error());
  std::uint64_t events = 0; // by one less the other
  for (const auto& [id, count] : categories)
    events += count.events;
  for (const auto& [id, count] : event_types)
    events -= count.events;
  ensure(events == 0, "each record was counted once by category and once by event type");
  for (auto& [id, count] : event_types)
    count.streams = 0; // a stream has events of several types
  return record_counts{
    named(std::move(categories), [&](auto id) { return log.category_name(category_id(id)); }),
    named(std::move(event_types), [&](auto id) { return log.event_type_name(event_type_id(id)); })};
}

} // namespace acta::storage
