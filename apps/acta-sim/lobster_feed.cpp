#include "csv.hpp"
#include "decimal.hpp"
#include "source.hpp"

#include <fmt/format.h>
#include <tsl/robin_set.h>

#include <algorithm>
#include <map>
#include <utility>

namespace acta::sim {

namespace {

/// LOBSTER prices are in 1e-4 of a dollar.
constexpr std::int64_t lobster_price = price_unit / 10'000;

struct message {
  std::string_view time;
  int type = 0;
  std::uint64_t order = 0;
  std::int64_t size = 0;
  std::int64_t price = 0;
  trading::side side = trading::side::none;
};

/// Times have up to 12 places, more than a price.
[[nodiscard]] bool is_decimal(std::string_view text) noexcept {
  const auto point = text.find('.');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return digits(text.substr(0, point))
         && (point == std::string_view::npos || digits(text.substr(point + 1)));
}

[[nodiscard]] constexpr bool is_price(std::int64_t ticks) noexcept {
  return ticks <= INT64_MAX / lobster_price && ticks >= INT64_MIN / lobster_price;
}

[[nodiscard]] result<message> read_message(const csv_rows& rows) {
  const auto& fields = rows.fields();
  if (fields.size() != 6)
    return rows.malformed(fmt::format("{} columns, where a LOBSTER message has 6", fields.size()));
  message one{.time = fields[0]};
  const auto type = parse_integer<int>(fields[1]);
  const auto order = parse_integer<std::uint64_t>(fields[2]);
  const auto size = parse_integer<std::int64_t>(fields[3]);
  const auto price = parse_integer<std::int64_t>(fields[4]);
  if (!is_decimal(fields[0]))
    return rows.malformed("time", 0, "seconds after midnight");
  if (!type || *type < 1 || *type > 7 || *type == 6)
    return rows.malformed("type", 1, "1, 2, 3, 4, 5 or 7");
  if (!order || *order >= first_initial_order)
    return rows.malformed("order id", 2, "a whole number below 2^62");
  if (!size || (*type != 7 && (*size <= 0 || *size > trading::max_quantity)))
    return rows.malformed("size", 3, fmt::format("1 to {}", trading::max_quantity));
  if (!price || !is_price(*price))
    return rows.malformed("price", 4, "a price in 1e-4 of a dollar");
  if (fields[5] != "1" && fields[5] != "-1")
    return rows.malformed("direction", 5, "1 or -1");
  one.type = *type;
  one.order = *order;
  one.size = *size;
  one.price = *price * lobster_price;
  one.side = fields[5] == "1" ? trading::side::buy : trading::side::sell;
  return one;
}

/// The orders of the book before the first message: one a level.
class initial_book {
public:
  struct level {
    std::uint64_t order = 0;
    std::int64_t quantity = 0;
  };

  /// Reads the first row, which is the book after the message `first`, and takes that back.
  [[nodiscard]] result<void> read(const std::filesystem::path& file, const message& first) {
    auto text = read_file(file);
    if (!text)
      return failure(text);
    csv_rows rows(file.string(), **text);
    const auto first_row = rows.next();
    if (!first_row)
      return std::unexpected(first_row.error());
    if (!*first_row)
      return failure(errc::malformed, fmt::format("{}: the file is empty; a row of an order book "
                                                  "must come first",
                                                  file.string()));
    const auto& fields = rows.fields();
    if (fields.size() % 4 != 0)
      return rows.malformed(
        fmt::format("{} columns, where a LOBSTER book has 4 a level", fields.size()));
    for (std::size_t i = 0; i < fields.size(); i += 2) {
      const auto price = parse_integer<std::int64_t>(fields[i]);
      const auto quantity = parse_integer<std::int64_t>(fields[i + 1]);
      if (!price || !is_price(*price) || !quantity || *quantity < 0
          || *quantity > trading::max_quantity)
        return rows.malformed(fmt::format("level {} is '{},{}', where price and size must be",
                                          i / 4 + 1, fields[i], fields[i + 1]));
      if (*quantity != 0)
        levels_[{i % 4 == 0 ? trading::side::sell : trading::side::buy, *price * lobster_price}]
          .quantity += *quantity;
    }
    undo(first);
    return {};
  }

