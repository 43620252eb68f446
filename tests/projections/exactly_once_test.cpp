// Each event counts once in views on disk, while handlers fail, projectors stop and views are
// opened again at random. Where they are killed: tests/crash/killed_views_test.cpp.
#include "../support/scratch_directory.hpp"
#include "../support/wallet_tallies.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>

namespace acta::tests {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t wallets = 100;

template <class View>
class exactly_once_test : public testing::Test {
protected:
  void SetUp() override { handlers_fail = failing::now_and_then; }
  void TearDown() override { handlers_fail = failing::never; }

  void run(std::uint32_t parts) {
    constexpr std::size_t batch = 7;
    std::mt19937_64 random(parts);
    fed_tallies<View> fed(*engine, parts);
    for (std::uint32_t part = 0; part < parts; ++part)
      ASSERT_TRUE(fed.start(part, batch));
    wallet_tallies expected;
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
        const auto again = fed.start(static_cast<std::uint32_t>(random() % parts), batch);
        ASSERT_TRUE(again) << again.error().message();
      }
    }
    wallet_tallies found;
    for (const auto& one : fed.parts()) {
      const auto there = one.projector->wait_for(last, 60s);
      ASSERT_TRUE(there) << there.error().message();
      for (const auto& [key, sum] : tallies_of(*one.view).value_or(wallet_tallies()))
        EXPECT_TRUE(found.emplace(key, sum).second) << "wallet " << key << " in two parts";
    }
    EXPECT_EQ(found, expected);
  }

  scratch_directory directory;
  std::unique_ptr<runtime::engine> engine =
    runtime::engine::open<wallet>(
      storage::open_log(directory.path() / "store", {.durability = storage::durability::process})
        .value())
      .value();
};

using views = testing::Types<lmdb_tallies, sqlite_tallies>;
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
