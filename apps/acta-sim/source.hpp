#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/trading/limit_order.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace acta::sim {

namespace trading = domain::trading;

/// A step that is no command of one aggregate: every resting order of an instrument is cancelled.
struct clear_book {};

/// One thing to do, from one record of a feed or from the generator. A record gives each aggregate
/// at most one command, so fingerprint and record name a command: they are its command id.
struct step {
  /// The feed record it comes from, from 1; 0 for the orders of an initial book.
  std::uint64_t record = 0;
  /// The order's id for a limit_order command, the instrument's number otherwise.
  std::uint64_t key = 0;
  std::variant<trading::limit_order::command, trading::print_trade, clear_book> what;
};

/// What the book's rows say of a feed record.
struct record_label {
  std::uint32_t instrument = 0;
  std::uint64_t sequence = 0;
  std::string time;
};

/// A recorded feed, read whole.
struct recorded_feed {
  std::unique_ptr<const std::string> text; ///< The file.
  std::vector<record_label> labels;        ///< By record number; 0 is unused.
  std::vector<step> steps;
  /// Events that name an order the feed never submitted (lobster), and how many of them an order of
  /// the initial book could take. The others are sent, and refused as unknown_order.
  std::uint64_t unknown_orders = 0;
  std::uint64_t taken_by_initial_book = 0;
};

/// Where steps come from. Not thread-safe.
class source {
public:
  source() = default;
  source(const source&) = delete;
  source& operator=(const source&) = delete;
  virtual ~source() = default;

  /// Fills `next`; false at the end.
  [[nodiscard]] virtual bool next(step& next) = 0;
  /// How far it is, for the progress line: from 0 to 1.
  [[nodiscard]] virtual double progress() const = 0;
  /// Names the source in command ids: the same input gives the same number, and never 0.
  [[nodiscard]] virtual std::uint64_t fingerprint() const = 0;
};

class recorded_source final : public source {
public:
  recorded_source(const recorded_feed& feed, std::uint64_t fingerprint)
      : feed_(feed), fingerprint_(fingerprint) {}

  [[nodiscard]] bool next(step& next) override {
    if (at_ == feed_.steps.size())
      return false;
    next = feed_.steps[at_++];
    return true;
  }
  [[nodiscard]] double progress() const override {
    return feed_.steps.empty() ? 1
                               : static_cast<double>(at_) / static_cast<double>(feed_.steps.size());
  }
  [[nodiscard]] std::uint64_t fingerprint() const override { return fingerprint_; }

private:
  const recorded_feed& feed_;
  std::uint64_t fingerprint_;
  std::size_t at_ = 0;
};

/// Databento MBO in CSV, columns by the names in its first line. A and M become `replace`; C
/// becomes `reduce`, or `execute` where an F for the same order and size came before it; R clears
/// the book; T without a side is a trade against no displayed order. errc::malformed names file and
/// line.
[[nodiscard]] result<recorded_feed> read_mbo(const std::filesystem::path& file,
                                             const std::vector<std::uint64_t>& skipped_orders);

/// LOBSTER messages: 1 submit, 2 reduce, 3 cancel, 4 execute, 5 print, 7 nothing. The sequence of a
/// record is its line. With `initial_book` (an orderbook file of the same feed; may be empty) the
/// book before the first message is entered as one order a level first.
[[nodiscard]] result<recorded_feed> read_lobster(const std::filesystem::path& file,
                                                 const std::filesystem::path& initial_book,
                                                 const std::vector<std::uint64_t>& skipped_orders);

/// The instrument of a LOBSTER feed, which names none.
inline constexpr std::uint32_t lobster_instrument = 1;
/// Ids of the orders of an initial book start here, outside every feed's range.
inline constexpr std::uint64_t first_initial_order = std::uint64_t{1} << 62U;

} // namespace acta::sim
