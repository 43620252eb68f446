#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace acta::inline base {

enum class printed : std::uint8_t {
  whole,
  malformed, ///< Not a FlatBuffer of its table, or with a string that is not UTF-8.
  too_large, ///< Over limits::max_json_size; what was looked at until then was well formed.
};

/// Checks FlatBuffers of one table by its schema (in flatc's binary form, as schema_of has it), and
/// prints them as JSON on the way: one line of strict JSON, as storage::event_json describes it.
/// Every byte is checked before it is followed, so any payload may be given, if it is 8-byte
/// aligned. Not thread-safe: one a thread.
///
///     auto printer = payload_printer::of({bfbs.begin(), bfbs.end()}, "example.deposited");
///     if (printer && printer->print(payload) == printed::whole)
///       use(printer->text()); // {"amount":100}
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

} // namespace acta::inline base
