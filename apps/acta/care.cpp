#include "commands.hpp"
#include "output.hpp"
#include "output_file.hpp"

#include <acta/storage/backup.hpp>
#include <acta/storage/event_json.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/json_lines.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

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
