#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/payload_printer.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {

/// Checks that payloads are FlatBuffers of their types, by the schemas in the store.
class payload_check {
public:
  /// The schema of an event type; empty if the store has none, and then its payloads are not looked
  /// at.
  using schema_source = std::function<result<std::vector<std::byte>>(event_type_id)>;
  explicit payload_check(schema_source schemas) : schemas_(std::move(schemas)) {}

  /// What is wrong with the payload; empty if nothing is. Of a schema that is none, told once.
  [[nodiscard]] std::string problem_of(const record_view& record, std::string_view type);

private:
  schema_source schemas_;
  std::map<std::uint16_t, std::optional<payload_printer>> printers_; ///< Empty: not looked at.
};

} // namespace acta::storage
