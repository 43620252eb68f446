#pragma once

#include <acta/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::sim {

/// A whole file in memory.
[[nodiscard]] result<std::unique_ptr<const std::string>>
read_file(const std::filesystem::path& file);

/// The rows of a CSV text (RFC 4180). A field that begins with a double quote ends with one, and
/// may have commas, line feeds and, doubled, quotes between them. A byte order mark, which Excel
/// writes, is passed over. Borrows from the text.
///
///     csv_rows rows("prices.csv", text);
///     result<bool> more;
///     while ((more = rows.next()) && *more) use(rows.fields());
///     if (!more) return failure(more);
class csv_rows {
public:
  csv_rows(std::string name, std::string_view text);
  csv_rows(csv_rows&&) = default;
  csv_rows& operator=(csv_rows&&) = default;

  /// Moves to the next row that is not empty; false at the end. errc::malformed for quotes that are
  /// not closed, or not at a field's end; that is the end too.
  [[nodiscard]] result<bool> next();
  /// Where the row begins, from 1.
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }
  /// Valid until next().
  [[nodiscard]] const std::vector<std::string_view>& fields() const noexcept { return fields_; }

  /// errc::malformed: "FILE:LINE: what".
  [[nodiscard]] std::unexpected<error> malformed(const std::string& what) const;
  /// The same for a field: "FILE:LINE: column 'price' is 'x', where a price must be".
  [[nodiscard]] std::unexpected<error> malformed(std::string_view column, std::size_t index,
                                                 std::string_view expected) const;

private:
  /// Takes one field off the rest, up to the comma or line feed after it.
  [[nodiscard]] result<void> take_field();
  [[nodiscard]] result<void> take_quoted();
  /// True if nothing follows, or a line feed.
  [[nodiscard]] bool at_row_end() const noexcept;

  std::string name_;
  std::string_view rest_;
  std::uint64_t line_ = 0;
  std::uint64_t next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unescaped_; ///< The row's fields with doubled quotes.
};

/// The rows of a CSV text whose first row has the columns' names. Of those, `wanted` are found,
/// wherever they are, and known by their index in it. Borrows from both.
///
///     enum column : std::size_t { id, price };
///     constexpr std::array<std::string_view, 2> names{"id", "price"};
///     auto rows = named_rows::open("prices.csv", text, names, "a price list");
///     ... while ((more = rows->next()) && *more) use((*rows)[price]);
class named_rows {
public:
  /// errc::malformed if there is no first row, or a column is not in it: then the file is not
  /// `what` it should be.
  [[nodiscard]] static result<named_rows> open(const std::string& name, std::string_view text,
                                               std::span<const std::string_view> wanted,
                                               std::string_view what);

  /// As csv_rows::next(); errc::malformed too for a row that is wider or narrower than the first.
  [[nodiscard]] result<bool> next();
  /// Valid until next().
  [[nodiscard]] std::string_view operator[](std::size_t column) const {
    return rows_.fields()[at_[column]];
  }
  [[nodiscard]] std::uint64_t line() const noexcept { return rows_.line(); }

  /// As those of csv_rows.
  [[nodiscard]] std::unexpected<error> malformed(const std::string& what) const {
    return rows_.malformed(what);
  }
  [[nodiscard]] std::unexpected<error> malformed(std::size_t column,
                                                 std::string_view expected) const {
    return rows_.malformed(wanted_[column], at_[column], expected);
  }

private:
  named_rows(csv_rows rows, std::span<const std::string_view> wanted)
      : rows_(std::move(rows)), wanted_(wanted) {}

  csv_rows rows_;
  std::span<const std::string_view> wanted_;
  std::vector<std::size_t> at_; ///< Where each of wanted_ is in a row.
  std::size_t width_ = 0;
};

} // namespace acta::sim
