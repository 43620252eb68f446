#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace acta::storage {

/// Where an event comes from, for audits and traces; as docs/format.md has it. What is empty is not
/// stored. Borrows its texts.
struct event_metadata {
  /// Names the conversation: the same in all that follows from one request.
  command_id correlation{};
  /// Names what led to the command: another command's id, or the event a process manager saw. Where
  /// there is none, an event's cause is its command.
  command_id causation{};
  std::string_view user{};  ///< Who; UTF-8, at most 255 bytes.
  std::string_view trace{}; ///< Of a tracing system, e.g. W3C traceparent; at most 255 bytes.

  [[nodiscard]] bool empty() const noexcept {
    return correlation.empty() && causation.empty() && user.empty() && trace.empty();
  }
};

/// The bytes stored with a record. errc::too_large, naming the text, where one is too long.
[[nodiscard]] result<std::vector<std::byte>> encode_metadata(const event_metadata& of);

/// Of a record's metadata(), from which it borrows. Items that this program does not know are
/// passed over. errc::corrupt for bytes that are no metadata.
///
///     auto from = storage::decode_metadata(record.metadata());
[[nodiscard]] result<event_metadata> decode_metadata(std::span<const std::byte> bytes);

} // namespace acta::storage
