#pragma once

#include <acta/base/error.hpp>

#include <fmt/format.h>

#include <exception>
#include <string_view>
#include <type_traits>

namespace acta::runtime {

/// Runs what the user wrote and may throw; what it throws becomes errc::handler_failed. `name()`
/// names the aggregate.
template <class Name, class Function>
[[nodiscard]] auto guarded(Name name, std::string_view what, Function run)
  -> result<std::invoke_result_t<Function>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Function>>) {
      run();
      return {};
    } else {
      return run();
    }
  } catch (const std::exception& thrown) {
    return failure(errc::handler_failed,
                   fmt::format("{}: {} threw: {}", name(), what, thrown.what()));
  } catch (...) {
    return failure(errc::handler_failed,
                   fmt::format("{}: {} threw something that is no std::exception", name(), what));
  }
}

} // namespace acta::runtime
