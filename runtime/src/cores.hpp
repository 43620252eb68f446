#pragma once

#include <cstddef>
#include <vector>

namespace acta::runtime {

/// The cores the calling thread may run on, by their numbers; at least one.
[[nodiscard]] std::vector<std::size_t> usable_cores();

/// Lets the calling thread run on this core only. False if the system does not allow it.
[[nodiscard]] bool pin_this_thread(std::size_t core) noexcept;

} // namespace acta::runtime
