#pragma once

#include <cstddef>

namespace acta::runtime {

/// Asks for memory that is about to be written and that another core had last, so that it comes
/// while something else is done: `lines` cache lines from `offset` bytes after `of`. Any address
/// but null will do, valid or not.
inline void prefetch(const void* of, int lines, std::ptrdiff_t offset = 0) noexcept {
  constexpr std::ptrdiff_t cache_line = 64;
  const auto* at = static_cast<const char*>(of) + offset;
  for (int line = 0; line < lines; ++line, at += cache_line)
    __builtin_prefetch(at, 1);
}

} // namespace acta::runtime
