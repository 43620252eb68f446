#pragma once

#include "output_file.hpp"
#include "source.hpp"

#include <acta/projections/handlers.hpp>
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
  [[nodiscard]] std::uint32_t version() const noexcept override { return 1; }
  [[nodiscard]] result<storage::scan_options> attach(const storage::event_log& log) override;
  [[nodiscard]] projections::step_result apply(const projections::view_step& step) override;
  /// errc::invalid_argument: rows that are written stay.
  [[nodiscard]] result<void> clear() override;
  [[nodiscard]] result<std::vector<projections::dead_letter>> dead_letters() const override {
    return {};
  }

  /// Writes the last row and completes the file.
  [[nodiscard]] result<void> finish();

private:
  void write_pending_row();

  const recorded_feed& feed_;
  std::uint64_t fingerprint_;
  output_file to_;
  projections::order_book book_;
  projections::handlers<projections::order_book> handlers_;
  category_id orders_;
  std::uint64_t pending_ = 0; ///< The record whose row is not written yet; 0 is none.
  std::string row_;
};

} // namespace acta::sim
