#include "floors.hpp"

#include "acknowledgements.hpp"
#include "support.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <caf/all.hpp>
#include <lmdb.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <span>
#include <stop_token>

namespace acta::bench {

namespace {

using clock = std::chrono::steady_clock;

caf::behavior count_messages(caf::event_based_actor*, sim::acknowledgements* handled) {
  return {[handled](std::uint64_t) { handled->settle_one(); }};
}

void check(int code) {
  ensure(code == MDB_SUCCESS, "LMDB works");
}

} // namespace

void record_bytes::add(std::span<const std::byte> record) {
  bytes_.insert(bytes_.end(), record.begin(), record.end());
  ends_.push_back(bytes_.size());
}

record_bytes records_of(const storage::event_log& log) {
  record_bytes all;
  auto snapshot = value_or_give_up(log.snapshot());
  auto cursor = value_or_give_up(snapshot->scan(log_position(1)));
  for (;;) {
    const auto records = value_or_give_up(cursor->next());
    if (records.empty())
      return all;
    for (const auto& record : records)
      all.add(record.bytes());
  }
}

namespace {

[[nodiscard]] MDB_env* open_environment(const std::filesystem::path& directory, unsigned flags,
                                        MDB_dbi& events) {
  MDB_env* env = nullptr;
  check(mdb_env_create(&env));
  check(mdb_env_set_mapsize(env, std::size_t{1} << 38U));
  check(mdb_env_set_maxdbs(env, 4));
  check(mdb_env_open(env, directory.c_str(), MDB_NOTLS | flags, 0644));
  MDB_txn* writer = nullptr;
  check(mdb_txn_begin(env, nullptr, 0, &writer));
  check(mdb_dbi_open(writer, "events", MDB_CREATE | MDB_INTEGERKEY, &events));
  check(mdb_txn_commit(writer));
  return env;
}

void append(MDB_txn* writer, MDB_dbi events, std::uint64_t position,
            std::span<const std::byte> record) {
  MDB_val key{sizeof position, &position};
  MDB_val place{record.size(), nullptr};
  check(mdb_put(writer, events, &key, &place, MDB_APPEND | MDB_RESERVE));
  std::memcpy(place.mv_data, record.data(), record.size());
}

} // namespace

double scan_lmdb(const std::filesystem::path& directory, std::uint64_t& events) {
  MDB_dbi database = 0;
  auto* env = open_environment(directory, 0, database);
  MDB_txn* reader = nullptr;
  MDB_cursor* cursor = nullptr;
  check(mdb_txn_begin(env, nullptr, MDB_RDONLY, &reader));
  check(mdb_cursor_open(reader, database, &cursor));
  double best = 0;
  for (int pass = 0; pass < 2; ++pass) { // the first brings it into the page cache
    MDB_val key{};
    MDB_val value{};
    std::uint64_t sum = 0;
    events = 0;
    const auto start = clock::now();
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
      std::uint64_t word = 0;
      std::memcpy(&word, value.mv_data, sizeof word);
      sum += word;
      ++events;
    }
    best = static_cast<double>(events) / seconds_since(start);
    ensure(sum != 0, "records begin with their checksum");
    check(mdb_cursor_renew(reader, cursor));
  }
  mdb_cursor_close(cursor);
  mdb_txn_abort(reader);
  mdb_env_close(env);
  return best;
}

single_commits::single_commits(const std::filesystem::path& directory, commit_kind kind)
    : env_(open_environment(directory, kind == commit_kind::synced ? 0U : unsigned{MDB_NOSYNC},
                            events_)) {
  if (kind == commit_kind::holding || kind == commit_kind::synced_behind)
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &held_));
  if (kind == commit_kind::synced_behind)
    syncs_ = std::jthread([this](const std::stop_token& stop) {
      std::mutex mutex;
      std::condition_variable_any asked;
      std::unique_lock lock(mutex);
      while (!asked.wait_for(lock, stop, limits::default_sync_every,
                             [&] { return stop.stop_requested(); }))
        if (is_dirty_.exchange(false))
          check(mdb_env_sync(env_, 1));
    });
}

single_commits::~single_commits() {
  syncs_ = {};
  if (held_ != nullptr)
    mdb_txn_abort(held_);
  mdb_env_close(env_);
}

double single_commits::commit_us() {
  constexpr std::uint64_t commits_held = 700;
  if (held_ != nullptr && position_ % commits_held == 0) {
    mdb_txn_reset(held_);
    check(mdb_txn_renew(held_));
  }
  constexpr std::array<std::byte, 128> record{};
  const auto start = clock::now();
  MDB_txn* writer = nullptr;
  check(mdb_txn_begin(env_, nullptr, 0, &writer));
  append(writer, events_, ++position_, record);
  check(mdb_txn_commit(writer));
  is_dirty_.store(true, std::memory_order_relaxed);
  return seconds_since(start) * 1e6;
}

double append_to_lmdb(const std::filesystem::path& directory, const record_bytes& records,
                      std::size_t per_transaction) {
  MDB_dbi events = 0;
  MDB_env* env = open_environment(directory, 0, events);
  MDB_txn* writer = nullptr;
  const auto start = clock::now();
  for (std::size_t at = 0; at < records.size();) {
    check(mdb_txn_begin(env, nullptr, 0, &writer));
    const auto end = std::min(records.size(), at + per_transaction);
    for (; at < end; ++at)
      append(writer, events, at + 1, records[at]);
    check(mdb_txn_commit(writer));
  }
  const auto elapsed = seconds_since(start);
  mdb_env_close(env);
  return elapsed;
}

double send_through_caf(std::size_t actors, const std::vector<std::uint32_t>& keys,
                        std::size_t window) {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", std::size_t{1}); // settle_one() is for one thread
  caf::actor_system system(config);
  sim::acknowledgements handled;
  std::vector<caf::actor> all;
  all.reserve(actors);
  for (std::size_t i = 0; i < actors; ++i)
    all.push_back(system.spawn<caf::hidden>(count_messages, &handled));
  const auto start = clock::now();
  std::uint64_t sent = 0;
  for (const auto key : keys) {
    if (sent - handled.done() >= window)
      handled.wait_for(sent - window / 2);
    caf::anon_send(all[key % actors], std::uint64_t{key});
    ++sent;
  }
  handled.wait_for(sent);
  const auto elapsed = seconds_since(start);
  for (const auto& one : all)
    caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
  return elapsed;
}

} // namespace acta::bench
