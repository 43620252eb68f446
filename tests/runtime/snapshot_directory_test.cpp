// Snapshots beside a log on disk, as an engine opens them: lost, damaged, or in the way.
#include "../support/counter.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using runtime::engine;

/// Snapshots that the engine opens itself, beside a log on disk.
class snapshot_directory_test : public ::testing::Test {
protected:
  [[nodiscard]] std::unique_ptr<engine> open(std::uint64_t every = 3) {
    auto log = storage::open_log(store());
    EXPECT_TRUE(log) << log.error().message();
    auto opened = engine::open<counter>(
      std::move(*log),
      {.snapshot_every = every, .warning = [this](const error& one) { warnings.push_back(one); }});
    EXPECT_TRUE(opened) << opened.error().message();
    return std::move(*opened);
  }
  void add_ones(int count, std::uint64_t every = 3) {
    auto e = open(every);
    for (int i = 0; i < count; ++i)
      ASSERT_TRUE(e->ask<counter>(7, add{}));
  }
  [[nodiscard]] std::uint16_t loaded_sum() {
    return open()->ask<counter>(7, tell_sum{}).error().rejection();
  }
  [[nodiscard]] std::filesystem::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] std::filesystem::path file() const { return store() / "snapshots" / "data.mdb"; }

  std::vector<error> warnings;

private:
  scratch_directory directory_;
};

TEST_F(snapshot_directory_test, is_used_and_may_be_deleted) { // I4
  add_ones(4);
  EXPECT_TRUE(std::filesystem::exists(file()));
  EXPECT_EQ(loaded_sum(), 4);
  std::filesystem::remove_all(store() / "snapshots");
  EXPECT_EQ(loaded_sum(), 4);
  EXPECT_TRUE(warnings.empty());
}

TEST_F(snapshot_directory_test, is_not_made_if_snapshots_are_off) {
  add_ones(4, 0);
  EXPECT_FALSE(std::filesystem::exists(store() / "snapshots"));
}

TEST_F(snapshot_directory_test, with_a_flipped_bit_in_a_snapshot_falls_back) {
  add_ones(7); // snapshots at 3 and 6
  std::ifstream in(file(), std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  const std::array<std::uint64_t, 2> newest{6, 6}; // version and position
  const std::string_view mark(reinterpret_cast<const char*>(newest.data()), sizeof newest);
  int flipped = 0;
  for (auto at = bytes.find(mark); at != std::string::npos; at = bytes.find(mark, at + 1)) {
    bytes[at + 60] = static_cast<char>(bytes[at + 60] ^ 4); // in what follows the header
    ++flipped;
  }
  ASSERT_GT(flipped, 0);
  std::ofstream(file(), std::ios::binary | std::ios::trunc) << bytes;
  EXPECT_EQ(loaded_sum(), 7);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings.front().code(), errc::corrupt);
  EXPECT_NE(warnings.front().message().find("at version 6 has a checksum"), std::string::npos)
    << warnings.front().message();
}

TEST_F(snapshot_directory_test, that_is_damaged_is_made_anew) {
  add_ones(4);
  std::ofstream(file(), std::ios::binary | std::ios::trunc) << std::string(20'000, 'x');
  EXPECT_EQ(loaded_sum(), 4);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings.front().code(), errc::corrupt);
  EXPECT_NE(warnings.front().message().find("all snapshots are removed"), std::string::npos);
  add_ones(3);
  EXPECT_EQ(loaded_sum(), 7);
  EXPECT_EQ(warnings.size(), 1U);
}

TEST_F(snapshot_directory_test, that_cannot_be_opened_is_done_without) {
  add_ones(4, 0);
  std::ofstream(store() / "snapshots") << "a file";
  add_ones(4);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings.front().message().find("without snapshots"), std::string::npos);
  EXPECT_EQ(loaded_sum(), 8);
}

TEST_F(snapshot_directory_test, has_to_keep_at_least_one) {
  EXPECT_EQ(engine::open<counter>(storage::make_memory_log(), {.snapshots_kept = 0}).error().code(),
            errc::invalid_argument);
}

} // namespace
} // namespace acta::tests
