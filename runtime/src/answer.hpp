#pragma once

#include "core.hpp"
#include "settlement.hpp"

#include <acta/base/ensure.hpp>
#include <acta/runtime/interceptor.hpp>

#include <utility>

namespace acta::runtime {

/// Gives a caller his outcome, behind the interceptors of his command.
inline void answer(const core& shared, settlement& one, outcome&& how) {
  ensure(one.command != nullptr && !one.answered, "each command is answered once");
  if (const auto* command = one.command->as_command(); command != nullptr)
    if (const auto* stream = command->stream(); stream != nullptr) {
      const command_view view(*command, *stream, shared.categories[one.category].type->category());
      for (auto left = command->intercepted(); left != 0; --left)
        shared.options.interceptors[left - 1]->after(view, how);
    }
  one.command->settle(std::move(how));
}

} // namespace acta::runtime
