#include "book_recorder.hpp"

#include "decimal.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace acta::sim {

namespace {

constexpr std::size_t levels = 10;

[[nodiscard]] std::string header_line() {
  std::string line = "sequence,ts_event";
  for (std::size_t i = 0; i < levels; ++i)
    fmt::format_to(std::back_inserter(line),
                   ",bid_px_{0:02},bid_sz_{0:02},bid_ct_{0:02},ask_px_{0:02},ask_sz_{0:02},"
                   "ask_ct_{0:02}",
                   i);
  return line += '\n';
}

void put_level(std::string& row, const std::vector<projections::price_level>& side,
               std::size_t index) {
  if (index >= side.size())
    row += ",,0,0";
  else
    fmt::format_to(std::back_inserter(row), ",{},{},{}", price_text(side[index].price),
                   side[index].quantity, side[index].orders);
}

} // namespace

book_recorder::book_recorder(const recorded_feed& feed, std::uint64_t fingerprint, output_file to)
    : feed_(feed), fingerprint_(fingerprint), to_(std::move(to)) {
  to_.write(header_line());
}

result<storage::scan_options> book_recorder::attach(const storage::event_log& log) {
  handlers_.attach(log);
  for (category_id id(1); !log.category_name(id).empty(); id = id.next())
    if (log.category_name(id) == trading::limit_order::category)
      orders_ = id;
  return storage::scan_options{}; // all, as a row is written when another record of the feed begins
}

projections::step_result book_recorder::apply(const projections::view_step& step) {
  for (const auto& record : step.records) {
    const auto& id = record.header().command;
    const auto number = id.high() == fingerprint_ ? id.low() : 0;
    if (number != pending_)
      write_pending_row();
    if (auto applied = handlers_.apply(book_, {&record, 1}); !applied)
      return applied;
    if (record.header().category == orders_.value() && number < feed_.labels.size())
      pending_ = number;
  }
  return {};
}

result<void> book_recorder::clear() {
  return failure(errc::invalid_argument, "rows that are written stay: begin another file");
}

void book_recorder::write_pending_row() {
  if (pending_ == 0)
    return;
  const auto& label = feed_.labels[pending_];
  pending_ = 0;
  const auto depth = book_.depth(label.instrument, levels);
  row_.clear();
  fmt::format_to(std::back_inserter(row_), "{},{}", label.sequence, label.time);
  for (std::size_t i = 0; i < levels; ++i) {
    put_level(row_, depth.bids, i);
    put_level(row_, depth.asks, i);
  }
  row_ += '\n';
  to_.write(row_);
}

result<void> book_recorder::finish() {
  write_pending_row();
  return to_.finish();
}

} // namespace acta::sim
