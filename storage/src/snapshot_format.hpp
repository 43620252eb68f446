#pragma once

#include "index_key.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// How snapshots lie in their database. Byte by byte: docs/format.md.
namespace acta::storage {

/// Of the only database. Another layout of its values would have another name.
inline constexpr const char* snapshots_name = "snapshots-1";

/// As the index's, with the stream's part padded with zeros to 8 bytes: values are multiples of 8
/// bytes, and behind keys that are, too, LMDB keeps them 8-byte aligned.
class snapshot_key {
public:
  snapshot_key(const stream_id& stream, stream_version version) noexcept;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), size_}; }
  /// True if `other` is the key of a snapshot of the same stream.
  [[nodiscard]] bool is_of_same_stream(std::span<const std::byte> other) const noexcept;
  /// The version in such a key.
  [[nodiscard]] static stream_version version_in(std::span<const std::byte> key) noexcept;

private:
  std::array<std::byte, padded(index_key::max_size)> bytes_{};
  std::size_t size_;
};

/// What a snapshot's key says; empty if the bytes are none.
[[nodiscard]] std::optional<index_entry_name>
parse_snapshot_key(std::span<const std::byte> key) noexcept;

/// Checks what is to be saved.
[[nodiscard]] result<void> check_snapshot(const snapshot_to_save& one);

/// Bytes that encode_snapshot() writes to an 8-byte aligned place: a multiple of 8.
[[nodiscard]] std::size_t snapshot_size(const stream_snapshot& one) noexcept;
void encode_snapshot(const stream_snapshot& one, std::byte* to) noexcept;

/// What is stored under a stream's key of this version. errc::corrupt if it is damaged.
[[nodiscard]] result<stream_snapshot>
parse_snapshot(const stream_id& stream, stream_version version, std::span<const std::byte> value);

/// True if it is within the criteria, whose versions were looked at before.
[[nodiscard]] bool matches(const snapshot_criteria& criteria,
                           const result<stream_snapshot>& one) noexcept;

/// Checks the condition of a save on the stream's newest snapshot.
[[nodiscard]] result<void> check_newest(const snapshot_to_save& one,
                                        std::span<const stream_version> newest_first);

/// The versions to remove when one of `saved` is: those after it, and the oldest of more than
/// `keep`.
[[nodiscard]] std::vector<stream_version>
replaced_by(stream_version saved, std::span<const stream_version> newest_first, std::size_t keep);

/// In memory, for a log in memory.
[[nodiscard]] std::unique_ptr<snapshot_store> make_memory_snapshots(std::size_t keep);

} // namespace acta::storage
