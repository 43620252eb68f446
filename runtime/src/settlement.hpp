#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>

#include <cstdint>
#include <memory>

namespace acta::runtime {

/// How a command ended, on its way from the aggregate to the committer, which answers the caller.
struct settlement {
  enum class kind : std::uint8_t {
    accepted, ///< Answer with a receipt once the events staged with it are committed.
    repeat,   ///< Answer with the first receipt, whose position has to be looked up in the log.
    failed,   ///< Answer with `failure`.
    known,    ///< Answer with `answer`.
  };

  std::unique_ptr<detail::envelope> command;
  kind how = kind::accepted;
  std::uint32_t events = 0;
  stream_version version;
  stream_id stream;
  /// Not 0: the aggregate is closed or empty, and this was the so many-th command it handled. It
  /// may be dropped once this is committed, unless it was sent another command.
  std::uint64_t finished_after = 0;
  std::unique_ptr<error> failure;
  receipt answer;
};

} // namespace acta::runtime
