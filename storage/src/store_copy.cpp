#include "store_copy.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace acta::storage {

namespace {

template <class Id>
[[nodiscard]] result<void> copy_names_of(const event_log& from, event_log& to,
                                         std::string_view (event_log::*name)(Id) const noexcept,
                                         result<Id> (event_log::*add)(std::string_view)) {
  for (std::uint16_t id = 1; id != 0; ++id) {
    const auto wanted = (from.*name)(Id(id));
    if (wanted.empty())
      return {};
    const auto added = (to.*add)(wanted);
    if (!added)
      return std::unexpected(added.error());
    if (*added != Id(id))
      return failure(errc::invalid_argument,
                     fmt::format("'{}' gives the name '{}' number {}, and the store it is to be a "
                                 "copy of number {}; choose another directory",
                                 to.directory().string(), wanted, added->value(), id));
  }
  return {};
}

[[nodiscard]] result<void> copy_schemas(const event_log& from, event_log& to) {
  for (std::uint16_t id = 1; id != 0; ++id) {
    const event_type_id type(id);
    if (from.event_type_name(type).empty())
      return {};
    const auto wanted = from.schema(type);
    if (!wanted)
      return std::unexpected(wanted.error());
    const auto there = to.schema(type);
    if (!there)
      return std::unexpected(there.error());
    const event_schema one{type, *wanted};
    if (*wanted != *there)
      if (auto put = to.put_schemas({&one, 1}); !put)
        return put;
  }
  return {};
}

} // namespace

result<void> copy_names(const event_log& from, event_log& to) {
  if (auto copied = copy_names_of<category_id>(from, to, &event_log::category_name,
                                               &event_log::register_category);
      !copied)
    return copied;
  if (auto copied = copy_names_of<event_type_id>(from, to, &event_log::event_type_name,
                                                 &event_log::register_event_type);
      !copied)
    return copied;
  return copy_schemas(from, to);
}

} // namespace acta::storage
