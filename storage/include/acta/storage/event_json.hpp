#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>

#include <memory>
#include <string>

namespace acta::storage {

/// Renders events as JSON by the schemas in their store, without the program that wrote them.
///
/// Each text is one line of strict JSON (RFC 8259) in ASCII: fields in the order of their ids;
/// scalars also where they have their default; strings, vectors, tables and optional scalars only
/// where they are there; enumerators by name if they have one; numbers so that they read back
/// equal, and what JSON has no number for as "NaN", "Infinity" and "-Infinity".
///
/// The log must outlive this. Not thread-safe: one a thread. Each type's schema is read once, when
/// its first event comes.
///
///     event_json json(*log);
///     auto text = json.text(record); // {"amount":100}
class event_json {
public:
  explicit event_json(const event_log& log);
  ~event_json();
  event_json(const event_json&) = delete;
  event_json& operator=(const event_json&) = delete;

  /// The payload of a record of this log. Every byte is checked before it is followed, so any
  /// payload may be given. Errors, which name position and event type: errc::not_found if the store
  /// has no schema of the type; corrupt if the payload (or the schema) is not well formed, or a
  /// string is not UTF-8; too_large beyond limits::max_json_size.
  [[nodiscard]] result<std::string> text(const record_view& record);

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::storage
