#pragma once

#include <array>
#include <coroutine>
#include <cstddef>

namespace acta::runtime::detail {

/// A coroutine that a worker is to resume, and room for the job that does it: it lies in the
/// coroutine's frame, so that nothing is allocated.
struct resumption {
  static constexpr std::size_t job_size = 24;

  std::coroutine_handle<> waiting;
  alignas(8) std::array<std::byte, job_size> job; // raw until it is used
};

} // namespace acta::runtime::detail
