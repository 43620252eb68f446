#include <acta/projections/sqlite/database.hpp>

#include "connection.hpp"

#include <acta/base/ensure.hpp>

#include <sqlite3.h>

namespace acta::projections::sqlite {

void row::check(int column) const noexcept {
  ensure(column >= 0 && column < sqlite3_column_count(of_), "a row has no such column");
}

std::int64_t row::integer(int column) const noexcept {
  check(column);
  return sqlite3_column_int64(of_, column);
}

double row::real(int column) const noexcept {
  check(column);
  return sqlite3_column_double(of_, column);
}

std::string_view row::text(int column) const noexcept {
  check(column);
  const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(of_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(of_, column));
  return begin == nullptr ? std::string_view() : std::string_view(begin, size);
}

std::span<const std::byte> row::bytes(int column) const noexcept {
  check(column);
  const auto* begin = static_cast<const std::byte*>(sqlite3_column_blob(of_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(of_, column));
  return begin == nullptr ? std::span<const std::byte>() : std::span(begin, size);
}

bool row::is_null(int column) const noexcept {
  check(column);
  return sqlite3_column_type(of_, column) == SQLITE_NULL;
}

result<void> reader::execute(std::string_view sql, values with, const visitor& look) const {
  return on_->execute(sql, std::span(with.begin(), with.size()), look);
}

result<void> database::run(std::string_view sql, values with) {
  return execute(sql, with, {});
}

result<void> database::script(std::string_view sql) {
  return on().script(sql);
}

} // namespace acta::projections::sqlite
