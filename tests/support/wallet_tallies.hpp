#pragma once

#include "wallet.hpp"

#include <acta/projections/lmdb_view.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/sqlite_view.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Views on disk of which it is plain what they must hold: of each wallet, how many events it has,
/// and their sum. Without GoogleTest, for programs that are killed too.
namespace acta::tests {

struct wallet_tally {
  std::uint64_t version = 0;
  std::int64_t sum = 0;
  bool operator==(const wallet_tally&) const = default;
};
using wallet_tallies = std::map<std::uint64_t, wallet_tally>;

/// Which calls of the handlers below throw, behind what they write: none, one of fifty, or all.
enum class failing : std::uint8_t { never, now_and_then, always };
inline std::atomic<failing> handlers_fail{failing::never};
/// Which of fifty.
inline std::atomic<std::uint64_t> handler_calls{0};

inline void fail_as_told() {
  const auto how = handlers_fail.load(std::memory_order_relaxed);
  if (how == failing::always
      || (how == failing::now_and_then
          && (handler_calls.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15ULL) >> 32U
               < (std::uint64_t{1} << 32U) / 50))
    throw std::runtime_error("told to fail");
}

struct tallies_in_lmdb {
  static constexpr std::string_view name = "tallies";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;
  static constexpr projections::ordered_table<std::uint64_t, wallet_tally> tallies{1};

  /// An event that comes twice, or not in its turn, would not follow the version before it.
  result<void> on(const added& event, const storage::record_view& record,
                  projections::table_writer& to) {
    const auto key = record.integer_key();
    auto now = to.get(tallies, key).value_or(wallet_tally{});
    if (record.version().value() != now.version + 1)
      return failure(errc::corrupt, "version " + std::to_string(record.version().value())
                                      + " after " + std::to_string(now.version));
    to.put(tallies, key, {now.version + 1, now.sum + event.amount()});
    fail_as_told();
    return {};
  }
};

struct tallies_in_sqlite {
  static constexpr std::string_view name = "tallies_in_sqlite";
  static constexpr std::uint32_t version = 1;
  using events = domain::event_list<added>;

  static result<void> create(projections::sqlite::database& to) {
    return to.script("create table tallies (id integer primary key, version integer, sum integer) "
                     "strict");
  }
  /// Counts, whatever the event's version is.
  result<void> on(const added& event, const storage::record_view& record,
                  projections::sqlite::database& to) {
    auto done = to.run("insert into tallies values (?1, 1, ?2) on conflict (id) do update set "
                       "version = version + 1, sum = sum + excluded.sum",
                       {record.integer_key(), event.amount()});
    fail_as_told();
    return done;
  }
};

using lmdb_tallies = projections::lmdb_view<tallies_in_lmdb>;
using sqlite_tallies = projections::sqlite_view<tallies_in_sqlite>;

[[nodiscard]] inline result<wallet_tallies> tallies_of(const lmdb_tallies& view) {
  return view.read([&](const projections::table_reader& now) {
    wallet_tallies all;
    now.each(tallies_in_lmdb::tallies.all(),
             [&](std::uint64_t key, const wallet_tally& one) { all.emplace(key, one); });
    return all;
  });
}

[[nodiscard]] inline result<wallet_tallies> tallies_of(const sqlite_tallies& view) {
  return view.read([&](const projections::sqlite::reader& now) -> result<wallet_tallies> {
    wallet_tallies all;
    auto done = now.each("select id, version, sum from tallies", {}, [&](const auto& row) {
      all.emplace(static_cast<std::uint64_t>(row.integer(0)),
                  wallet_tally{static_cast<std::uint64_t>(row.integer(1)), row.integer(2)});
    });
    if (!done)
      return failure(done);
    return all;
  });
}

/// What a part of them is at a position, by the plainest way to it.
[[nodiscard]] inline result<wallet_tallies> fold(const storage::event_log& log, log_position up_to,
                                                 projections::view_part which = {}) {
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  wallet_tallies all;
  for (log_position at(1); at <= up_to; at = at.next()) {
    const auto record = (*snapshot)->at(at);
    if (!record)
      return std::unexpected(record.error());
    if (record->stream_hash() % which.parts != which.part)
      continue;
    auto& one = all[record->integer_key()];
    ++one.version;
    one.sum += domain::verified<added>(record->payload())->amount();
  }
  return all;
}

template <class View>
[[nodiscard]] std::unique_ptr<View> make_tallies(projections::view_part which = {}) {
  if constexpr (std::is_same_v<View, lmdb_tallies>)
    return std::make_unique<View>(which);
  else
    return std::make_unique<View>(tallies_in_sqlite(), which);
}

/// All parts of a view, each with who feeds it.
template <class View>
class fed_tallies {
public:
  struct part {
    std::unique_ptr<View> view;
    std::unique_ptr<projections::projector> projector; // ends first
  };

  fed_tallies(runtime::engine& engine, std::uint32_t parts) : engine_(engine), parts_(parts) {}

  /// Starts what feeds a part, or ends it and starts it again, over a view that is opened anew.
  /// Handlers may fail, but not for good. An error is why it did not go on.
  [[nodiscard]] result<void> start(std::uint32_t number, std::size_t batch) {
    auto& one = parts_[number];
    if (one.projector != nullptr)
      if (auto going = one.projector->status(); !going)
        return going;
    one.projector.reset();
    one.view = make_tallies<View>({number, static_cast<std::uint32_t>(parts_.size())});
    auto started = projections::projector::start(
      engine_, *one.view, {.batch = batch, .retries = 1'000, .pause = std::chrono::nanoseconds(0)});
    if (!started)
      return failure(started);
    one.projector = std::move(*started);
    return {};
  }

  [[nodiscard]] const std::vector<part>& parts() const noexcept { return parts_; }

private:
  runtime::engine& engine_;
  std::vector<part> parts_;
};

} // namespace acta::tests
