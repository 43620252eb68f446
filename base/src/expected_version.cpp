#include <acta/base/expected_version.hpp>

namespace acta::inline base {

std::string expected_version::to_string() const {
  switch (kind_) {
    case kind::any: return "any version";
    case kind::exists: return "a stream with events";
    case kind::exact: break;
  }
  return version_ == stream_version(0) ? "no events"
                                       : "version " + std::to_string(version_.value());
}

} // namespace acta::inline base
