#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <atomic>
#include <memory>

namespace acta::runtime {

/// Where commands enter an engine, for those who may outlive it.
class entrance {
public:
  /// As engine::tell().
  [[nodiscard]] virtual result<void> send(const void* tag, const stream_id& stream,
                                          std::unique_ptr<detail::envelope> command,
                                          const command_options& options) = 0;

protected:
  ~entrance() = default;
};

/// Null once the engine is gone. A lone pointer: no thread but those of the engine's own system may
/// use it while the engine ends.
using entrance_while_open = std::atomic<entrance*>;

} // namespace acta::runtime
