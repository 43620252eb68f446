#include <acta/storage/verify.hpp>

#include "lmdb_pages.hpp"
#include "store_directory.hpp"
#include "store_format.hpp"
#include "stored_log.hpp"
#include "synced_point.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

class store_verifier {
public:
  store_verifier(const fs::path& store, const verify_options& options)
      : store_(store), options_(options),
        found_({.category = [this](category_id id) { return names_.category(id); },
                .event_type = [this](event_type_id id) { return names_.event_type(id); }},
               options.max_findings) {}

  [[nodiscard]] result<verification> run() {
    if (auto checked = check_log(); !checked)
      return failure(checked);
    if (auto checked = check_store_id(); !checked)
      return failure(checked);
    // What is derived from the log: only its pages. Whether it fits the log is for its owners.
    for (const std::string_view name : {"index", "snapshots"})
      if (auto checked = check_derived(name); !checked)
        return failure(checked);
    auto done = found_.end(log_position(found_.next().value() - 1));
    done.pages = pages_;
    return done;
  }

private:
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

  [[nodiscard]] static bool is_damage(errc code) noexcept {
    return code == errc::corrupt || code == errc::not_found;
  }

  [[nodiscard]] result<void> check_log() {
    const std::string file = "log/data.mdb";
    auto log = stored_log::open(store_ / file, problems_of(file));
    if (!log && is_damage(log.error().code())) {
      add(file, 0, log.error().message());
      return {};
    }
    if (!log)
      return failure(log);
    if (auto read = log->read_dictionary(); !read)
      return read;
    names_ = log->names();
    if (const auto id = log->meta().find("store_id");
        id != log->meta().end() && id->second.size() == store_id_size)
      id_ = store_id_text(id->second);
    log->check_records(found_, options_.progress, {});
    pages_ += log->file().pages_read();
    names_ = {};
    return {};
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

  [[nodiscard]] result<void> check_derived(std::string_view name) {
    const auto file = fmt::format("{}/data.mdb", name);
    std::error_code code;
    if (!fs::exists(store_ / file, code) || fs::file_size(store_ / file, code) == 0)
      return {};
    if (auto restored = synced_point::restore(store_ / name); !restored)
      return restored;
    auto pages = lmdb_file::open(store_ / file, problems_of(file));
    if (!pages && is_damage(pages.error().code())) {
      add(file, 0, pages.error().message());
      return {};
    }
    if (!pages)
      return failure(pages);
    check_every_page(*pages);
    pages_ += pages->pages_read();
    return {};
  }

  const fs::path& store_;
  const verify_options& options_;
  type_names names_; ///< While the log is read.
  record_verifier found_;
  std::string id_; ///< As the log has it; empty if that does not read.
  std::uint64_t pages_ = 0;
};

} // namespace

result<verification> verify_store(const fs::path& directory, const verify_options& options) {
  const auto held = lock_closed_store(directory);
  if (!held)
    return std::unexpected(held.error());
  return store_verifier(directory, options).run();
}

} // namespace acta::storage
