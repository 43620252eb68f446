#pragma once

#include <acta/base/ids.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace acta::storage {

/// Where what is derived from a log does not fit it.
struct derived_problem {
  std::string what;
  std::uint64_t byte = 0; ///< In its file.
  log_position position{};
  std::optional<stream_id> stream{};
};

using derived_sink = std::function<void(derived_problem&&)>;

} // namespace acta::storage
