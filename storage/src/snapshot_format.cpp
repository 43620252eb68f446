#include "snapshot_format.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace acta::storage {

namespace {

/// The fixed part of a stored snapshot. The metadata follows it, then the state, each padded with
/// zeros to 8 bytes.
struct snapshot_header {
  std::uint64_t checksum; ///< XXH3-64 of everything after this field, padding included.
  std::uint64_t version;
  std::uint64_t position;
  std::uint64_t event_checksum;
  std::int64_t recorded_at_ns;
  std::uint64_t schema_hash;
  std::uint32_t state_size;
  std::uint32_t metadata_size;
};
static_assert(sizeof(snapshot_header) == 56 && alignof(snapshot_header) == 8);

[[nodiscard]] std::uint64_t checksum_of(std::span<const std::byte> value) noexcept {
  const auto covered = value.subspan(sizeof(snapshot_header::checksum));
  return XXH3_64bits(covered.data(), covered.size());
}

[[nodiscard]] std::byte* put_padded(std::byte* to, std::span<const std::byte> part) noexcept {
  if (!part.empty())
    std::memcpy(to, part.data(), part.size());
  std::memset(to + part.size(), 0, padded(part.size()) - part.size());
  return to + padded(part.size());
}

[[nodiscard]] std::unexpected<error> damaged(const stream_id& stream, stream_version version,
                                             std::string_view what) {
  return failure(errc::corrupt,
                 fmt::format("the snapshot of stream {} at version {} {}; it is not used",
                             stream.to_string(), version.value(), what));
}

} // namespace

snapshot_key::snapshot_key(const stream_id& stream, stream_version version) noexcept {
  index_key name(stream);
  name.set_version(version);
  const auto of_stream = name.stream();
  const auto of_version = name.bytes().subspan(of_stream.size());
  auto* end = put_padded(bytes_.data(), of_stream);
  std::memcpy(end, of_version.data(), of_version.size());
  size_ = padded(of_stream.size()) + of_version.size();
  ensure(size_ <= bytes_.size() && size_ % 8 == 0,
         "a snapshot's key fits and keeps values aligned");
}

bool snapshot_key::is_of_same_stream(std::span<const std::byte> other) const noexcept {
  return other.size() == size_
         && std::memcmp(other.data(), bytes_.data(), size_ - sizeof(std::uint64_t)) == 0;
}

stream_version snapshot_key::version_in(std::span<const std::byte> key) noexcept {
  ensure(key.size() > sizeof(std::uint64_t), "a snapshot's key ends with the version");
  std::uint64_t version = 0;
  for (const auto byte : key.last(sizeof version))
    version = version << 8U | std::to_integer<std::uint64_t>(byte);
  return stream_version(version);
}

/// The padding is no part of an index's key, and only what is before it says how long it is.
std::optional<index_entry_name> parse_snapshot_key(std::span<const std::byte> key) noexcept {
  constexpr auto version_size = sizeof(std::uint64_t);
  std::array<std::byte, padded(index_key::max_size)> unpadded{};
  if (key.size() <= version_size || key.size() > unpadded.size())
    return std::nullopt;
  const auto of_stream = key.first(key.size() - version_size);
  for (std::size_t padding = 0; padding < 8 && padding < of_stream.size(); ++padding) {
    const auto size = of_stream.size() - padding;
    std::memcpy(unpadded.data(), key.data(), size);
    std::memcpy(unpadded.data() + size, key.data() + of_stream.size(), version_size);
    const auto name = parse_index_key(std::span(unpadded).first(size + version_size));
    if (name && std::ranges::equal(snapshot_key(name->stream, name->version).bytes(), key))
      return name;
  }
  return std::nullopt;
}

result<void> check_snapshot(const snapshot_to_save& one) {
  const auto& [stream, snapshot, newest] = one;
  if (snapshot.version == stream_version(0))
    return failure(errc::invalid_argument,
                   fmt::format("a snapshot of stream {} at version 0: there is nothing to save",
                               stream.to_string()));
  if (const auto size = std::max(snapshot.state.size(), snapshot.metadata.size());
      size > limits::max_snapshot_size)
    return failure(errc::too_large,
                   fmt::format("a snapshot of stream {} has {} bytes, and at most {} are saved; "
                               "keep what is large beside the log",
                               stream.to_string(), size, limits::max_snapshot_size));
  return {};
}

