#include <acta/projections/served_view.hpp>

#include <algorithm>

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

} // namespace

result<void> rebuild(runtime::engine& engine, projector& current, projector& next,
                     const rebuild_options& options, const std::function<void()>& swap) {
  if (options.projector.paused)
    return failure(errc::invalid_argument,
                   "rebuild_options::projector.paused: a view that is built is not paused");
  // What is committed while it catches up is little, and what is while it does that less.
  for (int round = 0; round < 3; ++round)
    if (auto there = catch_up(engine, next, options); !there)
      return there;
  current.pause();
  const auto reached = current.position();
  for (;;) {
    auto there = next.wait_for(reached, options.progress_every);
    if (there)
      break;
    if (there.error().code() != errc::timed_out) {
      current.resume();
      return there;
    }
  }
  swap();
  return {};
}

} // namespace acta::projections::detail
