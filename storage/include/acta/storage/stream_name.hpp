#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace acta::storage {

/// The key of a stream as stream_id::to_string() has it: "42", "550e8400-e29b-...", "alice".
[[nodiscard]] std::string key_text(const stream_id& stream);

/// A stream by its category and the text of its key; empty if the text is no key of that kind.
[[nodiscard]] std::optional<stream_id> parse_key(category_id category, key_kind kind,
                                                 std::string_view text);

/// The stream that a person names, "order/42": a category of the log, and a key. A number is an
/// integer key, what looks like a UUID is one, and all else is text; "order/text:42" is text
/// whatever it looks like. errc::invalid_argument says what is wrong with it.
[[nodiscard]] result<stream_id> parse_stream(const event_log& log, std::string_view text);

} // namespace acta::storage
