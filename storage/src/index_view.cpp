#include "index_view.hpp"

#include "index_key.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

namespace acta::storage {

namespace {

[[nodiscard]] std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Greater than every key of the stream's entries, and less than those of the next.
[[nodiscard]] std::string end_of(const stream_id& stream) {
  index_key key(stream);
  key.set_version(stream_version(UINT64_MAX));
  return as_text(key.bytes());
}

/// Less than every key of the category's streams.
[[nodiscard]] std::string start_of(category_id category) {
  return as_text(index_key(category, 0).bytes().first(2));
}

/// Greater than every key of the category's streams.
[[nodiscard]] std::string end_of(category_id category) {
  return start_of(category) + '\xff'; // no kind of key is as great
}

} // namespace

index_view::index_view(const event_log& log, const retention_categories& retention,
                       const index_file* file, std::shared_ptr<const index_delta> older,
                       std::shared_ptr<const index_delta> newer, std::uint64_t stored) noexcept
    : log_(log), retention_(retention), file_(file), older_(std::move(older)),
      newer_(std::move(newer)), stored_(stored) {
  ensure(newer_ != nullptr, "an index that is open has a delta");
  ensure(stored_ == 0 || file_ != nullptr, "what is on disk is in a file");
}

result<std::vector<record_view>> index_view::read(const stream_id& stream,
                                                  const log_snapshot& snapshot, stream_version from,
                                                  std::size_t max, direction way) const {
  const auto first = first_read(stream, snapshot);
  if (!first)
    return std::unexpected(first.error());
  if (max == 0)
    return std::vector<record_view>{};
  if (way == direction::forward)
    return read_forward(stream, snapshot, std::max(from, *first).value(), max);
  return read_backward(stream, snapshot, from.value(), first->value(), max);
}

result<stream_version> index_view::version(const stream_id& stream,
                                           const log_snapshot& snapshot) const {
  const auto newest = read_backward(stream, snapshot, UINT64_MAX, 1, 1);
  const bool is_archived = !newest && newest.error().code() == errc::not_found;
  if (!newest && !is_archived)
    return std::unexpected(newest.error());
  if (newest && !newest->empty())
    return newest->front().version();
  const auto first = first_read(stream, snapshot); // its events may all be archived
  if (!first)
    return std::unexpected(first.error());
  return stream_version(first->value() - 1);
}

bool index_view::surely_absent(const stream_id& stream) const {
  const auto truncations = retention_.of(stream.category());
  return has_none(stream)
         && (truncations == category_id(0) || has_none(in_category(stream, truncations)));
}

bool index_view::has_none(const stream_id& stream) const {
  const auto hash = stream_hash(stream);
  if (newer_->newest(hash) != 0 || (older_ && older_->newest(hash) != 0))
    return false;
  if (stored_ == 0)
    return true;
  const auto reader = index_file::reader::begin(*file_);
  if (!reader)
    return false; // whoever reads the stream is told
  const auto newest = reader->newest(stream, log_position(stored_));
  return newest && !*newest;
}

/// Shows `look` the records of a stream that are in the deltas, newest first, until it returns
/// false; checks that their versions are consecutive. Returns the last version it saw, 0 for none.
template <class Look>
result<std::uint64_t> index_view::walk(const stream_id& stream, const log_snapshot& snapshot,
                                       Look look) const {
  std::uint64_t seen = 0;
  const auto hash = stream_hash(stream);
  for (const auto* delta : {newer_.get(), older_.get()}) {
    if (delta == nullptr)
      continue;
    for (auto at = delta->newest(hash); at != 0; at = delta->before(at)) {
      if (log_position(at) > snapshot.tail())
        continue; // indexed since the snapshot was taken
      if (log_position(at) < snapshot.first())
        break; // archived since, as are those before it: of a log that another process writes
      const auto record = snapshot.at(log_position(at));
      if (!record)
        return std::unexpected(record.error());
      if (!record->is_of(stream))
        continue; // of another stream with this hash
      const auto version = record->version().value();
      if (version == 0 || (seen != 0 && version != seen - 1))
        return gap(stream, version, seen == 0 ? 1 : seen - 1);
      seen = version;
      if (!look(*record))
        return seen;
    }
  }
  return seen;
}

/// The records of a stream that are in the index on disk, but for versions below `least`, which may
/// be archived.
result<std::vector<record_view>> index_view::read_disk(const stream_id& stream,
                                                       const log_snapshot& snapshot,
                                                       std::uint64_t from, std::uint64_t least,
                                                       std::size_t max, direction way) const {
  std::vector<record_view> records;
  if (stored_ == 0)
    return records;
  const auto reader = index_file::reader::begin(*file_);
  if (!reader)
    return std::unexpected(reader.error());
  std::vector<indexed_event> found;
  const auto up_to = std::min(log_position(stored_), snapshot.tail());
  if (auto read = reader->read(stream, stream_version(from), max, way, up_to, found); !read)
    return failure(read);
  records.reserve(found.size());
  for (const auto& [version, position] : found) {
    if (version < stream_version(least))
      break;
    const auto record = snapshot.at(position);
    if (!record)
      return std::unexpected(record.error());
    if (!record->is_of(stream) || record->version() != version)
      return failure(
        errc::corrupt,
        fmt::format("stream {}: the index has version {} at position {}, where the log "
                    "has another event; close the store, remove '{}' and open it "
                    "again: the index is made anew",
                    stream.to_string(log_.category_name(stream.category())), version.value(),
                    position.value(), (log_.directory() / "index").string()));
    records.push_back(*record);
  }
  return records;
}

/// One or none.
result<std::vector<record_view>> index_view::newest_truncation(const stream_id& stream,
                                                               const log_snapshot& snapshot) const {
  const auto truncations = retention_.of(stream.category());
  if (truncations == category_id(0))
    return std::vector<record_view>{};
  return read_backward(in_category(stream, truncations), snapshot, UINT64_MAX, 1, 1);
}

/// As truncated(), without the checksum, which takes time for every byte of a state.
result<stream_version> index_view::first_read(const stream_id& stream,
                                              const log_snapshot& snapshot) const {
  if (snapshot.first() > log_position(1)
      && log_.category_name(stream.category()).starts_with(retention_prefix)) {
    const auto last = read_backward(stream, snapshot, UINT64_MAX, 1, 1);
    if (!last)
      return std::unexpected(last.error());
    return last->empty() ? truncation{}.before : last->front().version(); // the only one that holds
  }
  const auto newest = newest_truncation(stream, snapshot);
  if (!newest)
    return std::unexpected(newest.error());
  if (newest->empty())
    return truncation{}.before;
  const auto read = read_truncation(newest->front());
  if (!read)
    return std::unexpected(read.error());
  return read->before;
}

result<truncation> index_view::truncated(const stream_id& stream,
                                         const log_snapshot& snapshot) const {
  const auto newest = newest_truncation(stream, snapshot);
  if (!newest)
    return std::unexpected(newest.error());
  if (newest->empty())
    return truncation{};
  if (auto sound = newest->front().verify(); !sound)
    return failure(sound);
  return read_truncation(newest->front());
}

result<log_position> index_view::position(const stream_id& stream, stream_version version,
                                          const log_snapshot& snapshot) const {
  result<std::vector<record_view>> found;
  if (version != stream_version(0))
    found = read_backward(stream, snapshot, version.value(), version.value(), 1);
  if (!found && found.error().code() != errc::not_found)
    return std::unexpected(found.error());
  if (found && !found->empty())
    return found->front().position();
  const auto first = first_read(stream, snapshot);
  if (!first)
    return std::unexpected(first.error());
  if (version != stream_version(0) && version < *first && snapshot.first() > log_position(1))
    return log_position(0); // it was there, and was archived
  return failure(errc::not_found,
                 fmt::format("stream {}: version {} is not in the log",
                             stream.to_string(log_.category_name(stream.category())),
                             version.value()));
}

result<std::vector<record_view>> index_view::read_forward(const stream_id& stream,
                                                          const log_snapshot& snapshot,
                                                          std::uint64_t from,
                                                          std::size_t max) const {
  auto found = read_disk(stream, snapshot, from, from, max, direction::forward);
  if (found && !found->empty() && found->front().version().value() != from)
    return gap(stream, found->front().version().value(), from); // as in the deltas, below
  if (!found || found->size() == max)
    return found;
  const auto oldest = found->empty() ? from : found->back().version().value() + 1;
  std::vector<record_view> newest_first;
  const auto seen = walk(stream, snapshot, [&](const record_view& record) {
    const auto version = record.version().value();
    if (version >= oldest && version - from < max)
      newest_first.push_back(record);
    return version > oldest;
  });
  if (!seen)
    return std::unexpected(seen.error());
  if (*seen > oldest)
    return gap(stream, *seen, oldest);
  found->insert(found->end(), newest_first.rbegin(), newest_first.rend());
  return found;
}

/// From version `from` to version `down_to`.
result<std::vector<record_view>>
index_view::read_backward(const stream_id& stream, const log_snapshot& snapshot, std::uint64_t from,
                          std::uint64_t down_to, std::size_t max) const {
  std::vector<record_view> found;
  const auto seen = walk(stream, snapshot, [&](const record_view& record) {
    const auto version = record.version().value();
    if (version <= from && version >= down_to)
      found.push_back(record);
    return found.size() < max && version > down_to;
  });
  if (!seen)
    return std::unexpected(seen.error());
  const auto next = *seen == 0 ? from : std::min(from, *seen - 1);
  if (found.size() == max || next < down_to)
    return found;
  const auto wanted = std::min<std::uint64_t>(max - found.size(), next - down_to + 1);
  const auto older = read_disk(stream, snapshot, next, down_to, wanted, direction::backward);
  if (!older)
    return older;
  const auto newest = older->empty() ? 0 : older->front().version().value();
  if (*seen != 0 && newest != next)
    return gap(stream, *seen, newest + 1);
  found.insert(found.end(), older->begin(), older->end());
  return found;
}

std::unexpected<error> index_view::gap(const stream_id& stream, std::uint64_t version,
                                       std::uint64_t expected) const {
  return failure(errc::corrupt,
                 fmt::format("stream {}: version {} where {} must be; close the store, remove its "
                             "directory 'index' and open it again: the index is made anew. If this "
                             "comes again the log is damaged: restore a backup",
                             stream.to_string(log_.category_name(stream.category())), version,
                             expected));
}

/// A page of streams() in the making: the first `max` by the ends of their keys.
struct index_view::stream_page {
  std::map<std::string, stream_id> streams{};
  const std::string& begin; ///< The ends are greater.
  std::size_t max;
  category_id only;                                         ///< 0: of any category.
  std::map<category_id, std::optional<category_id>> told{}; ///< Of truncations: see told_by().

