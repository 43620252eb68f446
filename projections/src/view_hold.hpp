#pragma once

#include <acta/base/error.hpp>
#include <acta/projections/projection.hpp>

#include <string>
#include <utility>

namespace acta::projections {

/// That a view is fed by one projector, or replay(), alone: two would handle each event twice.
class view_hold {
public:
  [[nodiscard]] static result<view_hold> of(const projection& view) {
    if (view.progress().try_to_begin())
      return view_hold(view.progress());
    return failure(errc::store_in_use,
                   "view '" + std::string(view.name())
                     + "' is fed by another projector, or replay(): end that first");
  }
  view_hold(view_hold&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  view_hold& operator=(view_hold&&) = delete;
  ~view_hold() {
    if (of_ != nullptr)
      of_->end();
  }

private:
  explicit view_hold(progress& of) noexcept : of_(&of) {}

  progress* of_;
};

} // namespace acta::projections
