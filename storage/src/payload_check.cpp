#include "payload_check.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <utility>

namespace acta::storage {

std::string payload_check::problem_of(const record_view& record, std::string_view type) {
  auto known = printers_.find(record.event_type().value());
  if (known == printers_.end()) {
    auto bfbs = schemas_(record.event_type());
    known = printers_.emplace(record.event_type().value(), std::nullopt).first;
    if (!bfbs)
      return std::string(bfbs.error().message());
    if (bfbs->empty())
      return {};
    known->second = payload_printer::of(std::move(*bfbs), type);
    if (!known->second)
      return fmt::format("the store's schema of its event type '{}' is not one", type);
  }
  ensure(known->first == record.event_type().value(), "a payload is checked by its type's schema");
  if (!known->second || known->second->print(record.payload()) != printed::malformed)
    return {};
  return fmt::format("the payload is not a well-formed '{}', or has a string that is not UTF-8; "
                     "the program that wrote it did not write by the schema it brought",
                     type);
}

} // namespace acta::storage
