#include <acta/storage/compact.hpp>

#include "environment_lock.hpp"
#include "lmdb_environment.hpp"
#include "lmdb_error.hpp"
#include "lmdb_pages.hpp"
#include "log_environment.hpp"
#include "record_verifier.hpp"
#include "store_directory.hpp"
#include "store_hold.hpp"
#include "stored_log.hpp"
#include "synced_point.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

[[nodiscard]] std::unexpected<error> damaged(const fs::path& file, std::string_view what) {
  return failure(
    errc::corrupt,
    fmt::format("'{}' is not compacted, as it is damaged: {}; verify_store() lists all "
                "that is wrong",
                file.string(), what));
}

/// Keeps the first problem, and reads no further.
class first_problem {
public:
  [[nodiscard]] lmdb_file::problem_sink sink() {
    return [this](page_problem&& problem) {
      if (!what_)
        what_ = std::move(problem.what);
      return false;
    };
  }
  [[nodiscard]] const std::optional<std::string>& what() const noexcept { return what_; }

private:
  std::optional<std::string> what_;
};

/// LMDB trusts what it copies.
[[nodiscard]] result<void> check_pages(const fs::path& path) {
  first_problem problem;
  auto pages = lmdb_file::open(path, problem.sink());
  if (!pages)
    return failure(pages);
  check_every_page(*pages);
  return problem.what() ? result<void>(damaged(path, *problem.what())) : result<void>();
}

/// What a log says of itself.
struct log_content {
  std::map<std::string, std::string, std::less<>> meta;
  std::uint64_t records;
  bool operator==(const log_content&) const = default;
};

[[nodiscard]] result<log_content> read_content(const fs::path& path) {
  first_problem problem;
  auto log = stored_log::open(path, problem.sink());
  if (!log)
    return failure(log);
  if (auto read = log->read_dictionary(); !read)
    return failure(read);
  if (problem.what())
    return damaged(path, *problem.what());
  return log_content{log->meta(), log->expected()};
}

/// The copy of a log has what the log has, and nothing is wrong with it.
[[nodiscard]] result<void> check_log(const fs::path& copy, const log_content& expected,
                                     const compact_options& options) {
  const auto content = read_content(copy);
  if (!content)
    return std::unexpected(content.error());
  if (*content != expected)
    return failure(errc::io, fmt::format("'{}' is no copy of the log beside it; check the device",
                                         copy.string()));
  first_problem problem;
  auto log = stored_log::open(copy, problem.sink());
  if (!log)
    return failure(log);
  if (auto read = log->read_dictionary(); !read)
    return failure(read);
  record_verifier found(log->names(), 1);
  log->check_records(found, options.progress, {});
  const auto done = found.end(log_position(found.next().value() - 1));
  if (done.problems != 0)
    return damaged(copy, done.findings.front().what);
  return problem.what() ? result<void>(damaged(copy, *problem.what())) : result<void>();
}

