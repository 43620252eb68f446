#pragma once

#include <acta/storage/record.hpp>

#include <string>

namespace acta::projections::orders {

/// What the shop calls the order that a record is of: the key of its stream, as a person writes it
/// behind "order/" (storage::parse_stream()). Two orders never have the same: a key that is a text
/// and looks like a number or a UUID has "text:" before it.
[[nodiscard]] std::string order_number(const storage::record_view& record);

} // namespace acta::projections::orders
