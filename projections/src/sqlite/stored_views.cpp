#include <acta/projections/stored_views.hpp>

#include "connection.hpp"
#include "error_text.hpp"
#include "tie.hpp"

#include <fmt/format.h>

#include <string>
#include <system_error>

namespace acta::projections {

namespace fs = std::filesystem;

namespace {

constexpr const char* sqlite_name = "view.sqlite";

[[nodiscard]] result<storage::view_summary> summary_of_sqlite(const fs::path& file) {
  auto opened = sqlite::connection::open(file, sqlite::connection::mode::read);
  if (!opened)
    return failure(opened);
  auto position = sqlite::position_of(**opened);
  if (!position)
    return failure(position);
  auto letters = sqlite::letters_of(**opened);
  if (!letters)
    return failure(letters);
  return storage::view_summary{.position = *position, .dead_letters = letters->size()};
}

[[nodiscard]] result<storage::verification> verify_sqlite(const storage::event_log& log,
                                                          const fs::path& file,
                                                          const storage::view_identity& which,
                                                          std::size_t max_findings) {
  storage::verification found;
  const auto add = [&](std::string what) {
    if (found.problems++ < max_findings)
      found.findings.push_back({.position = {},
                                .what = std::move(what),
                                .file = fmt::format("views/{}/{}", which.label(), sqlite_name)});
  };
  auto opened = sqlite::connection::open(file, sqlite::connection::mode::read);
  if (!opened)
    return failure(opened);
  auto checked = (*opened)->execute("pragma quick_check", {}, [&](const sqlite::row& one) {
    if (one.text(0) != "ok")
      add(fmt::format("{}: {}; {}", file.string(), one.text(0), sqlite::how_to_make_anew(file)));
    return true;
  });
  if (!checked) {
    add(std::string(checked.error().message()));
    return found;
  }
  if (found.problems != 0)
    return found;
  const auto tied = sqlite::check_tie(**opened, file, which, log);
  if (!tied)
    add(std::string(tied.error().message()));
  return found;
}

} // namespace

std::string_view name(kept_in where) noexcept {
  switch (where) {
    case kept_in::lmdb: return "LMDB";
    case kept_in::sqlite: return "SQLite";
    case kept_in::nothing: break;
  }
  return "nothing";
}

kept_in where_kept(const fs::path& directory) {
  std::error_code none;
  if (fs::exists(directory / sqlite_name, none))
    return kept_in::sqlite;
  return fs::exists(directory / "data.mdb", none) ? kept_in::lmdb : kept_in::nothing;
}

result<storage::view_summary> summary_of(const fs::path& directory) {
  switch (where_kept(directory)) {
    case kept_in::lmdb: return storage::summary_of_view(directory);
    case kept_in::sqlite: return summary_of_sqlite(directory / sqlite_name);
    case kept_in::nothing: break;
  }
  return storage::view_summary{};
}

result<storage::verification> verify_view(const storage::event_log& log, const fs::path& store,
                                          const storage::view_identity& which,
                                          std::size_t max_findings) {
  const auto directory = storage::view_directory(store, which);
  switch (where_kept(directory)) {
    case kept_in::lmdb: return storage::verify_view(log, directory, max_findings);
    case kept_in::sqlite: return verify_sqlite(log, directory / sqlite_name, which, max_findings);
    case kept_in::nothing: break;
  }
  return storage::verification{};
}

} // namespace acta::projections
