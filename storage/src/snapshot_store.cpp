#include <acta/storage/snapshot_store.hpp>

#include "lmdb_environment.hpp"
#include "lmdb_error.hpp"
#include "snapshot_format.hpp"
#include "store_directory.hpp"
#include "synced_point.hpp"
#include "writer_lock.hpp"

#include <acta/base/ensure.hpp>

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

namespace acta::storage {

namespace {

[[nodiscard]] std::span<const std::byte> bytes_of(const MDB_val& value) noexcept {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

[[nodiscard]] MDB_val value_of(const snapshot_key& key) noexcept {
  return {key.bytes().size(), const_cast<std::byte*>(key.bytes().data())};
}

/// Snapshots in an LMDB environment of their own, so that writing them holds nobody up.
class lmdb_snapshots final : public snapshot_store {
public:
  lmdb_snapshots(writer_lock held, lmdb_environment environment, std::size_t keep)
      : held_(std::move(held)), environment_(std::move(environment)), keep_(keep) {}

  [[nodiscard]] result<void> open_database() {
    auto writer = begin(0, 0);
    if (!writer)
      return failure(writer);
    if (const int code = mdb_dbi_open(writer->get(), snapshots_name, MDB_CREATE, &snapshots_);
        code != MDB_SUCCESS)
      return lmdb_failure(code, environment_.path(), "opening its database");
    return writer->commit();
  }

  [[nodiscard]] result<void> save(std::span<const snapshot_to_save> all) override {
    std::size_t bytes = 0;
    for (const auto& one : all)
      bytes += snapshot_size(one.snapshot);
    auto writer = begin(bytes, all.size());
    if (!writer)
      return failure(writer);
    for (const auto& one : all) {
      if (auto checked = check_snapshot(one); !checked)
        return checked;
      const auto versions = versions_of(writer->get(), one.stream);
      if (!versions)
        return std::unexpected(versions.error());
      if (auto expected = check_newest(one, *versions); !expected)
        return expected;
    }
    for (const auto& one : all)
      if (auto put = replace(writer->get(), one); !put)
        return put;
    return writer->commit();
  }

  [[nodiscard]] result<void> read(const stream_id& stream, const snapshot_criteria& criteria,
                                  const reader& look) const override {
    auto transaction = readers_.begin();
    if (!transaction)
      return failure(transaction);
    const auto give_back = [this](MDB_txn* in) { readers_.end(in); };
    const std::unique_ptr<MDB_txn, decltype(give_back)> in(*transaction, give_back);
    return walk(in.get(), stream, criteria,
                [&](stream_version, const auto& one) { return look(one); });
  }

  [[nodiscard]] result<std::size_t> remove(const stream_id& stream,
                                           const snapshot_criteria& criteria) override {
    auto writer = begin(0, 1);
    if (!writer)
      return failure(writer);
    std::vector<stream_version> found;
    auto walked = walk(writer->get(), stream, criteria, [&](stream_version version, const auto&) {
      found.push_back(version);
      return true;
    });
    for (const auto version : found)
      if (walked)
        walked = erase(writer->get(), stream, version);
    if (walked && !found.empty())
      walked = writer->commit();
    if (!walked)
      return failure(walked);
    return found.size();
  }

private:
  struct cursor_closer {
    void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
  };

  /// A transaction for so many snapshots, of so many bytes. The file is made longer than it can
  /// make it before it begins: LMDB may not write its last page (see log_environment.cpp), and what
  /// the commit syncs must be a file that opens.
  [[nodiscard]] result<lmdb_write> begin(std::size_t bytes, std::size_t snapshots) const {
    constexpr std::size_t pages_of_each = std::size_t{16} << 10U;
    if (auto filled = fill_up(environment_, 2 * bytes + (snapshots + 2) * pages_of_each); !filled)
      return failure(filled);
    return lmdb_write::begin(environment_);
  }

  /// Shows `look` the version and the bytes of a stream's snapshots from `newest` on, newest first,
  /// until it returns false.
  template <class Look>
  [[nodiscard]] result<void> walk_bytes(MDB_txn* in, const stream_id& stream, stream_version newest,
                                        Look look) const {
    MDB_cursor* raw = nullptr;
    int code = mdb_cursor_open(in, snapshots_, &raw);
    if (code != MDB_SUCCESS)
      return lmdb_failure(code, environment_.path(), "a cursor");
    const std::unique_ptr<MDB_cursor, cursor_closer> cursor(raw);
    const snapshot_key from(stream, newest);
    auto key = value_of(from);
    MDB_val value{};
    code = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE); // the first that is not before it
    if (code == MDB_NOTFOUND)
      code = mdb_cursor_get(raw, &key, &value, MDB_LAST);
    else if (code == MDB_SUCCESS
             && !(from.is_of_same_stream(bytes_of(key))
                  && snapshot_key::version_in(bytes_of(key)) == newest))
      code = mdb_cursor_get(raw, &key, &value, MDB_PREV);
    while (code == MDB_SUCCESS && from.is_of_same_stream(bytes_of(key))) {
      const auto version = snapshot_key::version_in(bytes_of(key));
      ensure(version <= newest, "keys are in the order of versions");
      if (!look(version, bytes_of(value)))
        return {};
      code = mdb_cursor_get(raw, &key, &value, MDB_PREV);
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
      return lmdb_failure(code, environment_.path(),
                          "reading snapshots of stream " + stream.to_string());
    return {};
  }

  /// The same with snapshots that match.
  template <class Look>
  [[nodiscard]] result<void> walk(MDB_txn* in, const stream_id& stream,
                                  const snapshot_criteria& criteria, Look look) const {
    return walk_bytes(in, stream, criteria.max_version,
                      [&](stream_version version, std::span<const std::byte> value) {
                        if (version < criteria.min_version)
                          return false;
                        const auto one = parse_snapshot(stream, version, value);
                        return !matches(criteria, one) || look(version, one);
                      });
  }

  [[nodiscard]] result<std::vector<stream_version>> versions_of(MDB_txn* in,
                                                                const stream_id& stream) const {
    std::vector<stream_version> versions;
    auto walked = walk_bytes(in, stream, snapshot_criteria{}.max_version,
                             [&](stream_version version, std::span<const std::byte>) {
                               versions.push_back(version);
                               return true;
                             });
    if (!walked)
      return failure(walked);
    return versions;
  }

  [[nodiscard]] result<void> replace(MDB_txn* in, const snapshot_to_save& one) const {
    const auto versions = versions_of(in, one.stream);
    if (!versions)
      return std::unexpected(versions.error());
    for (const auto version : replaced_by(one.snapshot.version, *versions, keep_))
      if (auto erased = erase(in, one.stream, version); !erased)
        return erased;
    const snapshot_key at(one.stream, one.snapshot.version);
    auto key = value_of(at);
    MDB_val place{snapshot_size(one.snapshot), nullptr};
    if (const int code = mdb_put(in, snapshots_, &key, &place, MDB_RESERVE); code != MDB_SUCCESS)
      return lmdb_failure(code, environment_.path(),
                          "saving a snapshot of stream " + one.stream.to_string());
    encode_snapshot(one.snapshot, static_cast<std::byte*>(place.mv_data));
    return {};
  }

  [[nodiscard]] result<void> erase(MDB_txn* in, const stream_id& stream,
                                   stream_version version) const {
    const snapshot_key at(stream, version);
    auto key = value_of(at);
    if (const int code = mdb_del(in, snapshots_, &key, nullptr); code != MDB_SUCCESS)
      return lmdb_failure(code, environment_.path(),
                          "removing a snapshot of stream " + stream.to_string());
    return {};
  }

  writer_lock held_; ///< LMDB must not open a file twice in a process.
  lmdb_environment environment_;
  lmdb_readers readers_{environment_};
  MDB_dbi snapshots_ = 0;
  std::size_t keep_;
};

[[nodiscard]] std::filesystem::path directory_of(const event_log& log) {
  return log.directory() / "snapshots";
}

} // namespace

result<std::unique_ptr<snapshot_store>> open_snapshots(const event_log& log,
                                                       const snapshot_options& options) {
  if (options.keep == 0)
    return failure(errc::invalid_argument, "snapshot_options::keep is 0: none would be kept");
  if (log.directory().empty())
    return make_memory_snapshots(options.keep);
  const auto directory = directory_of(log);
  if (auto made = make_directory(directory); !made)
    return failure(made);
  auto held = writer_lock::acquire(directory);
  if (!held)
    return failure(held);
  if (auto prepared = prepare_lock_file(directory); !prepared)
    return failure(prepared);
  auto environment = lmdb_environment::open(directory, {.map_size = limits::default_map_size});
  if (!environment)
    return failure(environment);
  auto opened =
    std::make_unique<lmdb_snapshots>(std::move(*held), std::move(*environment), options.keep);
  if (auto found = opened->open_database(); !found)
    return failure(found);
  return opened;
}

result<void> remove_snapshots(const event_log& log) {
  const auto directory = directory_of(log);
  std::error_code ignored;
  if (log.directory().empty() || !std::filesystem::exists(directory, ignored))
    return {};
  const auto held = writer_lock::acquire(directory);
  if (!held)
    return std::unexpected(held.error());
  for (const auto* name : {"data.mdb", "lock.mdb"}) {
    const auto path = directory / name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      return system_failure(errno, path, "removing it");
  }
  return {};
}

} // namespace acta::storage
