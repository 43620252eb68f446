#include "cores.hpp"

#include <acta/base/ensure.hpp>

#include <pthread.h>
#include <sched.h>

namespace acta::runtime {

std::vector<std::size_t> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::size_t> cores;
  // Fails on a machine with more cores than a cpu_set_t has; then the first is as good as any.
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        cores.push_back(core);
  if (cores.empty())
    cores.push_back(0);
  return cores;
}

bool pin_this_thread(std::size_t core) noexcept {
  ensure(core < CPU_SETSIZE, "a core is one of usable_cores()");
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set) == 0;
}

} // namespace acta::runtime
