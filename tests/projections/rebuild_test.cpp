// Views on disk that are built anew in another version while they are read.
#include "totals.hpp"

#include "../support/scratch_directory.hpp"

#include <acta/projections/subscription.hpp>

#include <gtest/gtest.h>

#include <sqlite3.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

template <class Kind>
class rebuild_test : public testing::Test {
protected:
  /// What it answers, of the log's end.
  [[nodiscard]] seen at_the_end(const served_of<Kind>& of) const {
    auto found = of.read(engine->log().tail(), 20s, &Kind::look);
    EXPECT_TRUE(found) << found.error().message();
    return found.value_or(seen{});
  }
  void expect_whole(const served_of<Kind>& of, std::int64_t version) const {
    const auto now = at_the_end(of);
    EXPECT_EQ(now.version, version);
    EXPECT_EQ(now.count, static_cast<std::int64_t>(engine->log().tail().value()));
  }
  [[nodiscard]] std::optional<std::uint32_t> serving() const {
    const auto version = storage::serving_version(store, totals_view);
    EXPECT_TRUE(version) << version.error().message();
    return version.value_or(std::nullopt);
  }
  void open_again() {
    engine.reset();
    engine = open_wallets(store);
  }

  scratch_directory directory{memory_folder()};
  std::filesystem::path store = directory.path() / "store";
  std::unique_ptr<runtime::engine> engine = open_wallets(store);
};
using kinds = testing::Types<in_lmdb, in_sqlite>;

class names_of_kinds {
public:
  template <class Kind>
  static std::string GetName(int) {
    return std::is_same_v<Kind, in_lmdb> ? "lmdb" : "sqlite";
  }
};
TYPED_TEST_SUITE(rebuild_test, kinds, names_of_kinds);

/// A reader's look: that nothing goes back, that each answer is of one whole state, and that after
/// the first answer of a newer version there is none of an older.
class watch {
public:
  void see(const result<seen>& found) {
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->count, static_cast<std::int64_t>(found->position.value()));
    EXPECT_GE(found->position, last_.position) << "it went back";
    EXPECT_GE(found->version, last_.version) << "the old one answered after the new one had";
    last_ = *found;
    answers_.fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t answers() const noexcept {
    return answers_.load(std::memory_order_relaxed);
  }
  /// So many more.
  void wait_for(std::uint64_t more) const {
    for (const auto until = answers() + more; answers() < until && !testing::Test::HasFailure();)
      std::this_thread::yield();
  }
  [[nodiscard]] std::int64_t version() const noexcept { return last_.version; }

private:
  seen last_;
  std::atomic<std::uint64_t> answers_{0};
};

TYPED_TEST(rebuild_test, no_query_fails_or_goes_back_while_commands_go_on) {
  put_many(*this->engine, 5'000);
  served_of<TypeParam> served;
  auto started = served.start(*this->engine, make_view<TypeParam, 1>());
  ASSERT_TRUE(started) << started.error().message();
  ASSERT_EQ(this->at_the_end(served).version, 1);
  std::atomic<bool> done{false};
  watch any;
  watch own;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { // whatever there is
    while (!done.load(std::memory_order_relaxed))
      any.see(served.read(&TypeParam::look));
  });
  threads.emplace_back([&] { // what was just written
    while (!done.load(std::memory_order_relaxed)) {
      const auto receipt = this->engine->template ask<wallet>(7, put_in{1});
      ASSERT_TRUE(receipt) << receipt.error().message();
      own.see(served.read(receipt->position, 20s, &TypeParam::look));
    }
  });
  threads.emplace_back([&] { // as another process does
    std::uint32_t last = 1;
    while (!done.load(std::memory_order_relaxed)) {
      const auto now = storage::serving_version(this->store, totals_view);
      ASSERT_TRUE(now && *now) << "the link was gone for a moment";
      EXPECT_GE(**now, last);
      last = **now;
      std::this_thread::sleep_for(100us);
    }
    EXPECT_EQ(last, 2U);
  });
  any.wait_for(10);
  own.wait_for(10);
  const auto rebuilt = served.rebuild(*this->engine, make_view<TypeParam, 2>());
  EXPECT_TRUE(rebuilt) << rebuilt.error().message();
  any.wait_for(10);
  own.wait_for(10);
  done.store(true, std::memory_order_relaxed);
  threads.clear();
  EXPECT_EQ(any.version(), 2);
  EXPECT_EQ(own.version(), 2);
  this->expect_whole(served, 2);
  EXPECT_EQ(names_of_views(this->store), (std::set<std::string>{"totals", "totals@2"}));
}

