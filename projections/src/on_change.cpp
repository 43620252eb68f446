#include <acta/projections/on_change.hpp>

#include <acta/runtime/background_actor.hpp>

#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace acta::projections {

namespace {

/// The view's projector does no more than wake an actor, which is woken once until it has looked.
class view_watch final : public change_subscription, private progress::listener {
public:
  view_watch(runtime::engine& engine, const projection& view,
             std::function<void(log_position)> ask_again)
      : view_(view), ask_again_(std::move(ask_again)),
        actor_(engine.system(), [this] { return run(); }) {
    view_.progress().add_listener(*this);
    actor_.wake();
  }
  ~view_watch() override { view_.progress().remove_listener(*this); }

  [[nodiscard]] result<void> status() const override {
    const std::lock_guard guard(mutex_);
    return failure_ ? result<void>(std::unexpected(*failure_)) : result<void>();
  }

private:
  void moved() noexcept override { actor_.wake(); }

  bool run() noexcept {
    if (failure_) // written by this thread alone
      return false;
    try {
      ask_again_(view_.position());
    } catch (const std::exception& thrown) {
      stop(thrown.what());
    } catch (...) {
      stop("something that is no std::exception");
    }
    return false;
  }

  void stop(const char* what) {
    const std::lock_guard guard(mutex_);
    failure_.emplace(errc::handler_failed,
                     "view '" + std::string(view_.name())
                       + "': the function that is told of its changes threw: " + what);
  }

  const projection& view_;
  const std::function<void(log_position)> ask_again_;
  mutable std::mutex mutex_;
  std::optional<error> failure_;
  runtime::background_actor actor_; // last: it ends before what it uses
};

} // namespace

std::unique_ptr<change_subscription> on_change(runtime::engine& engine, const projection& view,
                                               std::function<void(log_position)> ask_again) {
  return std::make_unique<view_watch>(engine, view, std::move(ask_again));
}

} // namespace acta::projections
