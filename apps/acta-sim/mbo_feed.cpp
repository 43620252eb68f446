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
    csv_rows rows(name_, *feed.text);
    if (auto found = find_columns(rows); !found)
      return failure(found);
    while (rows.next()) {
      auto row = read_row(rows);
      if (!row)
        return failure(row);
      const auto number = feed.labels.size();
      feed.labels.push_back(
        {.instrument = row->instrument, .sequence = row->sequence, .time = field(rows, ts_event)});
      if (std::ranges::find(skipped_, row->order) == skipped_.end())
        translate(*row, number, feed.steps);
    }
    return feed;
  }

private:
  [[nodiscard]] result<void> find_columns(csv_rows& rows) {
    if (!rows.next())
      return failure(errc::malformed, fmt::format("{}: the file is empty; a line of column names "
                                                  "must come first",
                                                  name_));
    for (std::size_t i = 0; i < column_names.size(); ++i) {
      const auto at = std::ranges::find(rows.fields(), column_names[i]);
      if (at == rows.fields().end())
        return rows.malformed(fmt::format("there is no column '{}'; this is not a Databento MBO "
                                          "file with a line of column names",
                                          column_names[i]));
      at_[i] = static_cast<std::size_t>(at - rows.fields().begin());
    }
    width_ = rows.fields().size();
    return {};
  }

  [[nodiscard]] std::string_view field(const csv_rows& rows, column which) const {
    return rows.fields()[at_[which]];
  }
  [[nodiscard]] std::unexpected<error> bad(const csv_rows& rows, column which,
                                           std::string_view expected) const {
    return rows.malformed(column_names[which], at_[which], expected);
  }

  [[nodiscard]] result<mbo_row> read_row(const csv_rows& rows) const {
    if (rows.fields().size() != width_)
      return rows.malformed(
        fmt::format("{} columns, where the first line has {}", rows.fields().size(), width_));
    mbo_row row;
    const auto kind = field(rows, action);
    if (kind.size() != 1 || !std::string_view("ACMTFR").contains(kind[0]))
      return bad(rows, action, "one of A, C, M, T, F, R");
    row.action = kind[0];
    const auto at = field(rows, side);
    if (at != "A" && at != "B" && at != "N")
      return bad(rows, side, "A, B or N");
    row.side = at == "B"   ? trading::side::buy
               : at == "A" ? trading::side::sell
                           : trading::side::none;
    const auto instrument = parse_integer<std::uint32_t>(field(rows, instrument_id));
    const auto order = parse_integer<std::uint64_t>(field(rows, order_id));
    const auto amount = parse_integer<std::int64_t>(field(rows, size));
    const auto at_price = parse_price(field(rows, price));
    if (!instrument)
      return bad(rows, instrument_id, "a whole number");
    if (!order)
      return bad(rows, order_id, "a whole number");
    if (!amount || *amount < 0)
      return bad(rows, size, "a whole number");
    if (!at_price && row.action != 'R')
      return bad(rows, price, "a decimal with at most 9 places");
    const auto number = parse_integer<std::uint64_t>(field(rows, sequence));
    if (!number)
      return bad(rows, sequence, "a whole number");
    if ((row.action == 'A' || row.action == 'M') && row.side == trading::side::none)
      return bad(rows, side, "A or B for an order");
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
  std::array<std::size_t, column_names.size()> at_{};
  std::size_t width_ = 0;
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
