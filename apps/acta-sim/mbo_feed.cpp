#include "csv.hpp"
#include "decimal.hpp"
#include "source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

namespace acta::sim {

namespace {

enum column : std::size_t {
  ts_event,
  instrument_id,
  action,
  side,
  price,
  size,
  order_id,
  sequence
};
constexpr std::array<std::string_view, 8> column_names{
  "ts_event", "instrument_id", "action", "side", "price", "size", "order_id", "sequence"};

/// One row, read.
struct mbo_row {
  char action = 0;
  trading::side side = trading::side::none;
  std::uint32_t instrument = 0;
  std::uint64_t order = 0;
  std::int64_t price = 0;
  std::int64_t size = 0;
  std::uint64_t sequence = 0;
};

class mbo_reader {
public:
  mbo_reader(const std::filesystem::path& file, const std::vector<std::uint64_t>& skipped)
      : name_(file.string()), skipped_(skipped) {}

  [[nodiscard]] result<recorded_feed> read(std::unique_ptr<const std::string> text) {
    recorded_feed feed;
    feed.text = std::move(text);
    feed.labels.emplace_back();
    auto rows = named_rows::open(name_, *feed.text, column_names, "a Databento MBO file");
    if (!rows)
      return failure(rows);
    result<bool> more;
    while ((more = rows->next()) && *more) {
      auto row = read_row(*rows);
      if (!row)
        return failure(row);
      const auto number = feed.labels.size();
      feed.labels.push_back({.instrument = row->instrument,
                             .sequence = row->sequence,
                             .time = std::string((*rows)[ts_event])});
      if (std::ranges::find(skipped_, row->order) == skipped_.end())
        translate(*row, number, feed.steps);
    }
    if (!more)
      return failure(more);
    return feed;
  }

private:
  [[nodiscard]] static result<mbo_row> read_row(const named_rows& rows) {
    mbo_row row;
    const auto kind = rows[action];
    if (kind.size() != 1 || !std::string_view("ACMTFR").contains(kind[0]))
      return rows.malformed(action, "one of A, C, M, T, F, R");
    row.action = kind[0];
    const auto at = rows[side];
    if (at != "A" && at != "B" && at != "N")
      return rows.malformed(side, "A, B or N");
    row.side = at == "B"   ? trading::side::buy
               : at == "A" ? trading::side::sell
                           : trading::side::none;
    const auto instrument = parse_integer<std::uint32_t>(rows[instrument_id]);
    const auto order = parse_integer<std::uint64_t>(rows[order_id]);
    const auto amount = parse_integer<std::int64_t>(rows[size]);
    const auto at_price = parse_price(rows[price]);
    if (!instrument)
      return rows.malformed(instrument_id, "a whole number");
    if (!order)
      return rows.malformed(order_id, "a whole number");
    if (!amount || *amount < 0)
      return rows.malformed(size, "a whole number");
    if (!at_price && row.action != 'R')
      return rows.malformed(price, "a decimal with at most 9 places");
    const auto number = parse_integer<std::uint64_t>(rows[sequence]);
    if (!number)
      return rows.malformed(sequence, "a whole number");
    if ((row.action == 'A' || row.action == 'M') && row.side == trading::side::none)
      return rows.malformed(side, "A or B for an order");
    row.instrument = *instrument;
    row.order = *order;
    row.size = *amount;
    row.sequence = *number;
    row.price = at_price.value_or(0);
    return row;
  }

  void translate(const mbo_row& row, std::uint64_t number, std::vector<step>& to) {
    const auto order = [&](trading::limit_order::command command) {
      to.push_back({number, row.order, command});
    };
    switch (row.action) {
      case 'A':
      case 'M': order(trading::replace{row.instrument, row.side, row.price, row.size}); break;
      case 'C': {
        const auto fill = fills_.find(row.order);
        if (fill != fills_.end() && fill->second.first == row.size)
          order(trading::execute{row.size, fill->second.second});
        else
          order(trading::reduce{row.size});
        if (fill != fills_.end())
          fills_.erase(fill);
        break;
      }
      case 'F': fills_[row.order] = {row.size, row.price}; break;
      case 'T': // with a side it is the aggressor's word of the fills that follow
        if (row.side == trading::side::none)
          to.push_back({number, row.instrument, trading::print_trade{row.price, row.size}});
        break;
      default: to.push_back({number, row.instrument, clear_book{}}); break;
    }
  }

  std::string name_;
  const std::vector<std::uint64_t>& skipped_;
  /// Fills not yet taken out of the book: order -> size and price.
  std::map<std::uint64_t, std::pair<std::int64_t, std::int64_t>> fills_;
};

} // namespace

result<recorded_feed> read_mbo(const std::filesystem::path& file,
                               const std::vector<std::uint64_t>& skipped_orders) {
  auto text = read_file(file);
  if (!text)
    return failure(text);
  return mbo_reader(file, skipped_orders).read(std::move(*text));
}

} // namespace acta::sim
