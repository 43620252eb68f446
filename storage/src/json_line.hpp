#pragma once

#include <acta/base/error.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace acta::storage {

/// Reads a text line by line, and says of errors where they are.
class line_reader {
public:
  line_reader(std::istream& from, std::string_view name);

  /// The next line, without its end; valid until the next call. Empty at the end of the text.
  /// errc::too_large over limits::max_json_line.
  [[nodiscard]] result<std::optional<std::string_view>> next();

  /// An error at the line that was read last.
  [[nodiscard]] std::unexpected<error> wrong(const std::string& what,
                                             errc code = errc::malformed) const;

private:
  std::istream& from_;
  std::string name_;
  std::uint64_t line_ = 0;
  std::unique_ptr<char[]> buffer_;
};

/// The fields of one JSON object, of which none may be left over. Remembers the first thing that is
/// wrong; what is read after that means nothing.
class json_fields {
public:
  /// Parses a line.
  explicit json_fields(std::string_view line);

  /// A whole number up to `most`.
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t least,
                                     std::uint64_t most);
  [[nodiscard]] std::string string(std::string_view name);
  /// A string, or {"base64": "..."}: see json_string().
  [[nodiscard]] std::string bytes_or_string(std::string_view name);
  /// As above, each of a list.
  [[nodiscard]] std::vector<std::string> list_of_bytes_or_string(std::string_view name);
  [[nodiscard]] std::vector<std::byte> base64(std::string_view name);
  [[nodiscard]] std::vector<std::vector<std::byte>> list_of_base64(std::string_view name);
  /// 32 hexadecimal digits.
  [[nodiscard]] std::array<std::uint8_t, 16> hex(std::string_view name);
  /// See date_text().
  [[nodiscard]] std::int64_t date(std::string_view name);
  /// One of `names`, counted from 1.
  [[nodiscard]] std::uint8_t one_of(std::string_view name, std::span<const std::string_view> names);
  /// True if there is one of this name.
  [[nodiscard]] bool has(std::string_view name) const { return object_.contains(name); }
  /// May be there, and is not looked at.
  void ignore(std::string_view name);

  /// Says that a field is wrong, unless something was before.
  void reject(std::string_view name, const std::string& what);
  /// True if nothing was wrong so far.
  [[nodiscard]] bool sound() const noexcept { return !problem_; }
  /// What is wrong, also that there is a field nobody asked for; empty if nothing.
  [[nodiscard]] std::optional<std::string> problem() const;

private:
  [[nodiscard]] const nlohmann::json* find(std::string_view name);
  [[nodiscard]] std::string text_in(const nlohmann::json& value, std::string_view name);

  nlohmann::json object_;
  std::vector<std::string_view> asked_;
  std::optional<std::string> problem_;
};

} // namespace acta::storage
