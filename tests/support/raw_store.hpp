#pragma once

#include <gtest/gtest.h>
#include <lmdb.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A store's LMDB file behind Acta's back.
namespace acta::tests {

/// Does something in a transaction with a database of one of its environments ("log", "index"). The
/// store must be closed.
template <class Change>
void change_raw(const std::filesystem::path& environment, const char* database, Change change) {
  MDB_env* raw = nullptr;
  ASSERT_EQ(mdb_env_create(&raw), 0);
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> env(raw, mdb_env_close);
  ASSERT_EQ(mdb_env_set_maxdbs(raw, 4), 0);
  ASSERT_EQ(mdb_env_set_mapsize(raw, std::size_t{1} << 30U), 0);
  ASSERT_EQ(mdb_env_open(raw, environment.c_str(), 0, 0644), 0);
  MDB_txn* writer = nullptr;
  ASSERT_EQ(mdb_txn_begin(raw, nullptr, 0, &writer), 0);
  MDB_dbi dbi = 0;
  ASSERT_EQ(mdb_dbi_open(writer, database, 0, &dbi), 0);
  ASSERT_EQ(change(writer, dbi), 0);
  ASSERT_EQ(mdb_txn_commit(writer), 0);
}

/// Changes what is stored under a key, or removes it.
inline void change_raw(const std::filesystem::path& environment, const char* database,
                       std::string key, std::optional<std::string> value) {
  change_raw(environment, database, [&](MDB_txn* in, MDB_dbi dbi) {
    MDB_val at{key.size(), key.data()};
    MDB_val to{value ? value->size() : 0, value ? value->data() : nullptr};
    return value ? mdb_put(in, dbi, &at, &to, 0) : mdb_del(in, dbi, &at, nullptr);
  });
}

/// The same in the log.
inline void put_raw(const std::filesystem::path& store, const char* database, std::string key,
                    std::string value) {
  change_raw(store / "log", database, std::move(key), std::move(value));
}
inline void delete_raw(const std::filesystem::path& store, const char* database, std::string key) {
  change_raw(store / "log", database, std::move(key), std::nullopt);
}

/// All entries of a database of one of its environments, in their order.
inline std::vector<std::pair<std::string, std::string>>
read_raw(const std::filesystem::path& environment, const char* database) {
  std::vector<std::pair<std::string, std::string>> all;
  MDB_env* raw = nullptr;
  EXPECT_EQ(mdb_env_create(&raw), 0);
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> env(raw, mdb_env_close);
  EXPECT_EQ(mdb_env_set_maxdbs(raw, 4), 0);
  EXPECT_EQ(mdb_env_open(raw, environment.c_str(), MDB_RDONLY, 0644), 0);
  MDB_txn* reader = nullptr;
  EXPECT_EQ(mdb_txn_begin(raw, nullptr, MDB_RDONLY, &reader), 0);
  MDB_dbi dbi = 0;
  EXPECT_EQ(mdb_dbi_open(reader, database, 0, &dbi), 0);
  MDB_cursor* cursor = nullptr;
  EXPECT_EQ(mdb_cursor_open(reader, dbi, &cursor), 0);
  MDB_val key{};
  MDB_val value{};
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS)
    all.emplace_back(std::string(static_cast<const char*>(key.mv_data), key.mv_size),
                     std::string(static_cast<const char*>(value.mv_data), value.mv_size));
  mdb_cursor_close(cursor);
  mdb_txn_abort(reader);
  return all;
}

/// The key of a position in `events`.
[[nodiscard]] inline std::string key_of_position(std::uint64_t position) {
  return {reinterpret_cast<const char*>(&position), sizeof position};
}

} // namespace acta::tests
