#pragma once

#include <acta/domain/trading/limit_order.hpp>
#include <acta/storage/record.hpp>

#include <cstdint>
#include <string_view>

namespace acta::bench {

/// A read model that counts.
struct counting {
  static constexpr std::string_view name = "counting";
  static constexpr std::uint32_t version = 1;
  using events = domain::trading::limit_order::events;

  void on(const auto&, const storage::record_view&) { ++count; }

  std::uint64_t count = 0;
};

} // namespace acta::bench