TYPED_TEST(rebuild_test, removes_the_old_one_with_its_last_reader) {
  put_many(*this->engine, 100);
  served_of<TypeParam> served;
  ASSERT_TRUE(served.start(*this->engine, make_view<TypeParam, 1>()));
  this->expect_whole(served, 1);
  auto held = served.view();
  ASSERT_TRUE(served.rebuild(*this->engine, make_view<TypeParam, 2>()));
  const auto all = std::set<std::string>{"totals", "totals@1", "totals@2"};
  EXPECT_EQ(names_of_views(this->store), all);
  const auto still = held->read(&TypeParam::look);
  ASSERT_TRUE(still) << still.error().message();
  EXPECT_EQ(still->version, 1);
  EXPECT_EQ(still->count, 100);
  // What is about to be removed is not built again beneath its readers.
  const auto again = served.rebuild(*this->engine, make_view<TypeParam, 1>());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), errc::store_in_use) << again.error().message();
  held.reset();
  EXPECT_EQ(names_of_views(this->store), (std::set<std::string>{"totals", "totals@2"}));
  ASSERT_TRUE(served.rebuild(*this->engine, make_view<TypeParam, 1>()));
  this->expect_whole(served, 1);
}

TYPED_TEST(rebuild_test, refuses_the_files_that_serve) {
  put_many(*this->engine, 10);
  served_of<TypeParam> served;
  ASSERT_TRUE(served.start(*this->engine, make_view<TypeParam, 1>()));
  const auto same = served.rebuild(*this->engine, make_view<TypeParam, 1>());
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().code(), errc::invalid_argument);
  EXPECT_NE(same.error().message().find("raise the model's version"), std::string::npos)
    << same.error().message();
  this->expect_whole(served, 1);
}

TYPED_TEST(rebuild_test, serves_another_version_once_it_is_as_far) {
  put_many(*this->engine, 3'000);
  {
    served_of<TypeParam> served;
    ASSERT_TRUE(served.start(*this->engine, make_view<TypeParam, 1>()));
    this->expect_whole(served, 1);
  }
  EXPECT_EQ(this->serving(), 1U);
  this->open_again();
  served_of<TypeParam> served;
  std::vector<projections::rebuild_progress> told;
  static std::latch* was_told = nullptr; // the first event waits for it
  std::latch first_told(1);
  was_told = &first_told;
  on_handled = [] { was_told->wait(); };
  const auto tell = [&](const projections::rebuild_progress& now) {
    EXPECT_EQ(this->serving(), 1U) << "others read the old one meanwhile";
    if (told.empty())
      first_told.count_down();
    told.push_back(now);
  };
  const auto started = served.start(*this->engine, make_view<TypeParam, 2>(),
                                    {.progress = tell, .progress_every = 1ms});
  on_handled = [] {};
  ASSERT_TRUE(started) << started.error().message();
  const auto now = served.read(&TypeParam::look);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->count, 3'000) << "whoever reads finds all of it";
  EXPECT_EQ(now->version, 2);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().tail, log_position(3'000));
  EXPECT_EQ(this->serving(), 2U);
  EXPECT_EQ(names_of_views(this->store), (std::set<std::string>{"totals", "totals@2"}));
}

TYPED_TEST(rebuild_test, leaves_what_is_not_its_link_alone) {
  std::filesystem::create_directories(this->store / "views" / "totals");
  served_of<TypeParam> served;
  const auto started = served.start(*this->engine, make_view<TypeParam, 1>());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), errc::foreign_store);
  EXPECT_NE(started.error().message().find((this->store / "views" / "totals").string()),
            std::string::npos);
}