  [[nodiscard]] bool is_full() const noexcept { return streams.size() == max; }

  /// The stream, or the one whose truncation it is.
  void add(const stream_id& one) {
    const auto truncated = told.find(one.category());
    if (truncated != told.end() && !truncated->second)
      return;
    const auto stream = truncated == told.end() ? one : in_category(one, *truncated->second);
    auto end = end_of(stream);
    if (end <= begin || (only != category_id(0) && stream.category() != only)
        || (is_full() && end >= streams.rbegin()->first))
      return;
    streams.emplace(std::move(end), stream);
    if (streams.size() > max)
      streams.erase(std::prev(streams.end()));
  }
};

/// The categories of truncations. With that of the streams they tell of in an archived log, where
/// they may be all that is left of a stream.
std::map<category_id, std::optional<category_id>>
index_view::told_by(const log_snapshot& snapshot) const {
  std::map<category_id, std::optional<category_id>> all;
  for (std::uint16_t id = 1; id != 0 && !log_.category_name(category_id(id)).empty(); ++id) {
    const category_id one(id);
    if (log_.category_name(one).starts_with(retention_prefix))
      all.try_emplace(one);
    if (const auto truncations = retention_.of(one);
        truncations != category_id(0) && snapshot.first() > log_position(1))
      all[truncations] = one;
  }
  return all;
}

/// Adds those that are on disk.
result<void> index_view::add_stored(stream_page& to) const {
  const auto reader = index_file::reader::begin(*file_);
  if (!reader)
    return std::unexpected(reader.error());
  for (auto from = to.begin;;) {
    const auto found = reader->streams(std::as_bytes(std::span(from)), to.max);
    if (!found)
      return std::unexpected(found.error());
    for (const auto& one : *found)
      if (!to.told.contains(one.category()))
        to.add(one);
    if (found->size() < to.max || to.is_full())
      break;
    const auto last = found->back().category();
    if (to.only != category_id(0) && last > to.only)
      break;
    from = to.told.contains(last) ? end_of(last) : end_of(found->back());
  }
  for (const auto& [category, of] : to.told) {
    if (!of)
      continue;
    const auto same = start_of(*of);
    if (to.begin.substr(0, same.size()) > same)
      continue; // the page is behind that category
    const auto from =
      start_of(category) + (to.begin.starts_with(same) ? to.begin.substr(same.size()) : "");
    const auto found = reader->streams(std::as_bytes(std::span(from)), to.max);
    if (!found)
      return std::unexpected(found.error());
    for (const auto& one : *found)
      if (one.category() == category)
        to.add(one);
  }
  return {};
}

result<std::map<std::string, stream_id>> index_view::page_of(const log_snapshot& snapshot,
                                                             const std::string& begin,
                                                             std::size_t max,
                                                             category_id category) const {
  stream_page made{.begin = begin, .max = max, .only = category, .told = told_by(snapshot)};
  if (stored_ != 0)
    if (auto added = add_stored(made); !added)
      return failure(added);
  const bool filter = snapshot.first() == log_position(1); // else a truncation may tell of it
  auto cursor = snapshot.scan(log_position(stored_ == 0 ? 0 : stored_ + 1),
                              {.category = filter ? category : category_id(0)});
  if (!cursor)
    return failure(cursor);
  auto records = (*cursor)->next();
  for (; records && !records->empty(); records = (*cursor)->next())
    for (const auto& record : *records)
      made.add(record.stream());
  if (!records)
    return failure(records);
  return std::move(made.streams);
}

result<std::vector<stream_info>> index_view::streams(const log_snapshot& snapshot, std::size_t max,
                                                     const std::optional<stream_id>& after,
                                                     category_id category) const {
  std::vector<stream_info> found;
  if (max == 0)
    return found;
  auto begin = after ? end_of(*after) : std::string();
  if (category != category_id(0))
    begin = std::max(begin, start_of(category));
  for (;;) {
    const auto page = page_of(snapshot, begin, max, category);
    if (!page)
      return std::unexpected(page.error());
    for (const auto& [key, stream] : *page) {
      const auto newest = version(stream, snapshot);
      if (!newest)
        return std::unexpected(newest.error());
      const auto first = truncated(stream, snapshot);
      if (!first)
        return std::unexpected(first.error());
      if (exists(*first, *newest) && found.size() < max) // else it was removed, or is newer
        found.push_back({stream, *newest});
    }
    if (found.size() == max || page->size() < max)
      return found;
    begin = page->rbegin()->first;
  }
}

} // namespace acta::storage
