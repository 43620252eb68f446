// Each event counts once in views on disk, while handlers fail, projectors stop and views are
// opened again at random.
#include "../support/scratch_directory.hpp"
#include "../support/wallet.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/runtime/engine.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t wallets = 100;

/// One call of fifty.
void fail_now_and_then() {
  static std::atomic<std::uint64_t> calls{0};
  if ((calls.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15ULL) >> 32U
      < (std::uint64_t{1} << 32U) / 50)
    throw std::runtime_error("told to fail");
}

/// Of a wallet: how many events, and their sum.
struct tally {
  std::uint64_t version = 0;
  std::int64_t sum = 0;
  bool operator==(const tally&) const = default;
};

/// An event that comes twice, or not in its turn, would not follow the version before it.
[[nodiscard]] result<tally> after(tally before, const added& event,
                                  const storage::record_view& record) {
  if (record.version().value() != before.version + 1)
    return failure(errc::corrupt, "version " + std::to_string(record.version().value()) + " after "
                                    + std::to_string(before.version));
  return tally{before.version + 1, before.sum + event.amount()};
}

struct in_lmdb {
  static constexpr std::string_view name = "tallies";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;
  static constexpr projections::ordered_table<std::uint64_t, tally> tallies{1};

  result<void> on(const added& event, const storage::record_view& record,
                  projections::table_writer& to) {
    const auto key = record.integer_key();
    auto next = after(to.get(tallies, key).value_or(tally{}), event, record);
    if (!next)
      return failure(next);
    to.put(tallies, key, *next);
    fail_now_and_then();
    return {};
  }
};

struct in_sqlite {
  static constexpr std::string_view name = "tallies";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;

  static result<void> create(projections::sqlite::database& to) {
    return to.script("create table tallies (id integer primary key, version integer, sum integer) "
                     "strict");
  }
  result<void> on(const added& event, const storage::record_view& record,
                  projections::sqlite::database& to) {
    const auto at = static_cast<std::int64_t>(record.version().value());
    auto done = to.run("insert into tallies values (?1, ?2, ?3) on conflict (id) do update set "
                       "version = version + 1, sum = sum + excluded.sum",
                       {static_cast<std::int64_t>(record.integer_key()), at, event.amount()});
    fail_now_and_then();
    return done;
  }
};

[[nodiscard]] std::map<std::uint64_t, tally>
tallies_of(const projections::lmdb_view<in_lmdb>& view) {
  std::map<std::uint64_t, tally> all;
  EXPECT_TRUE(view.read([&](const projections::table_reader& now) {
    for (std::uint64_t key = 0; key < wallets; ++key)
      if (const auto found = now.get(in_lmdb::tallies, key))
        all[key] = *found;
  }));
  return all;
}

[[nodiscard]] std::map<std::uint64_t, tally>
tallies_of(const projections::sqlite_view<in_sqlite>& view) {
  std::map<std::uint64_t, tally> all;
  EXPECT_TRUE(view.read([&](const projections::sqlite::reader& now) {
    for (std::uint64_t key = 0; key < wallets; ++key) {
      const auto found =
        now.first("select version, sum from tallies where id = ?1",
                  {static_cast<std::int64_t>(key)}, [](const auto& row) {
                    return tally{static_cast<std::uint64_t>(row.integer(0)), row.integer(1)};
                  });
      EXPECT_TRUE(found);
      if (found && *found)
        all[key] = **found;
    }
  }));
  return all;
}

template <class View>
[[nodiscard]] std::unique_ptr<View> part_of(std::uint32_t part, std::uint32_t parts) {
  const projections::view_part which{.part = part, .parts = parts};
  if constexpr (std::is_same_v<View, projections::lmdb_view<in_lmdb>>)
    return std::make_unique<View>(which);
  else
    return std::make_unique<View>(in_sqlite(), which);
}

template <class View>
class exactly_once_test : public testing::Test {
protected:
  /// A part of the view, and who feeds it.
  struct fed {
    std::unique_ptr<View> view;
    std::unique_ptr<projections::projector> projector;
  };

  void start(fed& one, std::uint32_t part, std::uint32_t parts) {
    one.projector.reset();
    one.view = part_of<View>(part, parts);
    auto started = projections::projector::start(*engine, *one.view,
                                                 {.batch = 7, .retries = 1'000, .pause = 0ns});
    ASSERT_TRUE(started) << started.error().message();
    one.projector = std::move(*started);
  }

  void run(std::uint32_t parts) {
    std::mt19937_64 random(parts);
    std::vector<fed> all(parts);
    for (std::uint32_t part = 0; part < parts; ++part)
      start(all[part], part, parts);
    log_position last;
    for (int i = 0; i < 1'500; ++i) {
      const auto key = random() % wallets;
      const auto amount = static_cast<std::int64_t>(random() % 1'000);
      const auto receipt = engine->ask<wallet>(key, put_in{amount});
      ASSERT_TRUE(receipt) << receipt.error().message();
      last = receipt->position;
      ++expected[key].version;
      expected[key].sum += amount;
      if (random() % 50 == 0) {
        const auto part = static_cast<std::uint32_t>(random() % parts);
        start(all[part], part, parts);
      }
    }
    std::map<std::uint64_t, tally> found;
    for (const auto& one : all) {
      const auto there = one.projector->wait_for(last, 60s);
      ASSERT_TRUE(there) << there.error().message();
      for (const auto& [key, sum] : tallies_of(*one.view))
        EXPECT_TRUE(found.emplace(key, sum).second) << "wallet " << key << " in two parts";
    }
    EXPECT_EQ(found, expected);
  }

  scratch_directory directory;
  std::map<std::uint64_t, tally> expected;
  std::unique_ptr<runtime::engine> engine =
    runtime::engine::open<wallet>(
      storage::open_log(directory.path() / "store", {.durability = storage::durability::process})
        .value())
      .value();
};

using views = testing::Types<projections::lmdb_view<in_lmdb>, projections::sqlite_view<in_sqlite>>;
TYPED_TEST_SUITE(exactly_once_test, views);

TYPED_TEST(exactly_once_test, in_one_part) {
  this->run(1);
}

TYPED_TEST(exactly_once_test, in_three_parts) {
  this->run(3);
}

TYPED_TEST(exactly_once_test, in_eight_parts) {
  this->run(8);
}

} // namespace
} // namespace acta::tests
