#include <acta/domain/testing/any_event.hpp>

#include <acta/base/payload_printer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace acta::domain::testing {

std::string text_of(std::span<const std::uint8_t> schema, std::string_view table,
                    std::span<const std::byte> payload) {
  const auto bfbs = std::as_bytes(schema);
  auto printer = payload_printer::of({bfbs.begin(), bfbs.end()}, table);
  if (!printer)
    return fmt::format("({} bytes, and no schema: see acta_add_schema)", payload.size());
  if (printer->print(payload) != printed::whole)
    return fmt::format("({} bytes that do not fit its schema)", payload.size());
  return printer->text();
}

std::string any_event::text() const {
  const auto json = text_of(schema_, type_, payload_);
  return version_ == 1 ? fmt::format("{} {}", type_, json)
                       : fmt::format("{} of version {} {}", type_, version_, json);
}

bool any_event::operator==(const any_event& other) const {
  if (type_ != other.type_ || version_ != other.version_)
    return false;
  if (std::ranges::equal(payload_, other.payload_))
    return true;
  return !schema_.empty() && well_formed_ && other.well_formed_ && text() == other.text();
}

std::ostream& operator<<(std::ostream& out, const any_event& event) {
  return out << event.text();
}

} // namespace acta::domain::testing
