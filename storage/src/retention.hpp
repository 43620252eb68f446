#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/stream_index.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

/// How truncations are kept in the log: the truncations of stream K of category "order" are the
/// events of stream K of category "acta.retention/order", so that the index finds the newest as it
/// finds any event, and it is versioned, checked and rebuilt as any other.
namespace acta::storage {

inline constexpr std::string_view retention_prefix = "acta.retention/";
inline constexpr std::string_view truncated_event = "acta.storage.stream_truncated";

/// Knows which categories of a log have truncated streams. Thread-safe.
class retention_categories {
public:
  explicit retention_categories(const event_log& log) noexcept : log_(log) {}

  /// The category with the truncations of another's streams; 0 if none of them was ever truncated.
  [[nodiscard]] category_id of(category_id category) const;

private:
  void read_new_names() const;

  const event_log& log_;
  mutable std::mutex mutex_;
  mutable std::uint16_t known_ = 0; ///< Categories looked at.

  mutable std::vector<std::uint16_t> of_{}; ///< By category.
};

/// The same key in another category.
[[nodiscard]] stream_id in_category(const stream_id& stream, category_id category);

/// What a record of a truncation says; errc::corrupt if it is none.
[[nodiscard]] result<truncation> read_truncation(const record_view& record);

/// The schema of such records, which makes them readable as JSON.
[[nodiscard]] std::span<const std::byte> schema_of_truncations() noexcept;

/// The payload of such a record.
[[nodiscard]] std::vector<std::byte> truncation_payload(const truncation& what);

} // namespace acta::storage
