#pragma once

#include "records.hpp"
#include "scratch_directory.hpp"

#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Tests that every kind of log must pass: derive from any_log_test, and
///     INSTANTIATE_TEST_SUITE_P(logs, the_test, any_log, name_of_log);
namespace acta::tests {

/// The positions of records; {0} for an error.
[[nodiscard]] inline std::vector<std::uint64_t>
positions(const result<std::vector<storage::record_view>>& records) {
  if (!records)
    return {0};
  std::vector<std::uint64_t> all;
  for (const auto& record : *records)
    all.push_back(record.position().value());
  return all;
}

class any_log_test : public ::testing::TestWithParam<storage::durability> {
protected:
  void SetUp() override {
    if (GetParam() == storage::durability::memory) {
      log = storage::make_memory_log();
      return;
    }
    reopen();
  }
  void reopen() {
    log.reset();
    auto opened = storage::open_log(directory_.path(), {.durability = GetParam()});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
  }

  /// Appends `count` records of one stream, from `version`, in one step.
  void append(std::uint64_t key, std::uint64_t version, std::size_t count = 1) {
    std::vector<finished_record> records;
    std::vector<std::span<const std::byte>> spans;
    for (std::size_t i = 0; i < count; ++i)
      records.emplace_back(stream_id(category_id(1), key), version + i,
                           "event " + std::to_string(key) + "/" + std::to_string(version + i));
    for (const auto& record : records)
      spans.push_back(record.bytes());
    const auto appended = log->append(spans, 1'000);
    ASSERT_TRUE(appended) << appended.error().message();
  }

  std::unique_ptr<storage::event_log> log;

private:
  scratch_directory directory_;
};

inline const auto any_log = ::testing::Values(
  storage::durability::power, storage::durability::process, storage::durability::memory);

[[nodiscard]] inline std::string
name_of_log(const ::testing::TestParamInfo<storage::durability>& of) {
  return std::string(storage::name(of.param));
}

} // namespace acta::tests
