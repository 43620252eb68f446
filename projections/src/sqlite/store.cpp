#include <acta/projections/sqlite/store.hpp>

#include "connection.hpp"
#include "error_text.hpp"
#include "reader_pool.hpp"
#include "tie.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/view_directory.hpp>

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace acta::projections::sqlite {

namespace {

/// Of a view whose log has no directory: removed with it.
class temporary_directory {
public:
  [[nodiscard]] static result<std::unique_ptr<temporary_directory>> make() {
    std::error_code failed;
    const auto below = std::filesystem::temp_directory_path(failed);
    auto name = (below / "acta-view-XXXXXX").string();
    if (failed || ::mkdtemp(name.data()) == nullptr)
      return failure(errc::io, name
                                 + ": it cannot be made; see that TMPDIR is a directory that "
                                   "this process may write");
    return std::unique_ptr<temporary_directory>(new temporary_directory(name));
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  explicit temporary_directory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// As the file's errors are; "wal" has to be answered, or it cannot be.
[[nodiscard]] result<void> set_up(connection& writer, const std::filesystem::path& file) {
  std::string mode;
  auto done = writer.execute("pragma journal_mode = wal", {}, [&](const row& one) {
    mode = one.text(0);
    return true;
  });
  if (!done)
    return done;
  if (mode != "wal")
    return failure(errc::io, file.string()
                               + ": its file system cannot have a write-ahead log (it "
                                 "shares no memory): keep the store on another");
  return writer.script(fmt::format("pragma synchronous = normal; pragma cell_size_check = on; "
                                   "pragma cache_size = -{}; pragma wal_autocheckpoint = {}",
                                   limits::sqlite_cache_size / 1'024, limits::sqlite_log_pages));
}

[[nodiscard]] step_result of_no_record(const view_step& step, error why) {
  return std::unexpected(failed_step{.why = std::move(why), .at = step.records.size()});
}

} // namespace

/// Concurrency: readers_ is for any thread; all else is the feeding thread's.
class store::implementation {
public:
  implementation(storage::view_identity of, creator create)
      : identity_(std::move(of)), create_(create), readers_(identity_.name) {}
  ~implementation() {
    readers_.open(
      {}); // closes them: the last to close empties the write-ahead log, if it may write
    writer_.reset();
    if (!is_replaced_.load(std::memory_order_relaxed) || temporary_)
      return;
    // If it cannot be, the next start does it.
    [[maybe_unused]] const auto removed = storage::remove_view(file_.parent_path());
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  [[nodiscard]] const storage::view_identity& which() const noexcept { return identity_; }
  void remove_at_end() noexcept { is_replaced_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] result<log_position> attach(const storage::event_log& log) {
    writer_.reset();
    log_ = &log;
    if (auto placed = place(); !placed)
      return failure(placed);
    auto opened = connection::open(file_, connection::mode::write);
    if (!opened)
      return failure(opened);
    auto begun = is_new(**opened, file_);
    if (!begun)
      return failure(begun);
    if (auto done = set_up(**opened, file_); !done)
      return failure(done);
    if (*begun)
      if (auto made = make(**opened); !made)
        return failure(made);
    auto checkpoint = check_tie(**opened, file_, identity_, log);
    if (!checkpoint)
      return checkpoint;
    writer_ = std::move(*opened);
    position_ = *checkpoint;
    readers_.open(file_);
    return position_;
  }

  [[nodiscard]] step_result apply(const view_step& step,
                                  const std::function<step_result(database&)>& handle) {
    if (auto begun = begin(); !begun)
      return of_no_record(step, std::move(begun.error()));
    auto done = handled(step, handle);
    if (done)
      if (auto kept = commit(step); !kept)
        done = of_no_record(step, std::move(kept.error()));
    if (!done)
      writer_->roll_back();
    else
      position_ = step.reached;
    return done;
  }

  [[nodiscard]] result<void> clear() {
    auto cleared = try_to_clear();
    if (cleared) {
      position_ = log_position(0);
      return {};
    }
    if (log_ == nullptr)
      return cleared;
    if (writer_ != nullptr)
      writer_->roll_back();
    const auto code = cleared.error().code();
    if (code != errc::corrupt && code != errc::not_found)
      return cleared;
    return begin_anew(); // nothing of it is wanted any more
  }

  [[nodiscard]] result<void> read(const std::function<void(const reader&)>& look) {
    return with_snapshot([&](connection& on, log_position position) -> result<void> {
      const connection::guard users(on);
      look(reader(on, position));
      return {};
    });
  }

  [[nodiscard]] result<std::vector<dead_letter>> dead_letters() {
    std::vector<dead_letter> all;
    auto done = with_snapshot([&](connection& on, log_position) -> result<void> {
      auto letters = letters_of(on);
      if (!letters)
        return failure(letters);
      all = std::move(*letters);
      return {};
    });
    if (!done)
      return failure(done);
    return all;
  }

  [[nodiscard]] std::filesystem::path file() const { return readers_.file(); }

private:
  /// Says where the file lies, and makes the directory.
  [[nodiscard]] result<void> place() {
    auto directory = storage::view_directory(log_->directory(), identity_);
    if (log_->directory().empty()) {
      auto made = temporary_directory::make();
      if (!made)
        return failure(made);
      temporary_ = std::move(*made);
      directory = temporary_->path();
    }
    std::error_code failed;
    std::filesystem::create_directories(directory, failed);
    if (failed)
      return failure(failed == std::errc::permission_denied ? errc::permission_denied : errc::io,
                     fmt::format("{}: it cannot be made: {}; let this process write the store's "
                                 "directory",
                                 directory.string(), failed.message()));
    file_ = directory / "view.sqlite";
    return {};
  }

  [[nodiscard]] result<void> make(connection& in) {
    auto made = in.execute("begin immediate");
    if (made)
      made = create_tie(in, identity_, *log_);
    if (made)
      made = create_tables(in);
    if (made)
      made = in.execute("commit");
    in.roll_back(); // if it was not made; then there is nothing in the file, and it is made later
    return made;
  }

  [[nodiscard]] result<void> create_tables(connection& in) {
    const connection::guard users(in);
    database to(in, log_position(0));
    return create_(to);
  }

  [[nodiscard]] result<void> begin() {
    if (writer_ == nullptr)
      return failure(errc::invalid_argument,
                     fmt::format("view '{}' is attached to no log", identity_.name));
    if (writer_->has_moved())
      return std::unexpected(error_of(file_, "", {.code = SQLITE_READONLY_DBMOVED}));
    writer_->forget_trouble();
    return writer_->execute("begin immediate");
  }

  [[nodiscard]] step_result handled(const view_step& step,
                                    const std::function<step_result(database&)>& handle) {
    step_result done;
    {
      const connection::guard users(*writer_);
      database to(*writer_, position_);
      done = handle(to);
    }
    // It is no event's fault, and a handler may have passed over it.
    if (const auto& trouble = writer_->trouble())
      return of_no_record(step, *trouble);
    if (done && !writer_->in_transaction())
      return of_no_record(
        step,
        error(errc::invalid_argument,
              fmt::format("{}: a handler of view '{}' passed over a statement that rolled the "
                          "step back; hand its error on",
                          file_.string(), identity_.name)));
    return done;
  }

  [[nodiscard]] result<void> commit(const view_step& step) {
    auto done = put_letters(*writer_, step.dead);
    if (done && step.revived != log_position(0))
      done = erase_letter(*writer_, step.revived);
    if (done)
      done = move_tie(*writer_, file_, position_, step.reached, *log_);
    return done ? writer_->execute("commit") : done;
  }

  [[nodiscard]] result<void> try_to_clear() {
    if (writer_ == nullptr && log_ != nullptr) // it could not be opened again
      if (auto attached = attach(*log_); !attached)
        return failure(attached);
    if (auto begun = begin(); !begun)
      return begun;
    return empty();
  }

  [[nodiscard]] result<void> empty() {
    auto done = drop_tables(*writer_);
    if (done)
      done = create_tables(*writer_);
    if (done)
      done = writer_->execute("delete from acta_dead_letters");
    if (done)
      done = writer_->execute("update acta_view set position = 0, checksum = 0");
    return done ? writer_->execute("commit") : done;
  }

  [[nodiscard]] result<void> begin_anew() {
    writer_.reset();
    std::error_code failed;
    for (const auto* part : {"", "-wal", "-shm"})
      if (const auto old = file_.string() + part; !std::filesystem::remove(old, failed) && failed)
        return failure(errc::io, fmt::format("{}: it cannot be removed: {}; remove it by hand", old,
                                             failed.message()));
    auto attached = attach(*log_);
    if (!attached)
      return failure(attached);
    return {};
  }

  template <class Look>
  [[nodiscard]] result<void> with_snapshot(Look&& look) {
    auto taken = readers_.take();
    if (!taken)
      return failure(taken);
    // However it ends, also where `look` throws.
    struct ending {
      reader_pool& to;
      std::unique_ptr<connection> one;
      ~ending() {
        one->roll_back();
        to.give_back(std::move(one));
      }
    } const at_end{readers_, std::move(*taken)};
    auto& on = *at_end.one;
    if (auto begun = on.execute("begin"); !begun)
      return begun;
    auto position = position_of(on); // the first look is what takes the snapshot
    if (!position)
      return failure(position);
    return look(on, *position);
  }

  const storage::view_identity identity_;
  const creator create_;
  const storage::event_log* log_ = nullptr;
  std::unique_ptr<temporary_directory> temporary_; // outlives what is open in it
  std::filesystem::path file_;
  std::unique_ptr<connection> writer_;
  log_position position_;
  reader_pool readers_;
  std::atomic<bool> is_replaced_{false};
};

store::store(storage::view_identity which, creator create)
    : implementation_(std::make_unique<implementation>(std::move(which), create)) {}

store::~store() = default;

result<log_position> store::attach(const storage::event_log& log) {
  return implementation_->attach(log);
}

step_result store::apply(const view_step& step,
                         const std::function<step_result(database&)>& handle) {
  return implementation_->apply(step, handle);
}

result<void> store::clear() {
  return implementation_->clear();
}

result<std::vector<dead_letter>> store::dead_letters() const {
  return implementation_->dead_letters();
}

result<void> store::read(const std::function<void(const reader&)>& look) const {
  return implementation_->read(look);
}

std::filesystem::path store::file() const {
  return implementation_->file();
}

const storage::view_identity& store::which() const noexcept {
  return implementation_->which();
}

void store::remove_at_end() noexcept {
  implementation_->remove_at_end();
}

} // namespace acta::projections::sqlite
