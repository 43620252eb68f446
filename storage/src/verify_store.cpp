#include <acta/storage/verify.hpp>

#include "derived_problem.hpp"
#include "index_check.hpp"
#include "lmdb_pages.hpp"
#include "snapshot_check.hpp"
#include "store_directory.hpp"
#include "store_format.hpp"
#include "stored_log.hpp"
#include "synced_point.hpp"
#include "timer_check.hpp"
#include "timer_file.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

/// What is derived from the log, and where it lies.
struct derived_file {
  std::string name; ///< In the store.
  std::string way_out;
};

class store_verifier {
public:
  store_verifier(const fs::path& store, const verify_options& options)
      : store_(store), options_(options),
        found_({.category = [this](category_id id) { return names_.category(id); },
                .event_type = [this](event_type_id id) { return names_.event_type(id); }},
               options.max_findings) {}

  [[nodiscard]] result<verification> run() {
    if (auto opened = open_log(); !opened)
      return failure(opened);
    // Before the records, which are then compared with it as they come.
    if (auto read = read_derived(); !read)
      return failure(read);
    check_records();
    if (auto checked = check_store_id(); !checked)
      return failure(checked);
    add_later(of_pages_);
    if (is_log_sound_)
      add_later(of_content_);
    auto done = found_.end(log_position(found_.next().value() - 1));
    done.pages = pages_;
    return done;
  }

private:
  /// Findings of what is derived, told after the log's.
  struct later {
    std::vector<finding> kept;
    std::uint64_t all = 0;
  };

  [[nodiscard]] lmdb_file::problem_sink problems_of(const std::string& file) {
    return [this, file](page_problem&& problem) {
      add(file, problem.byte, problem.what);
      return true;
    };
  }

  void add(const std::string& file, std::uint64_t byte, std::string_view what) {
    found_.set_place(file, byte);
    found_.add(fmt::format("'{}': {}", (store_ / file).string(), what));
  }

  void add_to(later& findings, finding&& one) const {
    if (findings.all++ < options_.max_findings)
      findings.kept.push_back(std::move(one));
  }

  void add_later(later& findings) {
    ensure(findings.kept.size() <= findings.all, "what is kept was found");
    findings.kept.resize(findings.all); // those that were not kept are counted
    for (auto& one : findings.kept) {
      found_.set_place(std::move(one.file), one.byte);
      found_.add(one.position, std::move(one.what), one.stream);
    }
  }

  [[nodiscard]] static bool is_damage(errc code) noexcept {
    return code == errc::corrupt || code == errc::not_found;
  }

  [[nodiscard]] result<void> open_log() {
    const std::string file = "log/data.mdb";
    auto log = stored_log::open(store_ / file, problems_of(file));
    if (!log && is_damage(log.error().code())) {
      add(file, 0, log.error().message());
      is_log_sound_ = false;
      return {};
    }
    if (!log)
      return failure(log);
    log_.emplace(std::move(*log));
    if (auto read = log_->read_dictionary(); !read)
      return read;
    names_ = log_->names();
    if (const auto id = log_->meta().find("store_id");
        id != log_->meta().end() && id->second.size() == store_id_size)
      id_ = store_id_text(id->second);
    return {};
  }

  void check_records() {
    if (!log_)
      return;
    found_.check_payloads([this](event_type_id id) -> result<std::vector<std::byte>> {
      const auto schema = log_->meta().find(name_key(schema_prefix, id.value()));
      if (schema == log_->meta().end())
        return {};
      const auto bytes = std::as_bytes(std::span(schema->second));
      return std::vector(bytes.begin(), bytes.end());
    });
    log_->check_records(found_, options_.progress, [this](const record_view& record, bool sound) {
      is_log_sound_ = is_log_sound_ && sound;
      if (index_)
        index_->add(record);
      if (snapshots_)
        snapshots_->add(record);
      if (timers_)
        timers_->add(record);
    });
    is_log_sound_ =
      is_log_sound_ && log_->file().problems() == 0 && found_.next() == log_->last().next();
    pages_ += log_->file().pages_read();
    if (!is_log_sound_) // what does not fit it may be right
      return;
    ensure(log_->last().next() == found_.next(),
           "what is compared with a log is compared with all");
    if (index_)
      compare_index();
    if (snapshots_)
      snapshots_->end();
    if (timers_)
      timers_->end();
  }

  [[nodiscard]] result<void> check_store_id() {
    const std::string file = "store.id";
    std::error_code code;
    if (!fs::exists(store_ / file, code)) {
      add(file, 0, "it is missing; opening the store writes it again");
      return {};
    }
    const auto id = read_store_id(store_);
    if (!id)
      return std::unexpected(id.error());
    if (id->empty())
      add(file, 0, "it is no id of 32 hexadecimal digits; opening the store writes it again");
    else if (!id_.empty() && *id != id_)
      add(file, 0, fmt::format("the id is {}, but the log is of store {}", *id, id_));
    else if (fs::file_size(store_ / file, code) != id->size() + 1)
      add(file, id->size() + 1, "there is something behind the id");
    return {};
  }

