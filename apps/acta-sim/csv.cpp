#include "csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

namespace acta::sim {

result<std::unique_ptr<const std::string>> read_file(const std::filesystem::path& file) {
  std::error_code code;
  if (std::filesystem::is_directory(file, code))
    return failure(errc::invalid_argument,
                   fmt::format("'{}' is a directory; name a file", file.string()));
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return failure(errno == EACCES ? errc::permission_denied : errc::not_found,
                   fmt::format("'{}' cannot be read: {}", file.string(),
                               std::generic_category().message(errno) + "; check the path"));
  std::ostringstream text;
  if (in.peek() != std::ifstream::traits_type::eof())
    text << in.rdbuf();
  if (in.bad() || text.fail())
    return failure(errc::io, fmt::format("'{}' cannot be read to its end", file.string()));
  return std::make_unique<const std::string>(std::move(text).str());
}

csv_rows::csv_rows(std::string name, std::string_view text) : name_(std::move(name)), rest_(text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (rest_.starts_with(byte_order_mark))
    rest_.remove_prefix(byte_order_mark.size());
}

result<bool> csv_rows::next() {
  fields_.clear();
  unescaped_.clear();
  while (rest_.starts_with('\n') || rest_.starts_with("\r\n")) {
    rest_.remove_prefix(rest_.find('\n') + 1);
    ++next_line_;
  }
  line_ = next_line_;
  if (rest_.empty() || rest_ == "\r")
    return false;
  for (bool more = true; more; more = rest_.starts_with(',')) {
    rest_.remove_prefix(fields_.empty() ? 0 : 1);
    if (auto taken = take_field(); !taken) {
      rest_ = {};
      return failure(taken);
    }
  }
  next_line_ += rest_.empty() ? 0U : 1U;
  rest_.remove_prefix(rest_.empty() ? 0 : 1);
  return true;
}

result<void> csv_rows::take_field() {
  if (rest_.starts_with('"'))
    return take_quoted();
  auto field = rest_.substr(0, rest_.find_first_of(",\n"));
  rest_.remove_prefix(field.size());
  if (at_row_end() && field.ends_with('\r'))
    field.remove_suffix(1);
  fields_.push_back(field);
  return {};
}

result<void> csv_rows::take_quoted() {
  rest_.remove_prefix(1);
  std::size_t end = rest_.find('"');
  bool doubled = false;
  while (end != std::string_view::npos && rest_.substr(end + 1).starts_with('"')) {
    doubled = true;
    end = rest_.find('"', end + 2);
  }
  if (end == std::string_view::npos)
    return malformed("a field begins with a quote, and no other closes it");
  fields_.push_back(rest_.substr(0, end));
  rest_.remove_prefix(end + 1);
  next_line_ += static_cast<std::uint64_t>(std::ranges::count(fields_.back(), '\n'));
  if (rest_ == "\r" || rest_.starts_with("\r\n"))
    rest_.remove_prefix(1);
  if (!at_row_end() && !rest_.starts_with(','))
    return malformed("a quote closes a field, and neither a comma nor the row's end follows");
  if (doubled) {
    auto& text = unescaped_.emplace_back(fields_.back());
    for (auto at = text.find('"'); at != std::string::npos; at = text.find('"', at + 1))
      text.erase(at, 1);
    fields_.back() = text;
  }
  return {};
}

bool csv_rows::at_row_end() const noexcept {
  return rest_.empty() || rest_.starts_with('\n');
}

std::unexpected<error> csv_rows::malformed(const std::string& what) const {
  return failure(errc::malformed, fmt::format("{}:{}: {}", name_, line_, what));
}

std::unexpected<error> csv_rows::malformed(std::string_view column, std::size_t index,
                                           std::string_view expected) const {
  return malformed(fmt::format("column '{}' is '{}', where {} must be", column,
                               index < fields_.size() ? fields_[index] : "", expected));
}

result<named_rows> named_rows::open(const std::string& name, std::string_view text,
                                    std::span<const std::string_view> wanted,
                                    std::string_view what) {
  named_rows made(csv_rows(name, text), wanted);
  const auto first = made.rows_.next();
  if (!first)
    return std::unexpected(first.error());
  if (!*first)
    return failure(errc::malformed, fmt::format("{}: the file is empty; a line of column names "
                                                "must come first",
                                                name));
  const auto& names = made.rows_.fields();
  for (const auto column : wanted) {
    const auto at = std::ranges::find(names, column);
    if (at == names.end())
      return made.malformed(fmt::format("there is no column '{}'; this is not {} with a line of "
                                        "column names",
                                        column, what));
    made.at_.push_back(static_cast<std::size_t>(at - names.begin()));
  }
  made.width_ = names.size();
  return made;
}

result<bool> named_rows::next() {
  auto more = rows_.next();
  if (more && *more && rows_.fields().size() != width_)
    return malformed(
      fmt::format("{} columns, where the first line has {}", rows_.fields().size(), width_));
  return more;
}

} // namespace acta::sim
