#include "index_file.hpp"

#include "index_batch.hpp"
#include "index_tie.hpp"
#include "index_writer.hpp"
#include "lmdb_error.hpp"
#include "lmdb_pages.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace acta::storage {

namespace {

[[nodiscard]] std::filesystem::path directory_of(const event_log& log) {
  return log.directory() / "index";
}

[[nodiscard]] index_tie tie_to(const event_log& log) {
  index_tie tie;
  const auto id = log.store_id();
  ensure(id.size() == tie.store_id.size(), "a store on disk has an id of 32 digits");
  std::memcpy(tie.store_id.data(), id.data(), id.size());
  return tie;
}

[[nodiscard]] MDB_val name_of_tie() noexcept {
  return {index_tie_name.size(), const_cast<char*>(index_tie_name.data())};
}

} // namespace

result<std::unique_ptr<index_file>> index_file::open(const event_log& of) {
  const auto directory = directory_of(of);
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return system_failure(errno, directory, "making the directory");
  auto held = writer_lock::acquire(directory); // LMDB must not open a file twice in a process
  if (!held)
    return failure(held);
  if (auto restored = synced_point::take_back(directory); !restored)
    return failure(restored);
  if (auto sound = check_before_lmdb(directory / "data.mdb", "streams"); !sound)
    return failure(sound);
  auto opened = lmdb_environment::open(directory, {.map_size = limits::default_map_size});
  if (!opened)
    return failure(opened);
  std::unique_ptr<index_file> made(new index_file(of, std::move(*held), std::move(*opened)));
  if (auto started = made->start(); !started)
    return failure(started);
  return made;
}

index_file::~index_file() {
  // A batch that is there in part is of events that a power loss may take from the log, and must
  // not be synced before the log is: the next opening takes it back.
  if (!synced_ || !is_whole_)
    return;
  // Where it fails, the next opening goes by the file that stays.
  [[maybe_unused]] const auto finished = synced_->finish();
}

result<void> index_file::remove(const event_log& of) {
  for (const auto* name : {"synced", "data.mdb", "lock.mdb"}) {
    const auto path = directory_of(of) / name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      return system_failure(errno, path, "removing it");
  }
  return {};
}

result<void> index_file::start() {
  MDB_txn* opening = nullptr;
  if (const int code = mdb_txn_begin(environment_.get(), nullptr, MDB_RDONLY, &opening);
      code != MDB_SUCCESS)
    return lmdb_failure(code, environment_.path(), "a read transaction");
  int code = mdb_dbi_open(opening, "meta", 0, &meta_);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(opening, "streams", 0, &streams_);
  (void)mdb_txn_commit(opening); // so that the handles stay
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    return lmdb_failure(code, environment_.path(), "opening its databases");
  auto ready = code == MDB_NOTFOUND ? make() : check();
  if (!ready)
    return ready;
  if (watermark_ == log_position(0)) { // it has nothing yet: it begins where the log does
    const auto now = log_.snapshot();
    if (!now)
      return std::unexpected(now.error());
    watermark_ = log_position((*now)->first().value() - 1);
  }
  auto synced = synced_point::start(environment_);
  if (!synced)
    return failure(synced);
  synced_.emplace(std::move(*synced));
  return {};
}

result<void> index_file::make() {
  auto making = lmdb_write::begin(environment_);
  if (!making)
    return failure(making);
  const auto tie = tie_to(log_);
  auto key = name_of_tie();
  MDB_val value{sizeof tie, const_cast<index_tie*>(&tie)};
  int code = mdb_dbi_open(making->get(), "meta", MDB_CREATE, &meta_);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(making->get(), "streams", MDB_CREATE, &streams_);
  if (code == MDB_SUCCESS)
    code = mdb_put(making->get(), meta_, &key, &value, 0);
  if (code != MDB_SUCCESS)
    return lmdb_failure(code, environment_.path(), "making the index");
  return making->commit();
}

