#pragma once

#include "scratch_directory.hpp"
#include "shop_log.hpp"

#include <acta/domain/orders/order.hpp>
#include <acta/projections/sqlite_view.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace acta::tests {

/// What was paid of each order, in SQLite; and once more by a search table, as those are kept in
/// tables of their own.
struct tally {
  static constexpr std::string_view name = "tally";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<domain::orders::payment_received>;
  using handler = std::function<result<void>(const domain::orders::payment_received&,
                                             projections::sqlite::database&)>;

  static result<void> create(projections::sqlite::database& to) {
    return to.script("create table tally (number integer primary key, cents integer not null, "
                     "payments integer not null) strict;"
                     "create virtual table words using fts5(word)");
  }

  result<void> on(const domain::orders::payment_received& event, const storage::record_view& record,
                  projections::sqlite::database& to) const {
    auto done = to.run("insert into tally values (?1, ?2, 1) on conflict do update set "
                       "cents = cents + excluded.cents, payments = payments + 1",
                       {record.integer_key(), event.amount()});
    if (done)
      done = to.run("insert into words values (?1)", {event.method()->string_view()});
    return done && also ? also(event, to) : done;
  }

  handler also; ///< Done behind the rest of an event.
};
using tally_view = projections::sqlite_view<tally>;

struct tally_totals {
  std::int64_t orders = 0;
  std::int64_t cents = 0;
  std::int64_t payments = 0;
  std::int64_t words = 0;
  std::uint64_t position = 0;
  bool operator==(const tally_totals&) const = default;
};

[[nodiscard]] inline result<tally_totals> totals_of(const projections::sqlite::reader& now) {
  auto found = now.first("select count(*), ifnull(sum(cents), 0), ifnull(sum(payments), 0), "
                         "(select count(*) from words) from tally",
                         {}, [&](const projections::sqlite::row& one) {
                           return tally_totals{.orders = one.integer(0),
                                               .cents = one.integer(1),
                                               .payments = one.integer(2),
                                               .words = one.integer(3),
                                               .position = now.position().value()};
                         });
  if (!found)
    return failure(found);
  return found->value();
}

[[nodiscard]] inline tally_totals totals_of(const tally_view& view) {
  auto found = view.read([](const auto& now) { return totals_of(now); });
  EXPECT_TRUE(found) << found.error().message();
  return found.value_or(tally_totals{});
}

/// A store of payments, and what a tally of them must be.
class tally_test : public ::testing::Test {
protected:
  void SetUp() override { open(directory.path()); }
  void open(const std::filesystem::path& store) {
    shop.reset();
    log.reset();
    auto opened = storage::open_log(store, {.durability = storage::durability::process});
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    shop.emplace(*log);
  }

  /// `count` payments, at position p one of p cents for order p % 10.
  void pay(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto next = log->tail().value() + 1;
      shop->add_payment(next % 10, static_cast<std::int64_t>(next));
    }
  }
  /// What a tally of those is at a position.
  [[nodiscard]] static tally_totals expected(std::uint64_t position) {
    const auto count = static_cast<std::int64_t>(position);
    return {.orders = std::min<std::int64_t>(count, 10),
            .cents = count * (count + 1) / 2,
            .payments = count,
            .words = count,
            .position = position};
  }
  /// A step with the records from `first` to `last`.
  [[nodiscard]] projections::step_result apply(projections::projection& view, std::uint64_t first,
                                               std::uint64_t last,
                                               projections::view_step step = {}) {
    const auto snapshot = log->snapshot();
    std::vector<storage::record_view> records;
    for (auto at = first; at <= last; ++at)
      records.push_back(*(*snapshot)->at(log_position(at)));
    step.records = records;
    if (step.reached == log_position(0))
      step.reached = log_position(last);
    return view.apply(step);
  }

  scratch_directory directory{memory_folder()};
  std::unique_ptr<storage::event_log> log;
  std::optional<shop_log> shop;
};

} // namespace acta::tests
