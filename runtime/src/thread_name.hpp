#pragma once

#include <pthread.h>

namespace acta::runtime {

/// Shown by `top -H`, debuggers and profilers. At most 15 characters.
inline void name_this_thread(const char* name) noexcept {
  ::pthread_setname_np(::pthread_self(), name);
}

} // namespace acta::runtime
