#pragma once

#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/truncation.hpp>

#include <cstdint>
#include <mutex>
#include <vector>

namespace acta::storage {

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

} // namespace acta::storage
