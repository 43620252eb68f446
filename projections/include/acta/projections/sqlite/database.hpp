#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

struct sqlite3_stmt;

/// What the handlers and the readers of a sqlite_view use of SQLite. Statements are prepared once
/// and kept by their text: so values are given beside it (?1, ?2, ...), never pasted into it.
namespace acta::projections::sqlite {

class connection;

/// A value that a statement is run with; nullptr is NULL. Borrows texts and bytes. An integer that
/// 64 bits with a sign cannot hold fails the statement: errc::invalid_argument.
class value {
public:
  struct not_held {};
  using content = std::variant<std::nullptr_t, std::int64_t, double, std::string_view,
                               std::span<const std::byte>, not_held>;

  explicit(false) value(std::nullptr_t) noexcept : content_(nullptr) {}
  template <std::integral Integer>
  explicit(false) value(Integer number) noexcept {
    if (std::in_range<std::int64_t>(number))
      content_ = static_cast<std::int64_t>(number);
    else
      content_ = not_held{};
  }
  template <class Tag, class Integer>
  explicit(false) value(strong_integer<Tag, Integer> number) noexcept : value(number.value()) {}
  explicit(false) value(double number) noexcept : content_(number) {}
  template <std::convertible_to<std::string_view> Text>
  explicit(false) value(const Text& text) noexcept : content_(std::string_view(text)) {}
  explicit(false) value(std::span<const std::byte> bytes) noexcept : content_(bytes) {}

  [[nodiscard]] const content& get() const noexcept { return content_; }

private:
  content content_;
};
using values = std::initializer_list<value>;

/// A row that a statement found, borrowed until the next one. Columns are counted from 0; one that
/// the statement does not have is a broken invariant. Types are converted as SQLite does: NULL is 0
/// and an empty text.
class row {
public:
  explicit row(sqlite3_stmt* of) noexcept : of_(of) {}

  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] double real(int column) const noexcept;
  [[nodiscard]] std::string_view text(int column) const noexcept;
  [[nodiscard]] std::span<const std::byte> bytes(int column) const noexcept;
  [[nodiscard]] bool is_null(int column) const noexcept;

private:
  void check(int column) const noexcept;

  sqlite3_stmt* of_;
};

/// The tables of a view as of one position of the log. Lives in the call it was given to; used by
/// the thread of that call.
///
///     auto sum = now.first("select sum(cents) from revenue where day = ?1", {day},
///                          [](const sqlite::row& found) { return found.integer(0); });
///
/// Errors name file and statement, and say what to do: corrupt, io, no_space, store_in_use (locked
/// by another process), not_found (the file was removed), permission_denied; invalid_argument for a
/// statement that SQLite does not take, or refuses to carry out.
class reader {
public:
  reader(connection& on, log_position position) noexcept : on_(&on), position_(position) {}
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  /// All that is seen is of events up to here.
  [[nodiscard]] log_position position() const noexcept { return position_; }

  /// Calls `look` with each row found.
  template <std::invocable<const row&> Look>
  [[nodiscard]] result<void> each(std::string_view sql, values with, Look&& look) const {
    return execute(sql, with, [&](const row& found) {
      look(found);
      return true;
    });
  }

  /// What `make` makes of each row found.
  template <std::invocable<const row&> Make>
  [[nodiscard]] auto all(std::string_view sql, values with, Make&& make) const
    -> result<std::vector<std::invoke_result_t<Make&, const row&>>> {
    std::vector<std::invoke_result_t<Make&, const row&>> made;
    auto done = each(sql, with, [&](const row& found) { made.push_back(make(found)); });
    if (!done)
      return failure(done);
    return made;
  }

  /// What `make` makes of the first row; empty if there is none.
  template <std::invocable<const row&> Make>
  [[nodiscard]] auto first(std::string_view sql, values with, Make&& make) const
    -> result<std::optional<std::invoke_result_t<Make&, const row&>>> {
    std::optional<std::invoke_result_t<Make&, const row&>> made;
    auto done = execute(sql, with, [&](const row& found) {
      made.emplace(make(found));
      return false;
    });
    if (!done)
      return failure(done);
    return made;
  }

protected:
  /// Until `look` says that it has seen enough: false.
  using visitor = std::function<bool(const row&)>;
  [[nodiscard]] result<void> execute(std::string_view sql, values with, const visitor& look) const;
  [[nodiscard]] connection& on() const noexcept { return *on_; }

private:
  connection* on_;
  log_position position_;
};

/// The same, for handlers: within the transaction of a step, which they must not end. Tables that
/// begin with acta_ are the view's own.
class database : public reader {
public:
  using reader::reader;

  /// Runs one statement; what rows it finds are passed over.
  [[nodiscard]] result<void> run(std::string_view sql, values with = {});
  /// Runs statements, separated by semicolons, without values: to create tables.
  [[nodiscard]] result<void> script(std::string_view sql);
};

} // namespace acta::projections::sqlite
