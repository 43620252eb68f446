#include "json_text.hpp"

#include "base64.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <span>

namespace acta::storage {

std::string hex_text(const std::array<std::uint8_t, 16>& bytes) {
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

std::string json_string(std::string_view text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) { // no UTF-8
    std::string quoted = R"({"base64":")";
    append_base64(quoted, std::as_bytes(std::span(text)));
    return quoted + "\"}";
  }
}

} // namespace acta::storage
