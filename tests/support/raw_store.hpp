#pragma once

#include <gtest/gtest.h>
#include <lmdb.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

/// A store's LMDB file behind Acta's back.
namespace acta::tests {

/// Does something in a transaction with one of its databases. The store must be closed.
template <class Change>
void change_raw(const std::filesystem::path& store, const char* database, Change change) {
  MDB_env* raw = nullptr;
  ASSERT_EQ(mdb_env_create(&raw), 0);
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> env(raw, mdb_env_close);
  ASSERT_EQ(mdb_env_set_maxdbs(raw, 4), 0);
  ASSERT_EQ(mdb_env_set_mapsize(raw, std::size_t{1} << 30U), 0);
  ASSERT_EQ(mdb_env_open(raw, (store / "log").c_str(), 0, 0644), 0);
  MDB_txn* writer = nullptr;
  ASSERT_EQ(mdb_txn_begin(raw, nullptr, 0, &writer), 0);
  MDB_dbi dbi = 0;
  ASSERT_EQ(mdb_dbi_open(writer, database, 0, &dbi), 0);
  ASSERT_EQ(change(writer, dbi), 0);
  ASSERT_EQ(mdb_txn_commit(writer), 0);
}

/// Changes what is stored under a key.
inline void put_raw(const std::filesystem::path& store, const char* database, std::string key,
                    std::string value) {
  change_raw(store, database, [&](MDB_txn* in, MDB_dbi dbi) {
    MDB_val at{key.size(), key.data()};
    MDB_val to{value.size(), value.data()};
    return mdb_put(in, dbi, &at, &to, 0);
  });
}

/// Removes a key with what is stored under it.
inline void delete_raw(const std::filesystem::path& store, const char* database, std::string key) {
  change_raw(store, database, [&](MDB_txn* in, MDB_dbi dbi) {
    MDB_val at{key.size(), key.data()};
    return mdb_del(in, dbi, &at, nullptr);
  });
}

/// The key of a position in `events`.
[[nodiscard]] inline std::string key_of_position(std::uint64_t position) {
  return {reinterpret_cast<const char*>(&position), sizeof position};
}

} // namespace acta::tests
