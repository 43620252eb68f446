#pragma once

#include <source_location>

namespace acta::inline base {

/// Reports a broken invariant on stderr and aborts. Never returns.
[[noreturn]] void ensure_failed(const char* what, std::source_location where) noexcept;

/// Checks an invariant of Acta itself, in release builds too. Not for operating errors (those are
/// `result` values): a false condition means that going on would corrupt data, so the process
/// stops.
///
///     ensure(next.value() == last.value() + 1, "positions have a gap");
constexpr void ensure(bool condition, const char* what,
                      std::source_location where = std::source_location::current()) noexcept {
  if (!condition) [[unlikely]]
    ensure_failed(what, where);
}

} // namespace acta::inline base
