#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/projection.hpp>
#include <acta/runtime/engine.hpp>

#include <functional>
#include <memory>

namespace acta::projections {

/// Keeps on_change() going. Its end waits for a call under way, so it is not for the function
/// itself to destroy it. View and engine must outlive it.
class change_subscription {
public:
  change_subscription() = default;
  change_subscription(const change_subscription&) = delete;
  change_subscription& operator=(const change_subscription&) = delete;
  virtual ~change_subscription() = default;

  /// errc::handler_failed if the function has thrown: it is not called any more.
  [[nodiscard]] virtual result<void> status() const = 0;
};

/// A subscription to a query: calls `ask_again` once at first, and then whenever the view has
/// moved, with its position, or has stopped, as view.progress().status() says, on a thread of its
/// own, so that it may take its time: of moves meanwhile the next call tells all at once, and the
/// view's projector does not wait. The last move is always told. Events that changed nothing in the
/// view move it, too. Of a served_view it watches the view it is given, which must be held, and
/// which stops when another takes its place.
///
///     auto live = on_change(*engine, view, [&](log_position) {
///       show(view.read([](const revenue& now) { return now.cents; }));
///     });
///
/// Who has a thread of his own needs none of this: `view.progress().wait_for()` waits for a move.
[[nodiscard]] std::unique_ptr<change_subscription>
on_change(runtime::engine& engine, const projection& view,
          std::function<void(log_position)> ask_again);

} // namespace acta::projections
