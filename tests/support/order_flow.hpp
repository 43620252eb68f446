#pragma once

#include <acta/domain/trading/limit_order.hpp>

#include <cstdint>
#include <random>

namespace acta::tests {

/// Some command of an order, which may be refused; prices below zero too.
[[nodiscard]] inline domain::trading::limit_order::command random_command(std::mt19937& random) {
  using namespace domain::trading;
  const auto quantity = static_cast<std::int64_t>(1 + random() % 10);
  const auto price = static_cast<std::int64_t>(1 + random() % 12) - 3;
  const auto at = random() % 2 == 0 ? side::buy : side::sell;
  const auto instrument = 1 + static_cast<std::uint32_t>(random() % 3);
  switch (random() % 8) {
    case 0:
    case 1: return submit{instrument, at, price, quantity};
    case 2: return replace{instrument, at, price, quantity};
    case 3: return modify{.price = price, .quantity = {}};
    case 4: return modify{.price = price, .quantity = quantity};
    case 5: return reduce{quantity};
    case 6: return execute{.quantity = quantity, .price = price};
    default: return cancel{};
  }
}

} // namespace acta::tests
