#pragma once

#include "progress.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// How acta says what it found.
namespace acta::tool {

/// What a program ends with.
enum exit_status : int { fine = 0, failed = 1, wrong_usage = 2 };

/// Names and values in two columns.
using rows = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] std::string table(const rows& of);

/// To standard output; an error if that cannot be written.
[[nodiscard]] result<void> print(std::string_view text);

/// "acta: MESSAGE" to standard error; exit_status::failed.
int fail(const error& why);

/// Bytes for people: "1.5 MiB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// A name on one line of a terminal: control characters as "\x0a".
[[nodiscard]] std::string printable(std::string_view name);

/// A line of progress on a terminal, as the library's functions want it.
[[nodiscard]] std::function<void(log_position)> progress_to(log_position goal);

} // namespace acta::tool
