#include "json_line.hpp"

#include "base64.hpp"

#include <acta/base/date.hpp>
#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>

namespace acta::storage {

using nlohmann::json;

line_reader::line_reader(std::istream& from, std::string_view name)
    : from_(from), name_(name),
      // Not cleared: only the pages that lines reach are ever touched.
      buffer_(std::make_unique_for_overwrite<char[]>(limits::max_json_line + 2)) {}

result<std::optional<std::string_view>> line_reader::next() {
  if (from_.peek() == std::istream::traits_type::eof()) {
    if (from_.bad())
      return wrong("it cannot be read; check the file and its device", errc::io);
    return std::nullopt;
  }
  ++line_;
  from_.getline(buffer_.get(), static_cast<std::streamsize>(limits::max_json_line + 2));
  if (from_.bad())
    return wrong("it cannot be read; check the file and its device", errc::io);
  auto size = static_cast<std::size_t>(from_.gcount());
  if (from_.fail())
    return wrong(
      fmt::format("a line of more than {} bytes is none of an export", limits::max_json_line),
      errc::too_large);
  ensure(size <= limits::max_json_line + 1, "a line and its end fit into the buffer");
  size -= from_.eof() ? 0U : 1U; // the line feed counts
  return std::string_view(buffer_.get(), size);
}

std::unexpected<error> line_reader::wrong(const std::string& what, errc code) const {
  return failure(code, fmt::format("{}:{}: {}", name_, std::max<std::uint64_t>(1, line_), what));
}

json_fields::json_fields(std::string_view line) {
  std::size_t names = 0; // of this object, with those that are there twice
  const auto count = [&](int depth, json::parse_event_t event, const json& /*value*/) {
    names += depth == 1 && event == json::parse_event_t::key ? 1U : 0U;
    return true;
  };
  object_ = json::parse(line, count, false);
  if (object_.is_discarded() || !object_.is_object()) {
    problem_ = "this is no JSON object; mend the line, or export again";
    object_ = json::object();
  } else if (names != object_.size()) {
    problem_ = "a field is there twice; mend the line, or export again";
  }
}

void json_fields::reject(std::string_view name, const std::string& what) {
  if (!problem_)
    problem_ = fmt::format("'{}' {}; mend the line, or export again", name, what);
}

const json* json_fields::find(std::string_view name) {
  asked_.push_back(name);
  const auto found = object_.find(name);
  if (found != object_.end())
    return &*found;
  reject(name, "is missing");
  return nullptr;
}

std::uint64_t json_fields::number(std::string_view name, std::uint64_t least, std::uint64_t most) {
  const auto* value = find(name);
  if (value == nullptr)
    return least;
  const auto number = value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
  if (value->is_number_unsigned() && number >= least && number <= most)
    return number;
  reject(name, fmt::format("must be a whole number from {} to {}", least, most));
  return least;
}

std::string json_fields::string(std::string_view name) {
  const auto* value = find(name);
  if (value != nullptr && value->is_string())
    return value->get<std::string>();
  if (value != nullptr)
    reject(name, "must be a string");
  return {};
}

std::string json_fields::text_in(const json& value, std::string_view name) {
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_object() && value.size() == 1 && value.begin().key() == "base64"
      && value.begin()->is_string())
    if (const auto bytes = parse_base64(value.begin()->get<std::string>()))
      return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
  reject(name, R"(must be a string, or {"base64": "..."} where it is no UTF-8)");
  return {};
}

std::string json_fields::bytes_or_string(std::string_view name) {
  const auto* value = find(name);
  return value == nullptr ? std::string() : text_in(*value, name);
}

std::vector<std::string> json_fields::list_of_bytes_or_string(std::string_view name) {
  std::vector<std::string> list;
  const auto* value = find(name);
  if (value != nullptr && !value->is_array())
    reject(name, "must be a list of strings");
  if (value != nullptr && value->is_array())
    for (const auto& one : *value)
      list.push_back(text_in(one, name));
  return list;
}

std::vector<std::vector<std::byte>> json_fields::list_of_base64(std::string_view name) {
  std::vector<std::vector<std::byte>> list;
  const auto* value = find(name);
  if (value != nullptr && !value->is_array())
    reject(name, "must be a list of base64");
  if (value == nullptr || !value->is_array())
    return list;
  for (const auto& one : *value) {
    auto bytes = one.is_string() ? parse_base64(one.get<std::string>()) : std::nullopt;
    if (!bytes)
      reject(name, "must be a list of base64");
    list.push_back(std::move(bytes).value_or(std::vector<std::byte>()));
  }
  return list;
}

std::vector<std::byte> json_fields::base64(std::string_view name) {
  const auto text = string(name);
  if (auto bytes = parse_base64(text))
    return std::move(*bytes);
  reject(name, "is no base64");
  return {};
}

std::array<std::uint8_t, 16> json_fields::hex(std::string_view name) {
  std::array<std::uint8_t, 16> bytes{};
  const auto text = string(name);
  if (text.size() != 2 * bytes.size()
      || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    reject(name, "must be 32 hexadecimal digits");
    return bytes;
  }
  const auto value = [](char digit) {
    return static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(value(text[2 * i]) << 4U | value(text[2 * i + 1]));
  return bytes;
}

std::int64_t json_fields::date(std::string_view name) {
  if (const auto moment = parse_date(string(name)))
    return *moment;
  reject(name, "must be a date like 2026-11-21T12:52:33.000000001Z");
  return 0;
}

std::uint8_t json_fields::one_of(std::string_view name, std::span<const std::string_view> names) {
  const auto found = std::ranges::find(names, string(name));
  if (found == names.end()) {
    reject(name, fmt::format("must be one of {}", fmt::join(names, ", ")));
    return 1;
  }
  return static_cast<std::uint8_t>(found - names.begin() + 1);
}

void json_fields::ignore(std::string_view name) {
  asked_.push_back(name);
}

std::optional<std::string> json_fields::problem() const {
  if (problem_)
    return problem_;
  for (const auto& [name, value] : object_.items())
    if (std::ranges::find(asked_, name) == asked_.end())
      return fmt::format("'{}' is no field of an export; mend the line, or export again", name);
  return std::nullopt;
}

} // namespace acta::storage
