#include "commands.hpp"
#include "output.hpp"
#include "output_file.hpp"

#include <acta/base/date.hpp>
#include <acta/storage/archive.hpp>
#include <acta/storage/backup.hpp>
#include <acta/storage/event_json.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/json_lines.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace acta::tool {

using nlohmann::ordered_json;

int backup(const backup_arguments& chosen) {
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return fail(log.error());
  const auto progress = progress_to((*log)->tail());
  const auto done = storage::back_up(**log, chosen.to,
                                     [&](log_position at, log_position /*goal*/) { progress(at); });
  if (!done)
    return fail(done.error());
  const ordered_json json{{"before", done->before.value()}, {"after", done->after.value()}};
  const auto text =
    fmt::format("'{}' has the store up to position {}; {} records are new\n", chosen.to.string(),
                done->after.value(), done->after.value() - done->before.value());
  if (auto printed = print(chosen.json ? json.dump() + '\n' : text); !printed)
    return fail(printed.error());
  return fine;
}

namespace {

/// As date_text() writes it, or without the parts of a second, or the day alone.
[[nodiscard]] std::optional<std::int64_t> date_of(std::string_view text) {
  for (const std::string_view rest : {"", ".000000000Z", "T00:00:00.000000000Z"}) {
    const bool is_second = rest.starts_with('.');
    const auto start = is_second && text.ends_with('Z') ? text.substr(0, text.size() - 1) : text;
    if (const auto date = parse_date(std::string(start) + std::string(rest)))
      return date;
  }
  return std::nullopt;
}

/// The position meant, or the first that was recorded at that date or later.
[[nodiscard]] result<log_position> first_to_keep(const archive_arguments& chosen) {
  const auto& text = chosen.before;
  std::uint64_t position = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), position);
  if (code == std::errc() && end == text.data() + text.size() && position != 0)
    return log_position(position);
  const auto date = date_of(text);
  if (!date)
    return failure(errc::invalid_argument,
                   fmt::format("--before '{}' is neither a position nor a date like 2026-11-21 or "
                               "2026-11-21T12:52:33Z",
                               text));
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return std::unexpected(log.error());
  const auto snapshot = (*log)->snapshot();
  if (!snapshot)
    return std::unexpected(snapshot.error());
  const auto last = (*snapshot)->position_before(*date);
  if (!last)
    return last;
  return last->next();
}

} // namespace

int archive(const archive_arguments& chosen) {
  const auto before = first_to_keep(chosen);
  if (!before)
    return fail(before.error());
  std::function<void(log_position)> line;
  const auto show = [&](std::uint64_t at, std::uint64_t of) {
    if (!line)
      line = progress_to(log_position(of));
    line(log_position(at));
  };
  const auto done = storage::archive(chosen.store, *before, chosen.into, {.progress = show});
  if (!done)
    return fail(done.error());
  const ordered_json json{{"first", done->first.value()},
                          {"archived", done->archived},
                          {"truncated", done->truncated},
                          {"carried", done->carried}};
  const auto text =
    fmt::format("'{}' begins at position {}; {} records are new in '{}'{}\n", chosen.store.string(),
                done->first.value(), done->archived, chosen.into.string(),
                done->truncated == 0
                  ? ""
                  : fmt::format("; {} streams were truncated at their snapshots", done->truncated));
  if (auto printed = print(chosen.json ? json.dump() + '\n' : text); !printed)
    return fail(printed.error());
  return fine;
}

int export_store(const export_arguments& chosen) {
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return fail(log.error());
  const bool to_stdout = chosen.file.empty() || chosen.file == "-";
  std::optional<apps::output_file> file;
  if (!to_stdout) {
    auto made = apps::output_file::create(chosen.file);
    if (!made)
      return fail(made.error());
    file.emplace(std::move(*made));
  }
  storage::event_json events(**log);
  storage::export_options options;
  if (!to_stdout)
    options.progress = progress_to((*log)->tail());
  if (chosen.decode)
    options.decode = [&](const storage::record_view& record) {
      return events.text(record).value_or(""); // without a schema, its bytes alone
    };
  const auto done = storage::export_json(
    **log,
    [&](std::string_view lines) -> result<void> {
      if (!file)
        return print(lines);
      file->write(lines);
      return {};
    },
    options);
  if (!done)
    return fail(done.error());
  if (!file)
    return fine;
  if (auto finished = file->finish(); !finished)
    return fail(finished.error());
  return fine;
}

int import_store(const import_arguments& chosen) {
  const bool from_stdin = chosen.file == "-";
  std::ifstream file;
  if (!from_stdin) {
    file.open(chosen.file, std::ios::binary);
    if (!file)
      return fail({errc::not_found, fmt::format("'{}' cannot be read: {}; check the path",
                                                chosen.file.string(), std::strerror(errno))});
  }
  auto& in = from_stdin ? std::cin : static_cast<std::istream&>(file);
  const auto name = from_stdin ? "standard input" : chosen.file.string();
  const auto done = storage::import_json(in, name, chosen.store);
  if (!done)
    return fail(done.error());
  const auto text =
    fmt::format("'{}' has the {} records of the export\n", chosen.store.string(), done->value());
  if (auto printed = print(text); !printed)
    return fail(printed.error());
  return fine;
}

} // namespace acta::tool
