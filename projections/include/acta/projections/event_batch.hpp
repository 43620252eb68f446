#pragma once

#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace acta::projections {

/// Events as a subscriber gets them: upcast, in the order of the log, and his own. Copied, so that
/// who takes his time over them, or keeps them, keeps no old pages of the log from reuse. Movable;
/// the records are valid as long as the batch is, wherever it is moved to.
class event_batch {
public:
  /// Of nothing.
  event_batch() = default;
  /// Copies the records.
  event_batch(std::span<const storage::record_view> records, log_position reached);

  [[nodiscard]] std::span<const storage::record_view> records() const noexcept { return records_; }
  [[nodiscard]] bool empty() const noexcept { return records_.empty(); }
  /// What is to be kept once the batch was handled, to go on behind it: its last position, or a
  /// later one where what follows was looked at and is not wanted.
  [[nodiscard]] log_position reached() const noexcept { return reached_; }

private:
  std::unique_ptr<std::uint64_t[]> bytes_; // records are aligned to 8 bytes
  std::vector<storage::record_view> records_;
  log_position reached_;
};

} // namespace acta::projections
