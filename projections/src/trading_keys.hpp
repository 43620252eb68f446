#pragma once

#include <acta/storage/record.hpp>

#include <cstdint>

namespace acta::projections {

/// The id of an order by its stream. Throws std::invalid_argument where its key is no integer.
[[nodiscard]] std::uint64_t order_of(const storage::record_view& record);
/// The instrument of a stream of prints; the same where it is none of 32 bits.
[[nodiscard]] std::uint32_t instrument_of(const storage::record_view& record);

} // namespace acta::projections