TYPED_TEST(rebuild_test, parts_have_links_of_their_own) {
  put_many(*this->engine, 100);
  std::int64_t count = 0;
  for (std::uint32_t part = 0; part < 2; ++part) {
    const projections::view_part which{.part = part, .parts = 2};
    const auto make = [&]<std::uint32_t Version>() {
      if constexpr (std::is_same_v<TypeParam, in_lmdb>)
        return std::make_shared<typename TypeParam::template view<Version>>(which);
      else
        return std::make_shared<typename TypeParam::template view<Version>>(
          totals_in_sqlite<Version>(), which);
    };
    served_of<TypeParam> served;
    ASSERT_TRUE(served.start(*this->engine, make.template operator()<1>()));
    ASSERT_TRUE(served.rebuild(*this->engine, make.template operator()<2>()));
    count += this->at_the_end(served).count;
  }
  EXPECT_EQ(count, 100);
  EXPECT_EQ(names_of_views(this->store), (std::set<std::string>{"totals.0of2", "totals.1of2",
                                                                "totals@2.0of2", "totals@2.1of2"}));
}

/// Mails are sent by a subscription, which has a position of its own and looks into the view that
/// serves: no rebuild sends one again, and none is left out.
TYPED_TEST(rebuild_test, effects_happen_once_while_the_view_is_built_anew) {
  put_many(*this->engine, 1'000);
  served_of<TypeParam> served;
  ASSERT_TRUE(served.start(*this->engine, make_view<TypeParam, 1>()));
  std::mutex mutex;
  std::vector<std::uint64_t> mailed;
  std::set<std::int64_t> by_versions;
  auto mailing = projections::subscription::open(
    *this->engine,
    {.filter = {.event_types = {added::GetFullyQualifiedName()}}, .after = log_position(1'000)},
    [&](projections::subscription&, const projections::event_batch& events) {
      const auto now = served.read(events.reached(), 20s, &TypeParam::look);
      ASSERT_TRUE(now) << now.error().message();
      EXPECT_GE(now->position, events.reached());
      const std::lock_guard guard(mutex);
      by_versions.insert(now->version);
      for (const auto& one : events.records())
        mailed.push_back(one.position().value());
    });
  ASSERT_TRUE(mailing);
  put_many(*this->engine, 100);
  {
    std::jthread writer([&] { put_many(*this->engine, 500); });
    ASSERT_TRUE(served.rebuild(*this->engine, make_view<TypeParam, 2>()));
  }
  put_many(*this->engine, 100);
  while ((*mailing)->lag() != 0)
    std::this_thread::yield();
  const std::lock_guard guard(mutex);
  ASSERT_EQ(mailed.size(), 700U);
  for (std::size_t i = 0; i < mailed.size(); ++i)
    EXPECT_EQ(mailed[i], 1'001 + i);
  EXPECT_TRUE(by_versions.contains(2));
}

TEST(rebuild_in_sqlite_test, other_programs_read_through_the_link_and_keep_what_they_opened) {
  const scratch_directory directory(memory_folder());
  const auto store = directory.path() / "store";
  const auto engine = open_wallets(store);
  put_many(*engine, 100);
  projections::served_view<in_sqlite::any> served;
  ASSERT_TRUE(served.start(*engine, std::make_shared<in_sqlite::view<1>>()));
  ASSERT_TRUE(served.read(engine->log().tail(), 20s, &in_sqlite::look));
  const auto sum_in = [](sqlite3* in) {
    sqlite3_stmt* sum = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(in, "select sum from totals", -1, &sum, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(sum), SQLITE_ROW);
    const auto found = sqlite3_column_int64(sum, 0);
    sqlite3_finalize(sum);
    return found;
  };
  const auto open = [&] {
    sqlite3* other = nullptr;
    EXPECT_EQ(sqlite3_open_v2((store / "views" / "totals" / "view.sqlite").c_str(), &other,
                              SQLITE_OPEN_READONLY, nullptr),
              SQLITE_OK);
    return other;
  };
  auto* const before = open();
  EXPECT_EQ(sum_in(before), 100);
  ASSERT_TRUE(served.rebuild(*engine, std::make_shared<in_sqlite::view<2>>()));
  EXPECT_FALSE(std::filesystem::exists(store / "views" / "totals@1"));
  EXPECT_EQ(sum_in(before), 100);
  auto* const after = open();
  EXPECT_EQ(sum_in(after), 200);
  sqlite3_close(before);
  sqlite3_close(after);
}

} // namespace
} // namespace acta::tests
