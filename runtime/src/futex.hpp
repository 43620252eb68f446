#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace acta::runtime {

/// std::atomic's wait() and notify_one() without what they do besides, which is to spin and yield
/// first, and with a promise they do not give: a word may be gone when those who wait for it are
/// woken, as only its address is used. Whoever lives there then is woken for nothing at most, which
/// all that waits on futexes must bear. Neither orders memory: the atomics around them do.
using futex_word = std::atomic<std::uint32_t>;
static_assert(sizeof(futex_word) == 4 && futex_word::is_always_lock_free);

/// Sleeps while the word has this value. May return at any time.
inline void futex_wait(const futex_word& word, std::uint32_t value) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

/// And so long at most.
inline void futex_wait_for(const futex_word& word, std::uint32_t value,
                           std::chrono::nanoseconds at_most) noexcept {
  constexpr long second = 1'000'000'000;
  const ::timespec limit{.tv_sec = at_most.count() / second, .tv_nsec = at_most.count() % second};
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, &limit, nullptr, 0);
}

inline void futex_wake_one(const futex_word* address) noexcept {
  ::syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

/// Tells the core that this thread spins.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

} // namespace acta::runtime
