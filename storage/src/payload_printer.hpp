#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {

enum class printed : std::uint8_t {
  whole,
  malformed, ///< Not a FlatBuffer of its table, or with a string that is not UTF-8.
  too_large, ///< Over limits::max_json_size; what was looked at until then was well formed.
};

/// Checks payloads of one event type by its schema, and prints them as JSON on the way: see
/// event_json. Any payload may be given. One thread.
class payload_printer {
public:
  /// Empty if the bytes are no schema, or one without this table.
  [[nodiscard]] static std::optional<payload_printer> of(std::vector<std::byte> bfbs,
                                                         std::string_view table);
  payload_printer(payload_printer&&) noexcept;
  payload_printer& operator=(payload_printer&&) noexcept;
  ~payload_printer();

  [[nodiscard]] printed print(std::span<const std::byte> payload);
  /// What the last payload was printed as, if it was whole.
  [[nodiscard]] const std::string& text() const noexcept;

private:
  class implementation;
  explicit payload_printer(std::unique_ptr<implementation> made) noexcept;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::storage
