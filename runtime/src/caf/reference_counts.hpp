#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ACTA_UNDER_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#endif

namespace acta::runtime {

/// CAF counts references with atomics in its compiled half, which ThreadSanitizer does not see: it
/// is told here that whoever lets go of an actor is before whoever destroys it.
inline void about_to_let_go([[maybe_unused]] const void* actor) noexcept {
#ifdef ACTA_UNDER_TSAN
  __tsan_release(const_cast<void*>(actor));
#endif
}
inline void last_reference_is_gone([[maybe_unused]] const void* actor) noexcept {
#ifdef ACTA_UNDER_TSAN
  __tsan_acquire(const_cast<void*>(actor));
#endif
}

} // namespace acta::runtime
