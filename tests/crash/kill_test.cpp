#include "receipt_line.hpp"

#include "../support/child_process.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace acta::tests {
namespace {

using namespace domain::trading;

/// The plainest way to a book: every order by its id, and nothing else kept.
class reference_book {
public:
  void apply(const storage::log_snapshot& log, const storage::event_log& names) {
    for (std::uint64_t p = 1; p <= log.tail().value(); ++p) {
      const auto record = log.at(log_position(p));
      ASSERT_TRUE(record.has_value());
      const auto name = names.event_type_name(record->event_type());
      auto& now = orders_[record->integer_key()];
      const auto payload = record->payload();
      if (name == order_submitted::GetFullyQualifiedName()) {
        const auto* e = domain::verified<order_submitted>(payload);
        now = {e->side(), e->price(), e->quantity()};
      } else if (name == order_modified::GetFullyQualifiedName()) {
        const auto* e = domain::verified<order_modified>(payload);
        now = {now.at, e->price(), e->quantity()};
      } else if (name == order_reduced::GetFullyQualifiedName()) {
        now.quantity -= domain::verified<order_reduced>(payload)->quantity();
      } else if (name == order_executed::GetFullyQualifiedName()) {
        now.quantity -= domain::verified<order_executed>(payload)->quantity();
      } else {
        now.quantity = 0;
      }
    }
  }

  [[nodiscard]] projections::book_depth depth() const {
    std::map<std::int64_t, projections::price_level, std::greater<>> bids;
    std::map<std::int64_t, projections::price_level> asks;
    const auto add = [](auto& levels, const order& one) {
      auto& level = levels[one.price];
      level.price = one.price;
      level.quantity += one.quantity;
      ++level.orders;
    };
    for (const auto& [id, one] : orders_) {
      if (one.quantity > 0 && one.at == side::buy)
        add(bids, one);
      if (one.quantity > 0 && one.at == side::sell)
        add(asks, one);
    }
    projections::book_depth all;
    for (const auto& [price, level] : bids)
      all.bids.push_back(level);
    for (const auto& [price, level] : asks)
      all.asks.push_back(level);
    return all;
  }

private:
  struct order {
    side at = side::none;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
  };
  std::map<std::uint64_t, order> orders_;
};

void expect_receipts_hold(const storage::log_snapshot& log, int round,
                          const std::vector<receipt_line>& receipts) {
  for (const auto& receipt : receipts) {
    if (receipt.events == 0)
      continue;
    const auto record = log.at(log_position(receipt.position));
    ASSERT_TRUE(record.has_value()) << "receipted position " << receipt.position << " is gone";
    EXPECT_EQ(record->integer_key(), receipt.order);
    EXPECT_EQ(record->version().value(), receipt.version);
    EXPECT_EQ(record->header().command.low(), receipt.command);
    EXPECT_EQ(record->header().command.high(), static_cast<std::uint64_t>(round) + 1);
    EXPECT_EQ(record->header().remaining, 0);
  }
}

void expect_no_gap(const storage::log_snapshot& log) {
  std::map<std::uint64_t, std::uint64_t> versions;
  std::uint16_t remaining = 0;
  for (std::uint64_t p = 1; p <= log.tail().value(); ++p) {
    const auto record = log.at(log_position(p));
    ASSERT_TRUE(record.has_value());
    ASSERT_TRUE(record->verify().has_value());
    ASSERT_EQ(record->version().value(), ++versions[record->integer_key()]);
    if (remaining != 0) {
      ASSERT_EQ(record->header().remaining, remaining - 1);
    }
    remaining = record->header().remaining;
  }
  EXPECT_EQ(remaining, 0) << "the last command is there in part";
}

TEST(kill, loses_nothing_receipted_at_any_moment) {
  const int rounds = std::getenv("ACTA_LONG_TESTS") != nullptr ? 50 : 8;
  const scratch_directory scratch;
  const auto store = (scratch.path() / "store").string();
  std::mt19937_64 random(std::random_device{}());
  std::uint64_t receipts = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    told_program<receipt_line> victim(ACTA_CRASH_WRITER, {store, std::to_string(round)});
    // Every fourth round it is killed while it opens the store; else after some receipts.
    if (round % 4 != 3) {
      ASSERT_TRUE(victim.read_until(random() % 4'000 + 1)) << "the writer ended by itself";
    }
    // A random moment is what is tested here: nothing is waited for.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ASSERT_EQ(victim.kill(), SIGKILL);
    receipts += victim.lines.size();

    auto log = storage::open_log(store);
    ASSERT_TRUE(log.has_value()) << log.error().message();
    auto snapshot = (*log)->snapshot();
    ASSERT_TRUE(snapshot.has_value());
    expect_receipts_hold(**snapshot, round, victim.lines);
    expect_no_gap(**snapshot);
    reference_book reference;
    reference.apply(**snapshot, **log);
    projections::memory_view<projections::order_book> view;
    ASSERT_TRUE(projections::replay(**log, view).has_value());
    const auto book = view.read([](const auto& now) { return now; });
    EXPECT_EQ(book.depth(1).bids, reference.depth().bids);
    EXPECT_EQ(book.depth(1).asks, reference.depth().asks);
    if (testing::Test::HasFailure())
      return;
  }
  EXPECT_GT(receipts, static_cast<std::uint64_t>(rounds) * 100);
  RecordProperty("receipts", static_cast<int>(receipts));
}

} // namespace
} // namespace acta::tests
