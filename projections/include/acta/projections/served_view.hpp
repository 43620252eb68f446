#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/projector.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace acta::projections {

/// How far a rebuild is.
struct rebuild_progress {
  log_position position;           ///< Of the new view.
  log_position tail;               ///< Of the log.
  std::chrono::nanoseconds left{}; ///< At the pace so far.
};

struct rebuild_options {
  projector_options projector{};
  /// Called some times a second while the new view is behind.
  std::function<void(const rebuild_progress&)> progress{};
  std::chrono::milliseconds progress_every{200};
};

namespace detail {

using started_projector = result<std::unique_ptr<projector>>;

/// Starts `first`. Where another version of it served last, feeds it until it is as far, and lets
/// it serve in the other's place, which is removed.
[[nodiscard]] started_projector start_serving(runtime::engine& engine, projection& first,
                                              const rebuild_options& options);

/// Starts `next` beside `current`; refuses a view that lies in the same files.
[[nodiscard]] started_projector start_beside(runtime::engine& engine, const projection& current,
                                             projection& next, const rebuild_options& options);

/// Feeds `next` beside `current`, which goes on, until it is as far; then `current` is stopped,
/// `next` is made as far as that was, the link on disk names it, and `swap` is called. On an error
/// `current` goes on.
[[nodiscard]] result<void> rebuild(runtime::engine& engine, projector& current, projector& next,
                                   const rebuild_options& options,
                                   const std::function<void()>& swap);

} // namespace detail

/// What readers know a view by, while the view behind it is built anew: of another version, or, in
/// memory, of the same. The old one answers until the new one has caught up; then, in one step, the
/// new one does. No query fails, waits longer or goes back for it.
///
///     projections::served_view<any_lmdb_view> served;
///     served.start(*engine, std::make_shared<lmdb_view<revenue_1>>());
///     served.read([](const auto& now) { ... });
///     served.rebuild(*engine, std::make_shared<lmdb_view<revenue_2>>()); // elsewhere, meanwhile
///
/// View: memory_view<Model>, any_lmdb_view or any_sqlite_view.
/// On disk: `<store>/views/<name>` links to the version that serves, for other processes and the
/// next start: storage::serving_version() says which it is. The old version's files are removed
/// with its last reader in this process. A kill at any moment leaves a link to the one or the
/// other; what was built goes on where it was, and what was replaced is removed at the next start.
///
/// Threads: read() and view() from any; start() and rebuild() from one at a time.
/// Lifecycle: as a projector: the engine must outlive it.
template <class View>
class served_view {
public:
  /// Follows the engine with the first view. If on disk another version served last, it waits until
  /// `first` is as far; other processes read the other one meanwhile, and a program that still has
  /// its model starts that and rebuilds, to have it answer here too. Errors: those of
  /// projector::start(), or that stopped it; of the link: storage::serve_view().
  [[nodiscard]] result<void> start(runtime::engine& engine, std::shared_ptr<View> first,
                                   const rebuild_options& options = {}) {
    auto started = detail::start_serving(engine, *first, options);
    if (!started)
      return failure(started);
    following_ = std::move(*started);
    publish(std::move(first));
    return {};
  }

  /// Builds `next` at full speed beside the one that serves, and serves it when this returns: the
  /// calling thread waits meanwhile. The old view is let go then, and ends with its last reader. A
  /// view on disk that was built in part, as the process was killed, goes on where it was.
  /// An error (as of start(); invalid_argument for what lies in the same files; store_in_use while
  /// readers keep what was there) leaves the old one serving.
  [[nodiscard]] result<void> rebuild(runtime::engine& engine, std::shared_ptr<View> next,
                                     const rebuild_options& options = {}) {
    auto old = view();
    auto started = detail::start_beside(engine, *old, *next, options);
    if (!started)
      return failure(started);
    auto done =
      detail::rebuild(engine, *following_, **started, options, [&] { publish(std::move(next)); });
    if (!done)
      return done;
    // Who waits in the old one for a position that it will not reach waits in the new one.
    old->progress().stop(error(errc::engine_stopped, "the view was replaced"));
    following_ = std::move(*started);
    old->remove_at_end();
    // To close and remove its files takes time: a reader's, where one is inside for that long.
    for (int i = 0; i < 100 && old.use_count() > 1; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {};
  }

  /// The view that serves now; valid as long as it is held.
  [[nodiscard]] std::shared_ptr<View> view() const {
    const std::lock_guard guard(mutex_);
    return view_;
  }
  /// Of the view that serves; not while rebuild() runs.
  [[nodiscard]] projector& following() const noexcept { return *following_; }

  /// Of the view that serves now.
  template <class Look>
  auto read(Look&& look) const {
    return view()->read(std::forward<Look>(look));
  }
  /// The same once it has reached a position; also where it is replaced meanwhile.
  template <class Look>
  auto read(log_position at_least, std::chrono::nanoseconds within, Look&& look) const {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365); // a clock can add it
    const auto until = std::chrono::steady_clock::now() + std::min(within, longest);
    for (;;) {
      const auto now = view();
      const auto left = until - std::chrono::steady_clock::now();
      auto found = now->read(at_least, left, look);
      if (found || now == view())
        return found;
    }
  }

private:
  void publish(std::shared_ptr<View> next) {
    const std::lock_guard guard(mutex_);
    view_.swap(next); // the old one may end here, out of the lock
  }

  mutable std::mutex mutex_;
  std::shared_ptr<View> view_;
  std::unique_ptr<projector> following_; // ends first
};

} // namespace acta::projections
