#pragma once

#include <acta/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace acta::sim {

/// A whole file in memory.
[[nodiscard]] result<std::unique_ptr<const std::string>>
read_file(const std::filesystem::path& file);

/// The rows of a CSV text without quoting, which recorded feeds do not use. Borrows from the text.
class csv_rows {
public:
  csv_rows(std::string name, std::string_view text) : name_(std::move(name)), rest_(text) {}

  /// Moves to the next row that is not empty; false at the end.
  [[nodiscard]] bool next();
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }
  [[nodiscard]] const std::vector<std::string_view>& fields() const noexcept { return fields_; }

  /// errc::malformed: "FILE:LINE: what".
  [[nodiscard]] std::unexpected<error> malformed(const std::string& what) const;
  /// The same for a field: "FILE:LINE: column 'price' is 'x', where a price must be".
  [[nodiscard]] std::unexpected<error> malformed(std::string_view column, std::size_t index,
                                                 std::string_view expected) const;

private:
  std::string name_;
  std::string_view rest_;
  std::uint64_t line_ = 0;
  std::vector<std::string_view> fields_;
};

} // namespace acta::sim
