#include "csv.hpp"

#include <fmt/format.h>

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

bool csv_rows::next() {
  fields_.clear();
  while (fields_.empty() && !rest_.empty()) {
    const auto end = rest_.find('\n');
    auto row = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++line_;
    if (row.ends_with('\r'))
      row.remove_suffix(1);
    if (row.empty())
      continue;
    for (std::size_t comma = row.find(','); comma != std::string_view::npos;
         comma = row.find(',')) {
      fields_.push_back(row.substr(0, comma));
      row.remove_prefix(comma + 1);
    }
    fields_.push_back(row);
  }
  return !fields_.empty();
}

std::unexpected<error> csv_rows::malformed(const std::string& what) const {
  return failure(errc::malformed, fmt::format("{}:{}: {}", name_, line_, what));
}

std::unexpected<error> csv_rows::malformed(std::string_view column, std::size_t index,
                                           std::string_view expected) const {
  return malformed(fmt::format("column '{}' is '{}', where {} must be", column,
                               index < fields_.size() ? fields_[index] : "", expected));
}

} // namespace acta::sim
