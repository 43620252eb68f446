#pragma once

#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

/// Finished records for tests of logs.
namespace acta::tests {

/// Owns its bytes, 8-byte aligned.
class finished_record {
public:
  finished_record(const stream_id& stream, std::uint64_t version, std::string_view payload,
                  std::uint16_t remaining = 0, std::uint64_t command = 0,
                  std::uint16_t event_type = 1, std::string_view metadata = {}) {
    const storage::record_fields fields{
      .stream = stream,
      .version = stream_version(version),
      .command = command_id::of(1, command != 0 ? command : version),
      .event_type = event_type_id(event_type),
      .metadata = std::as_bytes(std::span(metadata)),
      .payload = std::as_bytes(std::span(payload)),
    };
    words_.resize(storage::record_size(fields) / sizeof(std::uint64_t));
    storage::encode_record(fields, data());
    storage::set_remaining(data(), remaining);
    storage::finish_record(data(), size(), recorded_at_ns);
  }

  static constexpr std::int64_t recorded_at_ns = 1'000;

  [[nodiscard]] std::byte* data() noexcept { return reinterpret_cast<std::byte*>(words_.data()); }
  [[nodiscard]] std::size_t size() const noexcept { return words_.size() * sizeof(std::uint64_t); }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return std::as_bytes(std::span(words_));
  }

private:
  std::vector<std::uint64_t> words_;
};

[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace acta::tests
