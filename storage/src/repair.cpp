#include <acta/storage/repair.hpp>

#include "lmdb_error.hpp"
#include "log_environment.hpp"
#include "record_verifier.hpp"
#include "store_directory.hpp"
#include "store_format.hpp"
#include "stored_log.hpp"
#include "writer_lock.hpp"

#include <acta/base/clock.hpp>
#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

/// A store that is made of another's records, as they are: event_log dates them anew.
class new_store {
public:
  [[nodiscard]] static result<std::unique_ptr<new_store>> make(const fs::path& directory,
                                                               std::uint64_t size) {
    std::error_code code;
    if (fs::exists(directory, code)
        && !(fs::is_directory(directory, code) && fs::is_empty(directory, code)))
      return failure(errc::invalid_argument,
                     fmt::format("'{}' is there and not empty; name a new directory for the "
                                 "repaired store",
                                 directory.string()));
    if (auto prepared = prepare_store_directory(directory); !prepared)
      return failure(prepared);
    auto held = writer_lock::acquire(directory);
    if (!held)
      return failure(held);
    if (auto prepared = prepare_lmdb_files(directory, false); !prepared)
      return failure(prepared);
    const auto map_size = std::max<std::size_t>(limits::default_map_size, 2 * size);
    auto environment = log_environment::open(directory / "log", {.map_size = map_size});
    if (!environment)
      return failure(environment);
    if (auto made = environment->check_or_make_format(store_identity::make(wall_clock().now_ns()));
        !made)
      return failure(made);
    std::unique_ptr<new_store> store(new new_store(std::move(*held), std::move(*environment)));
    if (auto begun = store->begin(); !begun)
      return failure(begun);
    return store;
  }

  [[nodiscard]] result<void> put_dictionary(stored_log& from) {
    for (const auto& [key, value] : from.meta()) {
      const bool own = key == "format" || key == "store_id" || key == "created_at_ns"
                       || key == start_key || key.starts_with(category_prefix)
                       || key.starts_with(event_type_prefix);
      if (own)
        continue;
      if (auto put = environment_.put_meta(writer_->get(), key, value); !put)
        return put;
    }
    if (auto put = put_names(category_prefix, from.categories()); !put)
      return put;
    return put_names(event_type_prefix, from.event_types());
  }

  /// Before the first record. What lacks the records that a log must reach is told with what is
  /// lost: the new store is to open.
  [[nodiscard]] result<void> begin_at(log_start start, log_position last) {
    if (last.value() < start.whole_through)
      start.whole_through = 0;
    last_ = start.first.value() - 1;
    return last_ == 0 ? result<void>{}
                      : environment_.put_meta(writer_->get(), start_key, start_value(start));
  }

  /// Commits now and then, where a command ends.
  [[nodiscard]] result<void> append(const record_view& record) {
    const auto position = record.position().value();
    const auto bytes = record.bytes();
    ensure(position == ++last_, "records are copied one after another");
    MDB_val key{sizeof position, const_cast<std::uint64_t*>(&position)};
    MDB_val value{bytes.size(), const_cast<std::byte*>(bytes.data())};
    if (const int code = mdb_put(writer_->get(), environment_.events(), &key, &value, MDB_APPEND);
        code != MDB_SUCCESS)
      return lmdb_failure(code, environment_.path(),
                          fmt::format("appending position {}", position));
    uncommitted_ += bytes.size();
    if (record.header().remaining != 0 || uncommitted_ < limits::max_commit_size)
      return {};
    if (auto committed = commit(); !committed)
      return committed;
    return begin();
  }

  [[nodiscard]] result<void> commit() {
    uncommitted_ = 0;
    return writer_->commit();
  }

private:
  new_store(writer_lock held, log_environment environment)
      : held_(std::move(held)), environment_(std::move(environment)) {}

  [[nodiscard]] result<void> begin() {
    auto writer = lmdb_write::begin(environment_.lmdb());
    if (!writer)
      return failure(writer);
    writer_.emplace(std::move(*writer));
    return {};
  }

  [[nodiscard]] result<void> put_names(std::string_view prefix,
                                       const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto key = name_key(prefix, static_cast<std::uint16_t>(i + 1));
      if (auto put = environment_.put_meta(writer_->get(), key, names[i]); !put)
        return put;
    }
    return {};
  }

  writer_lock held_;
  log_environment environment_;
  std::optional<lmdb_write> writer_;
  std::uint64_t last_ = 0;
  std::size_t uncommitted_ = 0;
};

/// Names that are lost get others, so that the numbers in the records keep a meaning.
void name_the_lost(std::vector<std::string>& names, std::string_view prefix) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i].empty())
      names[i] = "lost." + name_key(prefix, static_cast<std::uint16_t>(i + 1));
}

/// The damaged log. Each reading of it tells what is wrong anew.
class damaged_log {
public:
  damaged_log(const fs::path& directory, const repair_options& options)
      : directory_(directory), options_(options) {}

  [[nodiscard]] result<void> open() {
    auto log = stored_log::open(directory_ / "log" / "data.mdb", [this](page_problem&& problem) {
      if (found_) {
        found_->set_place("log/data.mdb", problem.byte);
        found_->add(std::move(problem.what));
      } else {
        before_reading_.push_back(std::move(problem));
      }
      return true;
    });
    if (!log)
      return failure(log);
    log_ = std::make_unique<stored_log>(std::move(*log));
    return {};
  }

  [[nodiscard]] stored_log& stored() noexcept { return *log_; }

