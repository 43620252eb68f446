#pragma once

#include "../support/wallet.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/served_view.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/view_directory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <string>

/// Views on disk in two versions, of which it is known what they hold at each position, and which
/// of them it is that answers.
namespace acta::tests {

using namespace std::chrono_literals;

/// Where each event put 1 in: how many there were, and their sum times the view's version.
struct totals {
  std::int64_t count = 0;
  std::int64_t sum = 0;
};

/// What a query saw.
struct seen {
  std::int64_t version = 0; ///< 0 where there is nothing yet.
  std::int64_t count = 0;
  log_position position;
};
[[nodiscard]] inline seen seen_of(totals of, log_position at) {
  return {.version = of.count == 0 ? 0 : of.sum / of.count, .count = of.count, .position = at};
}

/// Called with each event that is handled.
inline void (*on_handled)() = [] {};

template <std::uint32_t Version>
struct totals_in_lmdb {
  static constexpr std::string_view name = "totals";
  static constexpr std::uint32_t version = Version;
  using events = domain::event_list<added>;
  static constexpr projections::ordered_table<std::uint32_t, totals> all{1};

  void on(const added& event, const storage::record_view&, projections::table_writer& to) {
    on_handled();
    const auto before = to.get(all, 0).value_or(totals{});
    to.put(all, 0, {before.count + 1, before.sum + Version * event.amount()});
  }
};

template <std::uint32_t Version>
struct totals_in_sqlite {
  static constexpr std::string_view name = "totals";
  static constexpr std::uint32_t version = Version;
  using events = domain::event_list<added>;

  static result<void> create(projections::sqlite::database& to) {
    return to.script("create table totals (count integer not null, sum integer not null) strict;"
                     "insert into totals values (0, 0)");
  }
  result<void> on(const added& event, const storage::record_view&,
                  projections::sqlite::database& to) {
    on_handled();
    return to.run("update totals set count = count + 1, sum = sum + ?1",
                  {Version * event.amount()});
  }
};

struct in_lmdb {
  using any = projections::any_lmdb_view;
  template <std::uint32_t Version>
  using view = projections::lmdb_view<totals_in_lmdb<Version>>;

  static seen look(const projections::table_reader& now) {
    return seen_of(now.get(totals_in_lmdb<1>::all, 0).value_or(totals{}), now.position());
  }
};

struct in_sqlite {
  using any = projections::any_sqlite_view;
  template <std::uint32_t Version>
  using view = projections::sqlite_view<totals_in_sqlite<Version>>;

  static seen look(const projections::sqlite::reader& now) {
    auto found = now.first("select count, sum from totals", {},
                           [](const auto& row) { return totals{row.integer(0), row.integer(1)}; });
    EXPECT_TRUE(found) << found.error().message();
    return seen_of(found.value().value_or(totals{}), now.position());
  }
};

template <class Kind>
using served_of = projections::served_view<typename Kind::any>;
template <class Kind, std::uint32_t Version>
[[nodiscard]] auto make_view() {
  return std::make_shared<typename Kind::template view<Version>>();
}

inline const storage::view_identity totals_view{.name = "totals"};

[[nodiscard]] inline std::unique_ptr<runtime::engine>
open_wallets(const std::filesystem::path& at) {
  auto log = storage::open_log(at, {.durability = storage::durability::process});
  EXPECT_TRUE(log) << log.error().message();
  auto opened = runtime::engine::open<wallet>(std::move(*log));
  EXPECT_TRUE(opened) << opened.error().message();
  return std::move(*opened);
}

/// So many events, each of 1, of a hundred wallets.
inline void put_many(runtime::engine& engine, int count) {
  constexpr int at_a_time = 500;
  for (int done = 0; done < count; done += at_a_time) {
    const auto now = std::min(at_a_time, count - done);
    std::latch settled(now);
    for (int i = 0; i < now; ++i)
      ASSERT_TRUE(engine.tell<wallet>(static_cast<std::uint64_t>(i % 100), put_in{1},
                                      [&](const auto& receipt) {
                                        EXPECT_TRUE(receipt);
                                        settled.count_down();
                                      }));
    settled.wait();
  }
}

/// What is in `<store>/views`.
[[nodiscard]] inline std::set<std::string> names_of_views(const std::filesystem::path& store) {
  std::set<std::string> names;
  for (const auto& one : std::filesystem::directory_iterator(store / "views"))
    names.insert(one.path().filename().string());
  return names;
}

} // namespace acta::tests
