#pragma once

#include "csv.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

/// Recorded data that is not ours: it is read where ACTA_DATA_DIR or the workplace has it, and
/// tests skip where it is not.
namespace acta::tests {

[[nodiscard]] inline std::filesystem::path recorded_data() {
  const char* named = std::getenv("ACTA_DATA_DIR");
  return named != nullptr ? std::filesystem::path(named)
                          : std::filesystem::path(ACTA_SOURCE_DIR) / "../shared/data";
}

/// A CSV file with names in its first line.
struct csv_table {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;

  [[nodiscard]] std::size_t column(const std::string& name) const {
    const auto at = std::ranges::find(names, name);
    EXPECT_NE(at, names.end()) << name;
    return static_cast<std::size_t>(at - names.begin());
  }
};

[[nodiscard]] inline csv_table read_csv(const std::filesystem::path& file, bool with_names = true) {
  const auto text = sim::read_file(file);
  EXPECT_TRUE(text) << file;
  csv_table table;
  sim::csv_rows rows(file.string(), **text);
  if (with_names && rows.next() == true)
    table.names.assign(rows.fields().begin(), rows.fields().end());
  while (rows.next() == true)
    table.rows.emplace_back(rows.fields().begin(), rows.fields().end());
  return table;
}

} // namespace acta::tests
