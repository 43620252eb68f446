// Views on disk as tools see them, without their models.
#include "totals.hpp"

#include "../support/scratch_directory.hpp"

#include <acta/projections/stored_views.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

TEST(stored_views_test, say_what_they_are_and_are_checked) {
  const scratch_directory directory(memory_folder());
  const auto store = directory.path() / "store";
  const auto path = store / "views" / "totals@2";
  {
    const auto engine = open_wallets(store);
    put_many(*engine, 200);
    served_of<in_sqlite> served;
    ASSERT_TRUE(served.start(*engine, make_view<in_sqlite, 2>()));
    ASSERT_TRUE(served.read(engine->log().tail(), 20s, &in_sqlite::look));
  }
  const auto views = storage::stored_views(store);
  ASSERT_TRUE(views);
  ASSERT_EQ(views->size(), 1U);
  const auto& one = views->front();
  EXPECT_EQ(one.which.label(), "totals@2");
  EXPECT_TRUE(one.serves);
  EXPECT_FALSE(one.is_replaced);
  EXPECT_GT(one.size, 4'096U);
  EXPECT_EQ(projections::where_kept(path), projections::kept_in::sqlite);
  const auto summary = projections::summary_of(path);
  ASSERT_TRUE(summary) << summary.error().message();
  EXPECT_EQ(summary->position, log_position(200));
  EXPECT_EQ(summary->dead_letters, 0U);

  const auto log = storage::open_log_for_reading(store);
  ASSERT_TRUE(log);
  const auto check = [&] {
    auto found = projections::verify_view(**log, store, one.which);
    EXPECT_TRUE(found) << found.error().message();
    return found.value_or(storage::verification{});
  };
  EXPECT_EQ(check().problems, 0U);
  { // all but its first page
    std::fstream file(path / "view.sqlite", std::ios::in | std::ios::out);
    file.seekp(4'096);
    file << std::string(fs::file_size(path / "view.sqlite") - 4'096, 'x');
  }
  const auto found = check();
  EXPECT_GT(found.problems, 0U);
  ASSERT_FALSE(found.findings.empty());
  EXPECT_EQ(found.findings[0].file, "views/totals@2/view.sqlite");
  EXPECT_NE(found.findings[0].what.find(path.string()), std::string::npos)
    << found.findings[0].what;
}

} // namespace
} // namespace acta::tests
