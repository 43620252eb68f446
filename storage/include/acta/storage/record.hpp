#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

/// One event as it lies in the log. Byte by byte: docs/format.md.
namespace acta::storage {

/// The fixed part of a record, little endian, at an 8-byte aligned address. The key follows it,
/// then the metadata, then the payload, each padded with zeros to 8 bytes.
struct record_header {
  std::uint64_t checksum;       ///< XXH3-64 of everything after this field, padding included.
  std::uint64_t version;        ///< stream_version of this event.
  std::int64_t recorded_at_ns;  ///< When it was committed: ns since 1970-01-01T00:00:00Z.
  acta::command_id command;     ///< The command it came from.
  std::uint32_t payload_size;   ///< Bytes of FlatBuffer, without padding.
  std::uint16_t metadata_size;  ///< Bytes of metadata, without padding.
  std::uint16_t event_type;     ///< event_type_id in this store's dictionary.
  std::uint16_t schema_version; ///< domain::schema_version of the event.
  std::uint16_t category;       ///< category_id in this store's dictionary.
  std::uint8_t key_kind;        ///< acta::key_kind.
  std::uint8_t key_size;        ///< Bytes of key, without padding.
  std::uint16_t remaining;      ///< Events of the same command that follow; 0 for its last one.
};
static_assert(sizeof(record_header) == 56 && alignof(record_header) == 8);

[[nodiscard]] constexpr std::size_t padded(std::size_t size) noexcept {
  return (size + 7U) & ~std::size_t{7};
}

/// What encode_record() writes.
struct record_fields {
  const stream_id& stream;
  stream_version version;
  command_id command;
  event_type_id event_type;
  std::uint16_t schema_version = 1;
  std::span<const std::byte> metadata; ///< At most limits::max_metadata_size bytes.
  std::span<const std::byte> payload;  ///< At most limits::max_payload_size bytes.
};

/// Bytes that encode_record() needs for these fields: a multiple of 8.
[[nodiscard]] std::size_t record_size(const record_fields& fields) noexcept;

/// Writes a record to an 8-byte aligned place of record_size() bytes. What is not known yet is 0:
/// set_remaining() and, when it is appended, finish_record() fill it in.
void encode_record(const record_fields& fields, std::byte* to) noexcept;

/// Sets how many events of the same command follow an encoded record.
void set_remaining(std::byte* record, std::uint16_t remaining) noexcept;

/// Dates an encoded record of `size` bytes and sets its checksum. Logs do this as they append.
void finish_record(std::byte* record, std::size_t size, std::int64_t recorded_at_ns) noexcept;

/// A record in the log, borrowed: valid as long as the snapshot it was read from. 24 bytes.
class record_view {
public:
  /// An empty view; only to be assigned to.
  record_view() noexcept = default;

  /// Looks at `bytes` (8-byte aligned) as the record at `position`. Checks that the parts add up to
  /// the size, so that no accessor reads outside; errc::corrupt names the position if not.
  [[nodiscard]] static result<record_view> parse(log_position position,
                                                 std::span<const std::byte> bytes);

  [[nodiscard]] log_position position() const noexcept { return position_; }
  [[nodiscard]] const record_header& header() const noexcept { return *header_; }
  [[nodiscard]] stream_version version() const noexcept { return stream_version(header_->version); }
  [[nodiscard]] event_type_id event_type() const noexcept {
    return event_type_id(header_->event_type);
  }
  [[nodiscard]] std::span<const std::byte> key() const noexcept {
    return {data() + sizeof(record_header), header_->key_size};
  }
  [[nodiscard]] std::span<const std::byte> metadata() const noexcept {
    return {data() + sizeof(record_header) + padded(header_->key_size), header_->metadata_size};
  }
  [[nodiscard]] std::span<const std::byte> payload() const noexcept {
    return {data() + sizeof(record_header) + padded(header_->key_size)
              + padded(header_->metadata_size),
            header_->payload_size};
  }
  /// The whole record.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data(), size_}; }
  /// The stream it belongs to, copied.
  [[nodiscard]] stream_id stream() const noexcept;
  /// The key of its stream, if that is an integer; 0 if not.
  [[nodiscard]] std::uint64_t integer_key() const noexcept;
  /// stream_hash() of its stream, without a copy.
  [[nodiscard]] std::uint64_t stream_hash() const noexcept;
  /// True if the record belongs to `stream`.
  [[nodiscard]] bool is_of(const stream_id& stream) const noexcept;

  /// Checks the XXH3 checksum; errc::corrupt names position and stream if it does not fit.
  [[nodiscard]] result<void> verify() const;

private:
  record_view(log_position position, std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] const std::byte* data() const noexcept {
    return reinterpret_cast<const std::byte*>(header_);
  }

  log_position position_;
  const record_header* header_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace acta::storage
