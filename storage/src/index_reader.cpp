#include "index_chunk.hpp"
#include "index_file.hpp"
#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace acta::storage {

namespace {

[[nodiscard]] MDB_val value_of(std::span<const std::byte> bytes) noexcept {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};
}

[[nodiscard]] std::span<const std::byte> bytes_of(const MDB_val& value) noexcept {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

[[nodiscard]] bool starts_with(std::span<const std::byte> bytes,
                               std::span<const std::byte> start) noexcept {
  return bytes.size() >= start.size() && std::ranges::equal(bytes.first(start.size()), start);
}

} // namespace

/// An entry of the stream that is looked for.
struct index_file::reader::chunk {
  std::uint64_t first_version;
  index_chunk positions;

  [[nodiscard]] std::uint64_t last_version() const noexcept {
    return first_version + positions.size() - 1;
  }
};

result<index_file::reader> index_file::reader::begin(const index_file& of) {
  auto transaction = of.readers_.begin();
  if (!transaction)
    return failure(transaction);
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(*transaction, of.streams_, &cursor); code != MDB_SUCCESS) {
    of.readers_.end(*transaction);
    return lmdb_failure(code, of.environment_.path(), "a cursor");
  }
  return reader(of, *transaction, cursor);
}

index_file::reader::reader(reader&& other) noexcept
    : of_(other.of_), transaction_(std::exchange(other.transaction_, nullptr)),
      cursor_(other.cursor_) {}

index_file::reader::~reader() {
  if (transaction_ == nullptr)
    return;
  mdb_cursor_close(cursor_);
  of_->readers_.end(transaction_);
}

/// The entry the cursor comes to; empty if that is another stream's, or none.
result<std::optional<index_file::reader::chunk>> index_file::reader::get(const index_key& of,
                                                                         MDB_cursor_op how) const {
  auto key = value_of(of.bytes());
  MDB_val value{};
  const int code = mdb_cursor_get(cursor_, &key, &value, how);
  if (code == MDB_NOTFOUND)
    return std::nullopt;
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, of_->environment_.path(), "reading");
  const auto bytes = bytes_of(key);
  if (bytes.size() != of.bytes().size() || !starts_with(bytes, of.stream()))
    return std::nullopt;
  const auto name = parse_index_key(bytes);
  const index_chunk positions(bytes_of(value));
  if (!name || name->version == stream_version(0) || !positions.is_well_formed())
    return failure(errc::corrupt,
                   fmt::format("'{}' has a malformed entry; close the store, remove the directory "
                               "and open it again: it is made anew",
                               of_->environment_.path().string()));
  return chunk{name->version.value(), positions};
}

/// The newest entry that begins at or before the key's version.
result<std::optional<index_file::reader::chunk>>
index_file::reader::at_or_before(const index_key& wanted) const {
  auto key = value_of(wanted.bytes());
  MDB_val value{};
  const int code = mdb_cursor_get(cursor_, &key, &value, MDB_SET_RANGE);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, of_->environment_.path(), "reading");
  if (code == MDB_NOTFOUND)
    return get(wanted, MDB_LAST);
  if (std::ranges::equal(bytes_of(key), wanted.bytes()))
    return get(wanted, MDB_GET_CURRENT);
  return get(wanted, MDB_PREV);
}

result<std::optional<indexed_event>> index_file::reader::newest(const stream_id& stream,
                                                                log_position up_to) const {
  std::vector<indexed_event> found;
  if (auto done = read(stream, stream_version(UINT64_MAX), 1, direction::backward, up_to, found);
      !done)
    return failure(done);
  return found.empty() ? std::nullopt : std::optional(found.front());
}

result<void> index_file::reader::read(const stream_id& stream, stream_version from, std::size_t max,
                                      direction way, log_position up_to,
                                      std::vector<indexed_event>& found) const {
  const bool forward = way == direction::forward;
  index_key key(stream);
  key.set_version(from);
  auto in = at_or_before(key);
  if (forward && in && !*in)
    in = get(key, MDB_SET_RANGE); // the stream begins later
  for (; in && *in && found.size() < max; in = get(key, forward ? MDB_NEXT : MDB_PREV)) {
    const auto& [first, positions] = **in;
    const auto last = (*in)->last_version();
    const auto start = forward ? std::max(from.value(), first) : std::min(from.value(), last);
    if (forward ? start > last : start < first)
      continue;
    ensure(start >= first && start <= last, "what is read lies within the entry");
    const auto count = forward ? last - start + 1 : start - first + 1;
    for (std::uint64_t i = 0; i < count && found.size() < max; ++i) {
      const auto version = forward ? start + i : start - i;
      const log_position position(positions[version - first]);
      if (position <= up_to)
        found.push_back({stream_version(version), position});
      else if (forward)
        return {};
    }
  }
  if (!in)
    return failure(in);
  ensure(found.size() <= max, "no more is read than was asked for");
  return {};
}

result<std::vector<stream_id>> index_file::reader::streams(std::span<const std::byte> after,
                                                           std::size_t max) const {
  std::vector<stream_id> found;
  auto key = value_of(after);
  MDB_val value{};
  int code = mdb_cursor_get(cursor_, &key, &value, after.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (code == MDB_SUCCESS && found.size() < max) {
    const auto name = parse_index_key(bytes_of(key));
    if (!name)
      return failure(errc::corrupt, fmt::format("'{}' has a malformed key; close the store, remove "
                                                "the directory and open it again: it is made anew",
                                                of_->environment_.path().string()));
    found.push_back(name->stream);
    index_key end(name->stream); // past its other entries, of which there may be many
    end.set_version(stream_version(UINT64_MAX));
    key = value_of(end.bytes());
    code = mdb_cursor_get(cursor_, &key, &value, MDB_SET_RANGE);
  }
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, of_->environment_.path(), "reading");
  return found;
}

} // namespace acta::storage
