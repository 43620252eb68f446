// The power is cut at any moment of a view's replacement by its next version.
#include "disk_image.hpp"
#include "disk_recorder.hpp"
#include "power_cuts.hpp"

#include "../support/scratch_directory.hpp"
#include "../support/stepped_view.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/view_directory.hpp>
#include <acta/storage/view_file.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

namespace acta::tests {
namespace {

constexpr std::uint64_t steps = 100;

[[nodiscard]] storage::view_identity version(std::uint32_t which) {
  auto of = stepped;
  of.version = which;
  return of;
}

/// As served_view does: the new version is built beside the old one, serves, and the old one goes.
void replace(const storage::event_log& log, std::uint32_t by) {
  const auto& store = log.directory();
  auto view = storage::open_view(log, version(by));
  ASSERT_TRUE(view) << view.error().message();
  while ((*view)->position() < log.tail())
    ASSERT_TRUE(step_to(**view, (*view)->position().value() + 1));
  const auto served = storage::serve_view(store, version(by));
  ASSERT_TRUE(served) << served.error().message();
  const auto removed = storage::remove_replaced_views(store, stepped);
  ASSERT_TRUE(removed) << removed.error().message();
}

TEST(served_power_loss, leaves_one_version_that_serves) {
  std::mt19937_64 random(choose_seed());
  journal operations;
  std::size_t first_served = 0;
  {
    const scratch_directory disk(fast_directory());
    boot();
    disk_recorder recorder(disk.path());
    const auto log = storage::open_log(disk.path() / "store");
    ASSERT_TRUE(log) << log.error().message();
    append_steps(**log, steps);
    replace(**log, 1);
    first_served = recorder.operations().size();
    replace(**log, 2);
    replace(**log, 3);
    operations = recorder.operations();
  }
  const auto is_name = [](const disk_operation& one) {
    using kind = disk_operation::kind;
    return one.what == kind::create || one.what == kind::rename || one.what == kind::remove;
  };
  auto cuts = cuts_of(operations, 0, random);
  std::ranges::shuffle(cuts, random);
  if (!long_tests)
    cuts.resize(std::min<std::size_t>(cuts.size(), 40));
  for (std::size_t i = first_served; i < operations.size(); ++i)
    if (is_name(operations[i])) // around each step of the swap and of the removal
      cuts.insert(cuts.end(), {i, i + 1});
  std::array<int, 4> found{};
  for (const auto cut : cuts) {
    SCOPED_TRACE("cut before operation " + std::to_string(cut));
    const scratch_directory disk(fast_directory());
    make_image(operations, {.at = cut, .seed = random()}, disk.path());
    boot();
    const auto store = disk.path() / "store";
    const auto log = storage::open_log(store);
    ASSERT_TRUE(log) << log.error().message();
    const auto serving = storage::serving_version(store, stepped);
    ASSERT_TRUE(serving) << serving.error().message();
    ASSERT_TRUE(*serving || cut < first_served) << "nothing serves any more";
    const auto served = serving->value_or(0);
    ASSERT_LT(served, found.size());
    ++found.at(served);
    if (served == 0)
      continue;
    const auto removed = storage::remove_replaced_views(store, stepped);
    ASSERT_TRUE(removed) << removed.error().message();
    EXPECT_EQ(*storage::serving_version(store, stepped), served);
    {
      auto view = storage::open_view(**log, version(served));
      ASSERT_TRUE(view) << view.error().message();
      EXPECT_TRUE(check_stepped(**view));
    }
    replace(**log, served == 3 ? 2 : served + 1);
  }
  for (std::size_t i = 1; i < found.size(); ++i)
    EXPECT_GT(found.at(i), 0) << "version " << i;
}

} // namespace
} // namespace acta::tests
