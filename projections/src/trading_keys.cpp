#include "trading_keys.hpp"

#include <acta/base/ids.hpp>

#include <limits>
#include <stdexcept>
#include <string>

namespace acta::projections {

namespace {

[[nodiscard]] bool has_integer(const storage::record_view& record) noexcept {
  return record.header().key_kind == static_cast<std::uint8_t>(key_kind::integer);
}

} // namespace

std::uint64_t order_of(const storage::record_view& record) {
  if (!has_integer(record))
    throw std::invalid_argument("position " + std::to_string(record.position().value())
                                + ": an order book is of orders with integer keys, and this has "
                                  "another");
  return record.integer_key();
}

std::uint32_t instrument_of(const storage::record_view& record) {
  if (!has_integer(record) || record.integer_key() > std::numeric_limits<std::uint32_t>::max())
    throw std::invalid_argument("an instrument's key is no integer of 32 bits");
  return static_cast<std::uint32_t>(record.integer_key());
}

} // namespace acta::projections
