#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/orders/order.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace acta::domain::orders {

/// "over_payment: 10 cents are due, and 20 were paid".
template <class... Arguments>
[[nodiscard]] decision refuse(refusal code, fmt::format_string<Arguments...> reason,
                              Arguments&&... arguments) {
  return reject(code, fmt::format("{}: {}", name(code),
                                  fmt::format(reason, std::forward<Arguments>(arguments)...)));
}

/// Accepts a text that is there and not too long.
[[nodiscard]] inline decision check_text(std::string_view text, refusal code,
                                         std::string_view what) {
  if (text.empty() || text.size() > max_text)
    return refuse(code, "{} of {} bytes, which must be 1 to {}", what, text.size(), max_text);
  return accept();
}

} // namespace acta::domain::orders