  [[nodiscard]] result<void> read_derived() {
    const auto first = log_ ? log_->start().first : log_position(1);
    const auto tail = log_ ? log_->last() : log_position(0);
    const auto index = sink_of(index_file_);
    const auto read_index = read_pages(index_file_, [&](const lmdb_tree& of, const auto& entry) {
      if (!index_)
        index_.emplace(id_, first, tail, index);
      index_->add(of, entry);
    });
    if (!read_index)
      return std::unexpected(read_index.error());
    if (!*read_index)
      index_.reset();
    const auto snapshots = sink_of(snapshot_file_);
    snapshots_.emplace(first, tail, snapshots);
    const auto read_snapshots = read_pages(
      snapshot_file_, [&](const lmdb_tree& of, const auto& entry) { snapshots_->add(of, entry); });
    if (!read_snapshots)
      return std::unexpected(read_snapshots.error());
    snapshots_->begin_records();
    return read_timers(first, tail);
  }

  [[nodiscard]] result<void> read_timers(log_position first, log_position tail) {
    auto read = read_timer_file(store_ / timer_file_.name);
    if (read && *read)
      timers_.emplace(id_, first, tail, std::move(**read), sink_of(timer_file_));
    if (read)
      return {};
    if (!is_damage(read.error().code()) && read.error().code() != errc::newer_format)
      return failure(read);
    add_to(of_pages_, {log_position(0), read.error().message(), std::nullopt, timer_file_.name, 0});
    return {};
  }

  [[nodiscard]] derived_sink sink_of(const derived_file& of) {
    return [this, &of](derived_problem&& problem) {
      const auto stream =
        problem.stream
          ? fmt::format("stream {}, ",
                        problem.stream->to_string(names_.category(problem.stream->category())))
          : std::string();
      add_to(of_content_, {problem.position,
                           fmt::format("'{}': {}{}; {}", (store_ / of.name).string(), stream,
                                       problem.what, of.way_out),
                           problem.stream, of.name, problem.byte});
    };
  }

  /// Checks its pages and shows what is in them. False if there is none, or if its pages are
  /// damaged: then what is in them says nothing.
  [[nodiscard]] result<bool> read_pages(const derived_file& of, const show_entry& entry) {
    const auto path = store_ / of.name;
    std::error_code code;
    if (!fs::exists(path, code) || fs::file_size(path, code) == 0)
      return false;
    if (auto restored = synced_point::restore(path.parent_path()); !restored)
      return failure(restored);
    const auto add_page = [&](std::uint64_t byte, std::string_view what) {
      add_to(of_pages_,
             {log_position(0), fmt::format("'{}': {}; {}", path.string(), what, of.way_out),
              std::nullopt, of.name, byte});
    };
    auto pages = lmdb_file::open(path, [&](page_problem&& problem) {
      add_page(problem.byte, problem.what);
      return true;
    });
    if (!pages && is_damage(pages.error().code())) {
      add_page(0, pages.error().message());
      return false;
    }
    if (!pages)
      return failure(pages);
    check_every_page(*pages, entry);
    pages_ += pages->pages_read();
    return pages->problems() == 0;
  }

  void compare_index() {
    const auto ignore = [](page_problem&&) { return true; }; // they were told
    index_->compare({.records =
                       [&](const auto& show) {
                         auto log = stored_log::open(store_ / "log" / "data.mdb", ignore);
                         if (log && log->read_dictionary())
                           log->each_record(show);
                       },
                     .entries =
                       [&](const auto& show) {
                         if (auto pages = lmdb_file::open(store_ / index_file_.name, ignore))
                           check_every_page(*pages, show);
                       }});
  }

  const derived_file index_file_{
    "index/data.mdb", "close the store and remove the directory 'index': opening makes it anew"};
  const derived_file snapshot_file_{"snapshots/data.mdb",
                                    "close the store and remove the directory 'snapshots': none is "
                                    "needed, but by streams truncated "
                                    "without their state"};
  const derived_file timer_file_{timer_file_name,
                                 "close the store and remove the file 'timers': the "
                                 "next engine reads them from the log"};

  const fs::path& store_;
  const verify_options& options_;
  std::optional<stored_log> log_; ///< Empty if it does not read.
  type_names names_{.category = [](category_id) { return std::string_view(); },
                    .event_type = [](event_type_id) { return std::string_view(); }};
  record_verifier found_;
  std::string id_; ///< As the log has it; empty if that does not read.
  std::uint64_t pages_ = 0;
  std::optional<index_check> index_;
  std::optional<snapshot_check> snapshots_;
  std::optional<timer_check> timers_;
  later of_pages_;
  later of_content_;
  bool is_log_sound_ = true;
};

} // namespace

result<verification> verify_store(const fs::path& directory, const verify_options& options) {
  const auto held = lock_closed_store(directory);
  if (!held)
    return std::unexpected(held.error());
  return store_verifier(directory, options).run();
}

} // namespace acta::storage
