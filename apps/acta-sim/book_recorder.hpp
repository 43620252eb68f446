#pragma once

#include "output_file.hpp"
#include "source.hpp"

#include <acta/projections/order_book.hpp>
#include <acta/projections/projection.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace acta::sim {

using apps::output_file;

/// Writes a CSV row after each feed record that changed the book, in the order of the log:
/// sequence, time, and ten levels as in Databento's MBP-10. Which record an event came from is in
/// its command id, so the rows can be written again from the log alone. Used by one thread at a
/// time.
class book_recorder final : public projections::projection {
public:
  /// `feed` must outlive it.
  book_recorder(const recorded_feed& feed, std::uint64_t fingerprint, output_file to);

  [[nodiscard]] std::string_view name() const noexcept override { return "book_recorder"; }
  void attach(const storage::event_log& log) override;
  [[nodiscard]] result<void> apply(std::span<const storage::record_view> records) override;

  /// Writes the last row and completes the file.
  [[nodiscard]] result<void> finish();

private:
  void write_pending_row();

  const recorded_feed& feed_;
  std::uint64_t fingerprint_;
  output_file to_;
  projections::order_book book_;
  category_id orders_;
  std::uint64_t pending_ = 0; ///< The record whose row is not written yet; 0 is none.
  std::string row_;
};

} // namespace acta::sim
