#include <acta/storage/record.hpp>

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <new>

namespace acta::storage {

namespace {

/// Copies a part and pads it with zeros to 8 bytes; returns where the next part goes.
[[nodiscard]] std::byte* put_part(std::byte* to, std::span<const std::byte> part) noexcept {
  const auto whole = padded(part.size());
  if (!part.empty())
    std::memcpy(to, part.data(), part.size());
  std::memset(to + part.size(), 0, whole - part.size());
  return to + whole;
}

[[nodiscard]] std::uint64_t checksum_of(const std::byte* record, std::size_t size) noexcept {
  constexpr auto skipped = sizeof(record_header::checksum);
  return XXH3_64bits(record + skipped, size - skipped);
}

[[nodiscard]] bool is_aligned(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address) % alignof(record_header) == 0;
}

[[nodiscard]] std::unexpected<error> damaged(log_position position, const std::string& what) {
  return failure(errc::corrupt,
                 fmt::format("position {}: {}; the log is damaged: restore a backup, or keep what "
                             "lies before this position",
                             position.value(), what));
}

[[nodiscard]] bool key_fits(const record_header& header) noexcept {
  switch (static_cast<acta::key_kind>(header.key_kind)) {
    case acta::key_kind::integer: return header.key_size == sizeof(std::uint64_t);
    case acta::key_kind::uuid: return header.key_size == 16;
    case acta::key_kind::text:
      return header.key_size >= 1 && header.key_size <= limits::max_key_size;
  }
  return false;
}

} // namespace

std::size_t record_size(const record_fields& fields) noexcept {
  return sizeof(record_header) + padded(fields.stream.key().size()) + padded(fields.metadata.size())
         + padded(fields.payload.size());
}

void encode_record(const record_fields& fields, std::byte* to) noexcept {
  ensure(is_aligned(to), "a record is encoded at an 8-byte aligned address");
  ensure(fields.payload.size() <= limits::max_payload_size
           && fields.metadata.size() <= limits::max_metadata_size,
         "an event's size was checked before");
  const auto key = fields.stream.key();
  new (to) record_header{
    .checksum = 0,
    .version = fields.version.value(),
    .recorded_at_ns = 0,
    .command = fields.command,
    .payload_size = static_cast<std::uint32_t>(fields.payload.size()),
    .metadata_size = static_cast<std::uint16_t>(fields.metadata.size()),
    .event_type = fields.event_type.value(),
    .schema_version = fields.schema_version,
    .category = fields.stream.category().value(),
    .key_kind = static_cast<std::uint8_t>(fields.stream.kind()),
    .key_size = static_cast<std::uint8_t>(key.size()),
    .remaining = 0,
  };
  auto* end = put_part(to + sizeof(record_header), key);
  end = put_part(end, fields.metadata);
  end = put_part(end, fields.payload);
  ensure(end == to + record_size(fields), "a record has the size it was announced with");
}

void set_remaining(std::byte* record, std::uint16_t remaining) noexcept {
  std::launder(reinterpret_cast<record_header*>(record))->remaining = remaining;
}

void finish_record(std::byte* record, std::size_t size, std::int64_t recorded_at_ns) noexcept {
  ensure(size >= sizeof(record_header) && size % 8 == 0, "only an encoded record is finished");
  ensure(is_aligned(record), "a record lies at an 8-byte aligned address");
  auto* header = std::launder(reinterpret_cast<record_header*>(record));
  header->recorded_at_ns = recorded_at_ns;
  header->checksum = checksum_of(record, size);
}

record_view::record_view(log_position position, std::span<const std::byte> bytes) noexcept
    : position_(position), header_(reinterpret_cast<const record_header*>(bytes.data())),
      size_(bytes.size()) {}

result<record_view> record_view::parse(log_position position, std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(record_header) || bytes.size() % 8 != 0) [[unlikely]]
    return damaged(position, fmt::format("{} bytes are no record", bytes.size()));
  if (!is_aligned(bytes.data())) [[unlikely]]
    return damaged(position, "it is not 8-byte aligned");
  const record_view view(position, bytes);
  const auto& header = view.header();
  if (!key_fits(header)) [[unlikely]]
    return damaged(position, fmt::format("a key of kind {} cannot have {} bytes",
                                         unsigned{header.key_kind}, unsigned{header.key_size}));
  const auto expected = sizeof(record_header) + padded(header.key_size)
                        + padded(header.metadata_size) + padded(std::size_t{header.payload_size});
  if (expected != bytes.size()) [[unlikely]]
    return damaged(
      position, fmt::format("its parts add up to {} bytes, but it has {}", expected, bytes.size()));
  return view;
}

stream_id record_view::stream() const noexcept {
  const auto id = stream_id::from_bytes(category_id(header_->category),
                                        static_cast<acta::key_kind>(header_->key_kind), key());
  ensure(id.has_value(), "parse() checked the key");
  return *id;
}

std::uint64_t record_view::integer_key() const noexcept {
  std::uint64_t value = 0;
  if (header_->key_kind == static_cast<std::uint8_t>(acta::key_kind::integer))
    std::memcpy(&value, key().data(), sizeof value); // parse() checked the size
  return value;
}

std::uint64_t record_view::stream_hash() const noexcept {
  return acta::stream_hash(category_id(header_->category),
                           static_cast<acta::key_kind>(header_->key_kind), key());
}

bool record_view::is_of(const stream_id& stream) const noexcept {
  const auto wanted = stream.key();
  return header_->category == stream.category().value()
         && header_->key_kind == static_cast<std::uint8_t>(stream.kind())
         && header_->key_size == wanted.size()
         && std::memcmp(key().data(), wanted.data(), wanted.size()) == 0;
}

result<void> record_view::verify() const {
  if (checksum_of(data(), size_) != header_->checksum)
    return damaged(position_, fmt::format("the checksum of an event of stream {} does not fit",
                                          stream().to_string()));
  return {};
}

} // namespace acta::storage
