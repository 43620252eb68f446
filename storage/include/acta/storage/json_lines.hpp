#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

/// A log as text, and back: one line of JSON a record, after one that says what the store is. The
/// way there and back gives the same log: positions, dates, ids of names, and records byte for
/// byte. The fields are those of a record, described in docs/operations.md.
namespace acta::storage {

struct export_options {
  /// Something to show beside a record's bytes, as JSON; an empty text for nothing. It stands in
  /// the field "event", which an import passes over.
  std::function<std::string(const record_view&)> decode{};
  /// Called with the position reached, now and then, on this thread.
  std::function<void(log_position)> progress{};
};

/// Writes the log, as it is when this begins, through `write`, which gets whole lines with their
/// line feed and may end it with an error. Returns the last position. The store may be in use.
/// errc::corrupt names a record that is damaged; what was written is of no use then.
[[nodiscard]] result<log_position>
export_json(const event_log& log, const std::function<result<void>(std::string_view)>& write,
            const export_options& options = {});

/// Reads what export_json() wrote into a new store, which gets the id of the one that was exported.
/// `directory` must not be there, or be empty; it appears when everything is in it, and until then
/// the store is made in `<directory>.importing`, which is removed if it fails, and by the next
/// import if the process ends. `name` is what the text is called in errors.
///
/// Every line is checked. errc::malformed names file and line: not JSON, a field that is missing,
/// unknown or there twice, of a wrong type, no base64; a position, version or command that does not
/// follow; a name that is not in the first line; a text that ends too early. too_large: an event
/// over a limit. newer_format: written by a newer Acta. invalid_argument: the directory is not
/// empty. Also the errors of open_log() and append().
[[nodiscard]] result<log_position>
import_json(std::istream& from, std::string_view name, const std::filesystem::path& directory,
            const std::function<void(log_position)>& progress = {});

/// As above, into an empty log that is open, e.g. one in memory, which keeps its own id. After an
/// error it has the records up to some line: throw it away.
[[nodiscard]] result<log_position>
import_json(std::istream& from, std::string_view name, event_log& into,
            const std::function<void(log_position)>& progress = {});

} // namespace acta::storage