  [[nodiscard]] result<verification>
  read(const std::function<void(const record_view&, bool sound)>& seen) {
    found_.emplace(log_->names(), verify_options{}.max_findings);
    for (auto problem : before_reading_) {
      found_->set_place("log/data.mdb", problem.byte);
      found_->add(std::move(problem.what));
    }
    if (auto read = log_->read_dictionary(); !read)
      return failure(read);
    name_the_lost(log_->categories(), category_prefix);
    name_the_lost(log_->event_types(), event_type_prefix);
    log_->check_records(*found_, options_.progress, seen);
    auto done = found_->end(log_position(found_->next().value() - 1));
    found_.reset();
    done.pages = log_->file().pages_read();
    return done;
  }

  /// Reads it and returns up to where it is good and whole.
  [[nodiscard]] result<log_position> find_prefix(verification& found) {
    std::uint64_t good = 0;
    log_position whole;
    bool has_begun = false; // where, is known with the first record
    auto done = read([&](const record_view& record, bool sound) {
      if (!std::exchange(has_begun, true))
        good = log_->start().first.value() - 1;
      if (!sound || record.position().value() != good + 1)
        return;
      ++good;
      if (record.header().remaining == 0)
        whole = record.position();
    });
    if (!done)
      return failure(done);
    found = std::move(*done);
    return std::max(whole, log_position(log_->start().first.value() - 1));
  }

private:
  const fs::path& directory_;
  const repair_options& options_;
  std::unique_ptr<stored_log> log_;
  std::optional<record_verifier> found_;     ///< Of the reading that goes on.
  std::vector<page_problem> before_reading_; ///< Of the meta pages.
};

/// Lists what lies behind the good prefix.
class losses {
public:
  losses(repaired_log& in, std::size_t most) : in_(in), max_(most), next_(in.kept.next()) {}

  void add(const record_view& record, const type_names& names) {
    ensure(record.position() >= next_, "records come in order, behind what was kept");
    add_unreadable(record.position());
    if (!record.verify())
      return add_unreadable(record.position().next());
    add({record.position(), record.stream(), std::string(names.event_type(record.event_type()))});
    ++in_.readable;
  }

  /// Those before this position that were not met.
  void add_unreadable(log_position end) {
    for (; next_ < end && in_.lost_records.size() < max_;)
      add({next_});
    next_ = std::max(next_, end);
  }

private:
  void add(lost_record&& lost) {
    next_ = lost.position.next();
    if (in_.lost_records.size() < max_)
      in_.lost_records.push_back(std::move(lost));
  }

  repaired_log& in_;
  std::size_t max_;
  log_position next_;
};

/// Finds the good prefix, going back one commit if that gives more.
[[nodiscard]] result<repaired_log> survey(damaged_log& log) {
  repaired_log done;
  const auto newest = log.find_prefix(done.found);
  if (!newest)
    return std::unexpected(newest.error());
  done.kept = *newest;
  if (done.found.problems == 0 || !log.stored().file().take_other_meta())
    return done;
  verification ignored;
  if (const auto before = log.find_prefix(ignored); before && *before > done.kept)
    done.kept = *before;
  else
    (void)log.stored().file().take_other_meta(); // back to the newest
  return done;
}

/// Copies the good prefix and lists what is behind it.
[[nodiscard]] result<void> copy(damaged_log& log, const fs::path& into,
                                const repair_options& options, repaired_log& done) {
  auto& stored = log.stored();
  auto to = new_store::make(into, stored.file().pages() * stored.file().page_size());
  if (!to)
    return failure(to);
  losses lost(done, options.max_lost);
  const auto names = stored.names();
  result<void> written;
  std::uint64_t copied = 0;
  const auto read = log.read([&](const record_view& record, bool) {
    if (record.position() > done.kept)
      lost.add(record, names);
    else if (written) {
      if (copied++ == 0)
        written = (*to)->begin_at(stored.start(), done.kept);
      if (written)
        written = (*to)->append(record);
    }
  });
  const auto before = stored.start().first.value() - 1; // positions that were archived
  if (written && copied == 0)
    written = (*to)->begin_at(stored.start(), done.kept);
  if (!read)
    return std::unexpected(read.error());
  if (!written)
    return written;
  if (copied != done.kept.value() - before)
    return failure(errc::io, fmt::format("'{}' reads otherwise than a moment ago; check the device",
                                         into.string()));
  const auto tail =
    std::max(before + std::max(done.found.records, read->records), done.kept.value());
  ensure(tail >= done.kept.value(), "what was kept was there");
  lost.add_unreadable(log_position(tail + 1));
  done.lost = tail - done.kept.value();
  if (auto put = (*to)->put_dictionary(stored); !put)
    return put;
  return (*to)->commit();
}

} // namespace

result<repaired_log> repair_log(const fs::path& directory, const fs::path& into,
                                const repair_options& options) {
  const auto held = lock_closed_store(directory);
  if (!held)
    return std::unexpected(held.error());
  damaged_log log(directory, options);
  if (auto opened = log.open(); !opened)
    return failure(opened);
  auto done = survey(log);
  if (!done)
    return done;
  if (auto copied = copy(log, into, options, *done); !copied)
    return failure(copied);
  // Opening writes its id, which says that it is whole.
  const auto opened = open_log(into);
  if (!opened)
    return std::unexpected(opened.error());
  ensure((*opened)->tail() == done->kept, "the new store has what was copied");
  return done;
}

} // namespace acta::storage
