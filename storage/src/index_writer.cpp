#include "index_writer.hpp"

#include "index_chunk.hpp"
#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace acta::storage {

namespace {

/// Each may change a page of its own, and LMDB holds at most 131,071 changed pages: 64 MiB here.
constexpr std::size_t streams_per_transaction = 16'384;

constexpr std::size_t max_chunk_bytes = limits::index_chunk * index_chunk::position_size;

[[nodiscard]] MDB_val value_of(std::span<const std::byte> bytes) noexcept {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};
}

} // namespace

index_writer::~index_writer() {
  if (cursor_ != nullptr)
    mdb_cursor_close(cursor_);
}

result<void> index_writer::begin() {
  if (transaction_)
    return {};
  auto begun = lmdb_write::begin(in_);
  if (!begun)
    return failure(begun);
  if (const int code = mdb_cursor_open(begun->get(), streams_, &cursor_); code != MDB_SUCCESS)
    return lmdb_failure(code, in_.path(), "a cursor");
  transaction_.emplace(std::move(*begun));
  streams_put_ = 0;
  return {};
}

result<void> index_writer::commit() {
  ensure(transaction_.has_value(), "a transaction that was begun is committed");
  mdb_cursor_close(std::exchange(cursor_, nullptr));
  auto committed = transaction_->commit();
  transaction_.reset();
  return committed;
}

/// Leaves the cursor at the stream's last entry, if there is one.
result<std::optional<index_writer::last_entry>> index_writer::find_last(index_key& wanted,
                                                                        bool& at_end) const {
  ensure(cursor_ != nullptr && transaction_, "entries are looked for in a transaction");
  wanted.set_version(stream_version(UINT64_MAX));
  auto key = value_of(wanted.bytes());
  MDB_val value{};
  int code = mdb_cursor_get(cursor_, &key, &value, MDB_SET_RANGE);
  at_end = code == MDB_NOTFOUND;
  if (code == MDB_SUCCESS || code == MDB_NOTFOUND)
    code = mdb_cursor_get(cursor_, &key, &value, at_end ? MDB_LAST : MDB_PREV);
  if (code == MDB_NOTFOUND)
    return std::nullopt;
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, in_.path(), "reading");
  const auto stream = wanted.stream();
  if (key.mv_size != wanted.bytes().size()
      || std::memcmp(key.mv_data, stream.data(), stream.size()) != 0)
    return std::nullopt;
  std::uint64_t version = 0;
  std::memcpy(&version, static_cast<const std::byte*>(key.mv_data) + stream.size(), sizeof version);
  const std::span positions(static_cast<const std::byte*>(value.mv_data), value.mv_size);
  if (!index_chunk(positions).is_well_formed())
    return failure(errc::corrupt, fmt::format("'{}' has a malformed entry; close the store, remove "
                                              "the directory and open it again: it is made anew",
                                              in_.path().string()));
  return last_entry{.first_version = __builtin_bswap64(version), .positions = positions};
}

/// Of a stream that has no entries. Mostly 1, which the part of it says already.
result<std::uint64_t> index_writer::first_version(const index_batch::event& event) const {
  if (event.version_part == 1 && !has_large_versions_)
    return 1;
  const auto record = log_.at(log_position(event.position));
  if (!record)
    return std::unexpected(record.error());
  return record->version().value();
}

std::unexpected<error> index_writer::gap(const index_key& key, const index_batch::event& event,
                                         std::uint64_t expected) const {
  const auto name = parse_index_key(key.bytes());
  ensure(name.has_value(), "the key was made from a stream");
  return failure(
    errc::corrupt,
    fmt::format("position {}, stream {}: version {} must follow here; close the store, "
                "remove its directory 'index' and open it again: the index is made "
                "anew. If this comes again the log is damaged: restore a backup",
                std::uint64_t{event.position}, name->stream.to_string(), expected));
}

result<void> index_writer::put(index_key& key, std::span<const index_batch::event> events) {
  ensure(!events.empty(), "a stream in a batch has events");
  if (auto begun = begin(); !begun)
    return begun;
  bool at_end = false;
  const auto last = find_last(key, at_end);
  if (!last)
    return std::unexpected(last.error());
  std::array<std::byte, max_chunk_bytes> chunk;
  std::size_t size = 0;
  std::uint64_t first = 0; // version of the chunk in hand
  bool is_change = false;  // of the entry that the cursor is at
  if (*last) {
    const index_chunk there((*last)->positions);
    while (!events.empty() && events.front().position <= there.last())
      events = events.subspan(1);
    first = (*last)->first_version;
    size = (*last)->positions.size();
    is_change = size < chunk.size();
    if (is_change)
      std::ranges::copy((*last)->positions, chunk.begin());
  } else if (const auto begins = first_version(events.front()); begins) {
    first = *begins;
  } else {
    return std::unexpected(begins.error());
  }
  while (!events.empty()) {
    if (!is_change) {
      first += size / index_chunk::position_size;
      size = 0;
    }
    for (; !events.empty() && size < chunk.size(); events = events.subspan(1)) {
      const auto version = first + size / index_chunk::position_size;
      constexpr auto mask = (std::uint64_t{1} << index_batch::event::version_bits) - 1;
      if (events.front().version_part != (version & mask))
        return gap(key, events.front(), version);
      index_chunk::put(chunk.data() + size, events.front().position);
      size += index_chunk::position_size;
    }
    key.set_version(stream_version(first));
    auto at = value_of(key.bytes());
    auto value = value_of(std::span(chunk).first(size));
    const unsigned how = is_change ? MDB_CURRENT : at_end ? MDB_APPEND : 0U;
    if (const int code = mdb_cursor_put(cursor_, &at, &value, how); code != MDB_SUCCESS)
      return lmdb_failure(code, in_.path(), "adding to it");
    is_change = false;
  }
  return ++streams_put_ < streams_per_transaction ? result<void>{} : commit();
}

result<void> index_writer::finish(MDB_dbi database, MDB_val name, MDB_val value) {
  if (auto begun = begin(); !begun)
    return begun;
  if (const int code = mdb_put(transaction_->get(), database, &name, &value, 0);
      code != MDB_SUCCESS)
    return lmdb_failure(code, in_.path(), "raising its watermark");
  return commit();
}

} // namespace acta::storage
