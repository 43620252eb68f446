#pragma once

#include <acta/base/ids.hpp>

namespace acta::runtime {

struct command_options {
  /// Names the command: sent again while the aggregate remembers it (see
  /// engine_options::repeat_window), it gets its first receipt and does nothing. A command that
  /// stored no event, or was refused, is not remembered but decided anew. Empty: never a repeat.
  command_id id;
};

} // namespace acta::runtime