  /// One submit a level, numbered from first_initial_order in order of side and price.
  void enter(std::vector<step>& to) {
    auto id = first_initial_order;
    for (auto& [where, at] : levels_) {
      at.order = id++;
      to.push_back(
        {0, at.order, trading::submit{lobster_instrument, where.first, where.second, at.quantity}});
    }
  }

  /// The order that can take an event of the given side, price and size, which it then has.
  [[nodiscard]] std::uint64_t take(const message& one) {
    const auto found = levels_.find({one.side, one.price});
    if (found == levels_.end() || found->second.quantity < one.size)
      return 0;
    found->second.quantity -= one.size;
    return found->second.order;
  }

private:
  void undo(const message& first) {
    if (first.type > 4)
      return;
    auto& at = levels_[{first.side, first.price}];
    at.quantity += first.type == 1 ? -first.size : first.size;
    if (at.quantity <= 0)
      levels_.erase({first.side, first.price});
  }

  std::map<std::pair<trading::side, std::int64_t>, level> levels_;
};

class lobster_reader {
public:
  lobster_reader(std::string name, const std::vector<std::uint64_t>& skipped)
      : name_(std::move(name)), skipped_(skipped) {}

  [[nodiscard]] result<recorded_feed> read(std::unique_ptr<const std::string> text,
                                           const std::filesystem::path& book_file) {
    recorded_feed feed;
    feed.text = std::move(text);
    feed.labels.emplace_back();
    csv_rows rows(name_, *feed.text);
    result<bool> more;
    while ((more = rows.next()) && *more) {
      auto one = read_message(rows);
      if (!one)
        return failure(one);
      if (feed.labels.size() == 1 && !book_file.empty()) {
        if (auto book = initial_.read(book_file, *one); !book)
          return failure(book);
        initial_.enter(feed.steps);
      }
      feed.labels.push_back({.instrument = lobster_instrument,
                             .sequence = rows.line(),
                             .time = std::string(one->time)});
      if (std::ranges::find(skipped_, one->order) == skipped_.end())
        translate(*one, feed.labels.size() - 1, feed);
    }
    if (!more)
      return failure(more);
    if (feed.labels.size() == 1)
      return failure(errc::malformed, fmt::format("{}: the file has no message", name_));
    return feed;
  }

private:
  void translate(const message& one, std::uint64_t number, recorded_feed& feed) {
    const auto order = [&](std::uint64_t id, trading::limit_order::command command) {
      feed.steps.push_back({number, id, command});
    };
    if (one.type == 1) {
      known_.insert(one.order);
      order(one.order, trading::submit{lobster_instrument, one.side, one.price, one.size});
      return;
    }
    if (one.type == 5)
      feed.steps.push_back({number, lobster_instrument, trading::print_trade{one.price, one.size}});
    if (one.type > 4)
      return;
    const bool known = known_.contains(one.order);
    const auto substitute = known ? 0 : initial_.take(one);
    feed.unknown_orders += known ? 0U : 1U;
    feed.taken_by_initial_book += substitute != 0 ? 1U : 0U;
    const auto id = substitute != 0 ? substitute : one.order;
    if (one.type == 4)
      order(id, trading::execute{one.size, one.price});
    else if (one.type == 2 || substitute != 0)
      order(id, trading::reduce{one.size});
    else
      order(id, trading::cancel{});
  }

  std::string name_;
  const std::vector<std::uint64_t>& skipped_;
  initial_book initial_;
  tsl::robin_set<std::uint64_t> known_;
};

} // namespace

result<recorded_feed> read_lobster(const std::filesystem::path& file,
                                   const std::filesystem::path& initial_book,
                                   const std::vector<std::uint64_t>& skipped_orders) {
  auto text = read_file(file);
  if (!text)
    return failure(text);
  return lobster_reader(file.string(), skipped_orders).read(std::move(*text), initial_book);
}

} // namespace acta::sim
