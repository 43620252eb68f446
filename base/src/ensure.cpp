#include <acta/base/ensure.hpp>

#include <cstdio>
#include <cstdlib>

namespace acta::inline base {

void ensure_failed(const char* what, std::source_location where) noexcept {
  std::fprintf(stderr, "acta: invariant broken at %s:%u: %s\n", where.file_name(),
               static_cast<unsigned>(where.line()), what);
  std::abort();
}

} // namespace acta::inline base