/// That it is this log's: the record at its watermark is the one it was built from.
result<void> index_file::check() {
  const auto not_of_it = [&](std::string_view why) {
    return failure(errc::corrupt, fmt::format("'{}' {}; close the store, remove the directory and "
                                              "open it again: it is made anew",
                                              environment_.path().string(), why));
  };
  auto transaction = readers_.begin();
  if (!transaction)
    return failure(transaction);
  auto key = name_of_tie();
  MDB_val value{};
  const int code = mdb_get(*transaction, meta_, &key, &value);
  index_tie tie;
  const bool whole = code == MDB_SUCCESS && value.mv_size == sizeof tie;
  if (whole)
    std::memcpy(&tie, value.mv_data, sizeof tie);
  readers_.end(*transaction);
  const auto expected = tie_to(log_);
  if (!whole || tie.magic != expected.magic || tie.version != expected.version
      || tie.endian_mark != expected.endian_mark)
    return not_of_it("is not an index of this format");
  if (tie.store_id != expected.store_id)
    return not_of_it("is the index of another store");
  watermark_ = log_position(tie.watermark);
  if (watermark_ > log_.tail())
    return not_of_it("is ahead of the log");
  auto snapshot = log_.snapshot();
  if (!snapshot)
    return failure(snapshot);
  const auto first = (*snapshot)->first();
  if (watermark_ == log_position(0) && first == log_position(1))
    return {};
  if (watermark_ < first)
    return not_of_it("lacks events that were archived meanwhile");
  const auto record = (*snapshot)->at(watermark_);
  if (!record)
    return std::unexpected(record.error());
  if (record->header().checksum != tie.checksum)
    return not_of_it("was built from another log");
  return {};
}

result<index_batch> index_file::read_log(const log_snapshot& from, log_position to) const {
  index_batch batch;
  auto cursor = from.scan(watermark_.next());
  if (!cursor)
    return failure(cursor);
  auto next = watermark_.next();
  while (next <= to) {
    auto records = (*cursor)->next();
    if (!records)
      return failure(records);
    ensure(!records->empty() && records->front().position() == next, "the log has no gap");
    for (const auto& record : *records)
      if (record.position() <= to)
        batch.add(record);
    next = records->back().position().next();
  }
  return batch;
}

result<void> index_file::flush(log_position to, const std::atomic<bool>& stop) {
  ensure(to > watermark_ && to <= log_.tail(), "a batch is of events that are there");
  auto snapshot = log_.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto batch = read_log(**snapshot, to);
  if (!batch)
    return failure(batch);
  is_whole_ = false;
  index_writer to_disk(environment_, streams_, **snapshot, batch->has_large_versions());
  auto put = batch->each_stream([&](index_key& key, std::span<const index_batch::event> events) {
    if (stop.load(std::memory_order_relaxed))
      return result<void>(failure(errc::engine_stopped, "the index is being closed"));
    return to_disk.put(key, events);
  });
  if (!put && put.error().code() == errc::engine_stopped)
    return {}; // what was put in so far is left out the next time
  if (!put)
    return put;
  const auto last = (*snapshot)->at(to);
  if (!last)
    return std::unexpected(last.error());
  auto tie = tie_to(log_);
  tie.watermark = to.value();
  tie.checksum = last->header().checksum;
  if (auto done = to_disk.finish(meta_, name_of_tie(), {sizeof tie, &tie}); !done)
    return done;
  snapshot->reset(); // a sync takes long, and the log wants its pages back
  if (auto filled = fill_up(environment_); !filled)
    return filled;
  if (log_.synced_tail() < to) { // at `process`: after a power loss it would be ahead of the log
    watermark_ = to;             // the next batch syncs it
    return {};
  }
  if (auto synced = synced_->sync(); !synced)
    return synced; // tried again, all of it is left out, and synced
  watermark_ = to;
  is_whole_ = true;
  return {};
}

} // namespace acta::storage
