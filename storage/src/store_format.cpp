#include "store_format.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstring>
#include <span>

namespace acta::storage {

namespace {

struct format_fields {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t endian_mark; ///< Reads as another number on a big-endian machine.
};
static_assert(sizeof(format_fields) == 16);
constexpr format_fields current_format{{'A', 'C', 'T', 'A', 'L', 'O', 'G', '\0'}, 1, 0x01020304};

template <class T>
[[nodiscard]] std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

} // namespace

std::string name_key(std::string_view prefix, std::uint16_t id) {
  return fmt::format("{}{:05}", prefix, id);
}

std::string checksum_value(std::string_view value) {
  return bytes_of(XXH3_64bits(value.data(), value.size()));
}

std::string format_value() {
  return bytes_of(current_format);
}

result<void> check_format(std::string_view stored, const std::filesystem::path& path) {
  format_fields format{};
  if (stored.size() == sizeof format)
    std::memcpy(&format, stored.data(), sizeof format);
  if (format.magic != current_format.magic)
    return failure(errc::foreign_store, fmt::format("'{}' is not the log of an Acta store; choose "
                                                    "another directory",
                                                    path.string()));
  if (format.endian_mark != current_format.endian_mark)
    return failure(errc::foreign_store,
                   fmt::format("'{}' was written on a machine of other byte order; export it there "
                               "and import it here",
                               path.string()));
  if (format.version > current_format.version)
    return failure(errc::newer_format,
                   fmt::format("'{}' has format {}, and this Acta knows up to {}; use a newer Acta",
                               path.string(), format.version, current_format.version));
  return {};
}

std::string start_value(const log_start& start) {
  ensure(start.first != log_position(0), "a log begins at a position");
  return bytes_of(start.first.value()) + bytes_of(start.checksum_before)
         + bytes_of(start.whole_through);
}

std::optional<log_start> parse_start(std::string_view stored) noexcept {
  std::array<std::uint64_t, 3> words{};
  if (stored.size() != sizeof words)
    return std::nullopt;
  std::memcpy(words.data(), stored.data(), sizeof words);
  const auto [first, checksum_before, whole_through] = words;
  if (first == 0 || first > limits::max_position)
    return std::nullopt;
  return log_start{log_position(first), checksum_before, whole_through};
}

std::string store_id_text(std::string_view bytes) {
  ensure(bytes.size() == store_id_size, "a store's id has 16 bytes");
  return fmt::format(
    "{:02x}",
    fmt::join(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), ""));
}

} // namespace acta::storage