std::size_t snapshot_size(const stream_snapshot& one) noexcept {
  return sizeof(snapshot_header) + padded(one.metadata.size()) + padded(one.state.size());
}

void encode_snapshot(const stream_snapshot& one, std::byte* to) noexcept {
  ensure(reinterpret_cast<std::uintptr_t>(to) % 8 == 0, "a snapshot is encoded 8-byte aligned");
  ensure(one.state.size() <= limits::max_snapshot_size
           && one.metadata.size() <= limits::max_snapshot_size,
         "a snapshot's size was checked before");
  auto* header = new (to) snapshot_header{
    .checksum = 0,
    .version = one.version.value(),
    .position = one.position.value(),
    .event_checksum = one.event_checksum,
    .recorded_at_ns = one.recorded_at_ns,
    .schema_hash = one.schema_hash,
    .state_size = static_cast<std::uint32_t>(one.state.size()),
    .metadata_size = static_cast<std::uint32_t>(one.metadata.size()),
  };
  const auto* end = put_padded(put_padded(to + sizeof *header, one.metadata), one.state);
  ensure(end == to + snapshot_size(one), "a snapshot has the size it was announced with");
  header->checksum = checksum_of({to, snapshot_size(one)});
}

result<stream_snapshot> parse_snapshot(const stream_id& stream, stream_version version,
                                       std::span<const std::byte> value) {
  if (value.size() < sizeof(snapshot_header)
      || reinterpret_cast<std::uintptr_t>(value.data()) % 8 != 0)
    return damaged(stream, version, fmt::format("is no snapshot: {} bytes", value.size()));
  const auto& header = *reinterpret_cast<const snapshot_header*>(value.data());
  const auto metadata_size = padded(std::size_t{header.metadata_size});
  if (sizeof header + metadata_size + padded(std::size_t{header.state_size}) != value.size())
    return damaged(stream, version, "has parts that do not add up to its size");
  if (checksum_of(value) != header.checksum)
    return damaged(stream, version, "has a checksum that does not fit");
  if (header.version != version.value())
    return damaged(stream, version, fmt::format("says that it is of version {}", header.version));
  return stream_snapshot{
    .version = version,
    .position = log_position(header.position),
    .event_checksum = header.event_checksum,
    .recorded_at_ns = header.recorded_at_ns,
    .schema_hash = header.schema_hash,
    .metadata = value.subspan(sizeof header, header.metadata_size),
    .state = value.subspan(sizeof header + metadata_size, header.state_size),
  };
}

bool matches(const snapshot_criteria& criteria, const result<stream_snapshot>& one) noexcept {
  return !one || one->recorded_at_ns <= criteria.max_recorded_at_ns;
}

result<void> check_newest(const snapshot_to_save& one,
                          std::span<const stream_version> newest_first) {
  const auto actual = newest_first.empty() ? stream_version(0) : newest_first.front();
  if (one.newest.matches(actual))
    return {};
  return failure(errc::wrong_version,
                 fmt::format("stream {}: expected {} for its newest snapshot, and that is of "
                             "version {}; read again",
                             one.stream.to_string(), one.newest.to_string(), actual.value()));
}

std::vector<stream_version>
replaced_by(stream_version saved, std::span<const stream_version> newest_first, std::size_t keep) {
  std::vector<stream_version> removed;
  std::size_t kept = 1; // the one saved
  for (const auto version : newest_first)
    if (version > saved || (version < saved && ++kept > keep))
      removed.push_back(version);
  return removed;
}

result<void> verify(const stream_snapshot& snapshot, const stream_id& stream,
                    const log_snapshot& log) {
  if (snapshot.position == log_position(0) || snapshot.position > log.tail())
    return damaged(stream, snapshot.version,
                   fmt::format("is of position {}, and the log ends at {}",
                               snapshot.position.value(), log.tail().value()));
  if (snapshot.position < log.first())
    return failure(
      errc::not_found,
      fmt::format("the snapshot of stream {} at version {} cannot be checked: its last "
                  "event, at position {}, was archived",
                  stream.to_string(), snapshot.version.value(), snapshot.position.value()));
  const auto last = log.at(snapshot.position);
  if (!last)
    return std::unexpected(last.error());
  if (!last->is_of(stream) || last->version() != snapshot.version
      || last->header().checksum != snapshot.event_checksum)
    return damaged(stream, snapshot.version,
                   fmt::format("is of another log: its last event is not the one at position {}",
                               snapshot.position.value()));
  return {};
}

} // namespace acta::storage