/// Copies what is in use of an environment into a file of its own, synced.
[[nodiscard]] result<void> write_copy(const fs::path& directory, const fs::path& copy) {
  if (auto prepared = prepare_lock_file(directory); !prepared)
    return prepared;
  auto environment = lmdb_environment::open(directory, {.map_size = 0});
  if (!environment)
    return failure(environment);
  if (auto made = make_directory(copy.parent_path()); !made)
    return made;
  const file out(::open(copy.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!out.is_open())
    return system_failure(errno, copy, "open for writing");
  struct stat as{}; // who may open the store still may, also if this is root, and nobody else
  if (::stat(environment->path().c_str(), &as) != 0
      || ::fchown(out.descriptor(), as.st_uid, as.st_gid) != 0
      || ::fchmod(out.descriptor(), as.st_mode & 07777U) != 0)
    return system_failure(errno, copy, "giving it the owner and mode of the file");
  if (const int code = mdb_env_copyfd2(environment->get(), out.descriptor(), MDB_CP_COMPACT);
      code != MDB_SUCCESS)
    return lmdb_failure(code, copy, "copying what is in use");
  if (::fsync(out.descriptor()) != 0)
    return system_failure(errno, copy, "sync");
  return sync_directory(copy.parent_path());
}

/// Puts the copy in the place of the data file.
[[nodiscard]] result<void> put_in_place(const fs::path& directory, const fs::path& copy) {
  const auto kept = environment_lock::for_replacing(directory);
  if (!kept)
    return std::unexpected(kept.error());
  if (std::rename(copy.c_str(), (directory / "data.mdb").c_str()) != 0)
    return system_failure(errno, copy, "renaming it over 'data.mdb'");
  return sync_directory(directory);
}

class compactor {
public:
  compactor(const fs::path& store, const compact_options& options)
      : store_(store), options_(options) {}

  [[nodiscard]] result<std::vector<compacted_file>> run() {
    // Now rather than at the end, when everything was copied and checked.
    if (const auto free = environment_lock::for_replacing(store_ / "log"); !free)
      return std::unexpected(free.error());
    constexpr std::array<std::string_view, 2> derived{"index", "snapshots"};
    for (const auto name : derived)
      if (auto sound = with_derived(name, check_pages); !sound)
        return failure(sound);
    if (auto done = compact_log(); !done)
      return failure(done);
    for (const auto name : derived)
      if (auto done =
            with_derived(name, [&](const fs::path&) { return compact_file(name, check_pages); });
          !done)
        return failure(done);
    return std::move(done_);
  }

private:
  using check = std::function<result<void>(const fs::path& copy)>;

  [[nodiscard]] result<void> compact_log() {
    const auto content = read_content(store_ / "log" / "data.mdb");
    if (!content)
      return std::unexpected(content.error());
    return compact_file("log",
                        [&](const fs::path& copy) { return check_log(copy, *content, options_); });
  }

  /// Does something with the data file of what is derived, if it is there, as of its last sync.
  [[nodiscard]] result<void> with_derived(std::string_view name, const check& what) const {
    const auto directory = store_ / name;
    const auto data = directory / "data.mdb";
    std::error_code missing;
    if (fs::file_size(data, missing) == 0 || missing)
      return {};
    const auto held = writer_lock::acquire(directory);
    if (!held)
      return std::unexpected(held.error());
    if (auto restored = synced_point::take_back(directory); !restored)
      return restored;
    return what(data);
  }

  [[nodiscard]] result<void> compact_file(std::string_view name, const check& check_copy) {
    const auto directory = store_ / name;
    const auto data = directory / "data.mdb";
    const auto copy = directory / compacting_name / "data.mdb";
    if (auto sound = check_pages(data); !sound)
      return sound;
    std::error_code unreadable;
    compacted_file file{.name = fmt::format("{}/data.mdb", name)};
    file.before = fs::file_size(data, unreadable);
    auto done = write_copy(directory, copy);
    if (done)
      done = check_copy(copy);
    if (done)
      file.after = fs::file_size(copy, unreadable);
    if (done && unreadable)
      done = system_failure(unreadable.value(), data, "looking at its size");
    ensure(!done || file.after <= file.before, "what has free pages is not smaller than without");
    if (done)
      done = put_in_place(directory, copy);
    // Where it cannot be removed, the next opening does it, or says why it cannot.
    fs::remove_all(copy.parent_path(), unreadable);
    if (done)
      done_.push_back(std::move(file));
    return done;
  }

  const fs::path& store_;
  const compact_options& options_;
  std::vector<compacted_file> done_;
};

} // namespace

result<std::vector<compacted_file>> compact(const fs::path& directory,
                                            const compact_options& options) {
  const auto held = lock_closed_store(directory);
  if (!held)
    return std::unexpected(held.error());
  const auto claim = process_claim::acquire(directory); // a log open for reading has no lock
  if (!claim)
    return std::unexpected(claim.error());
  return compactor(directory, options).run();
}

} // namespace acta::storage
