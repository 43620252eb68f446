#include <acta/base/error.hpp>

namespace acta::inline base {

std::string_view name(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument: return "invalid_argument";
    case errc::not_found: return "not_found";
    case errc::io: return "io";
    case errc::no_space: return "no_space";
    case errc::store_in_use: return "store_in_use";
    case errc::foreign_store: return "foreign_store";
    case errc::newer_format: return "newer_format";
    case errc::corrupt: return "corrupt";
    case errc::map_full: return "map_full";
    case errc::too_large: return "too_large";
    case errc::overloaded: return "overloaded";
    case errc::rejected: return "rejected";
    case errc::handler_failed: return "handler_failed";
    case errc::commit_failed: return "commit_failed";
    case errc::engine_stopped: return "engine_stopped";
    case errc::timed_out: return "timed_out";
    case errc::malformed: return "malformed";
    case errc::permission_denied: return "permission_denied";
    case errc::wrong_version: return "wrong_version";
    case errc::incompatible_schema: return "incompatible_schema";
    case errc::expired: return "expired";
  }
  return "unknown";
}

} // namespace acta::inline base
