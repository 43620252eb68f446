#include <acta/projections/served_view.hpp>

#include <acta/storage/view_directory.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace acta::projections::detail {

namespace {

using std::chrono::steady_clock;

/// Waits until `next` is where the log's tail is now, and tells how far it is meanwhile.
[[nodiscard]] result<void> catch_up(const runtime::engine& engine, const projector& next,
                                    const rebuild_options& options) {
  const auto tail = engine.log().tail();
  const auto begin = next.position();
  const auto since = steady_clock::now();
  for (;;) {
    auto there = next.wait_for(tail, options.progress_every);
    if (there || there.error().code() != errc::timed_out)
      return there;
    if (!options.progress)
      continue;
    const auto position = next.position();
    const auto done = static_cast<double>(position.value() - begin.value());
    const auto left = static_cast<double>(tail.value() - std::min(tail, position).value());
    const std::chrono::duration<double, std::nano> elapsed = steady_clock::now() - since;
    options.progress({.position = position,
                      .tail = tail,
                      .left = std::chrono::nanoseconds(
                        done == 0 ? 0 : static_cast<std::int64_t>(elapsed.count() / done * left))});
  }
}

/// Of a view that lies beside the engine's log.
[[nodiscard]] std::optional<storage::view_identity> on_disk(const runtime::engine& engine,
                                                            const projection& view) {
  return engine.log().directory().empty() ? std::nullopt : view.stored_as();
}

/// It is fed at once.
[[nodiscard]] started_projector start_fed(runtime::engine& engine, projection& view,
                                          const rebuild_options& options) {
  if (options.projector.paused)
    return failure(errc::invalid_argument,
                   "rebuild_options::projector.paused: a view that is built is not paused");
  return projector::start(engine, view, options.projector);
}

} // namespace

started_projector start_serving(runtime::engine& engine, projection& first,
                                const rebuild_options& options) {
  const auto which = on_disk(engine, first);
  if (!which)
    return projector::start(engine, first, options.projector);
  const auto& store = engine.log().directory();
  if (auto removed = storage::remove_replaced_views(store, *which); !removed)
    return failure(removed);
  auto last = storage::serving_version(store, *which);
  if (!last)
    return failure(last);
  if (*last == which->version)
    return projector::start(engine, first, options.projector);
  auto started =
    *last ? start_fed(engine, first, options) : projector::start(engine, first, options.projector);
  if (!started)
    return started;
  if (*last)
    if (auto there = catch_up(engine, **started, options); !there)
      return failure(there);
  if (auto served = storage::serve_view(store, *which); !served)
    return failure(served);
  if (auto removed = storage::remove_replaced_views(store, *which); !removed)
    return failure(removed);
  return started;
}

started_projector start_beside(runtime::engine& engine, const projection& current, projection& next,
                               const rebuild_options& options) {
  const auto from = on_disk(engine, current);
  const auto to = on_disk(engine, next);
  const auto refused = [&](errc code, const char* why) {
    return failure(code, "view '" + to->label() + "' " + why);
  };
  if (from && to && from->label() == to->label())
    return refused(errc::invalid_argument,
                   "serves, and is to be built anew in the same files: raise the model's version; "
                   "or projector::reset() it, if nobody minds that it is empty meanwhile");
  if (to && from && (from->name != to->name || from->part != to->part || from->parts != to->parts))
    return refused(errc::invalid_argument, "is another view, or another part, than that which "
                                           "serves: a view is replaced by one of its versions");
  if (to && storage::is_replaced(engine.log().directory(), *to))
    return refused(errc::store_in_use, "served before, and readers have it open: let them end");
  return start_fed(engine, next, options);
}

result<void> rebuild(runtime::engine& engine, projector& current, projector& next,
                     const rebuild_options& options, const std::function<void()>& swap) {
  // What is committed while it catches up is little, and what is while it does that less.
  for (int round = 0; round < 3; ++round)
    if (auto there = catch_up(engine, next, options); !there)
      return there;
  current.pause();
  const auto reached = current.position();
  result<void> there;
  do
    there = next.wait_for(reached, options.progress_every);
  while (!there && there.error().code() == errc::timed_out);
  if (const auto which = on_disk(engine, next.view()); there && which)
    there = storage::serve_view(engine.log().directory(), *which);
  if (!there)
    current.resume();
  else
    swap();
  return there;
}

} // namespace acta::projections::detail
