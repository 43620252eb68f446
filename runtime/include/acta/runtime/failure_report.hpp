#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace acta::runtime {

/// Something of an aggregate, or of the engine, failed. Its callers are told too.
struct failure_report {
  enum class part : std::uint8_t {
    handler,  ///< decide(), evolve() or on_timer() threw; the aggregate goes on as it was. A timer
              ///< is tried again later.
    recovery, ///< The aggregate could not be loaded. It is tried again with a command that comes
              ///< after `retry_after`; those before are refused with the same error.
    commit,   ///< A commit failed: the engine accepts nothing any more.
  };

  part what;
  std::optional<stream_id> stream; ///< None of a commit.
  const error& why;
  std::uint32_t attempts = 1; ///< So many in a row.
  std::chrono::nanoseconds retry_after{0};
};

} // namespace acta::runtime
