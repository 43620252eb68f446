#pragma once

#include <acta/projections/handlers.hpp>
#include <acta/projections/left_right.hpp>
#include <acta/projections/projection.hpp>

#include <chrono>
#include <concepts>
#include <map>
#include <utility>

namespace acta::projections {

/// A read model in memory. Readers, on any thread, never wait, and see all of it as of one position
/// of the log. It is kept twice and each event is handled twice, once for each copy; so handlers
/// must do the same with the same event. Gone with the process: it begins anew at every start.
///
///     projections::memory_view<revenue> view;
///     auto following = projections::projector::start(*engine, view);
///     auto cents = view.read([](const revenue& now) { return now.cents; });
///
/// A handler that fails costs a copy of the model.
template <read_model Model>
  requires std::copyable<Model>
class memory_view final : public projection {
public:
  explicit memory_view(const Model& initial = Model(), view_part which = {})
      : empty_(initial), part_(which), held_(content{initial}) {}

  [[nodiscard]] std::string_view name() const noexcept override { return Model::name; }
  [[nodiscard]] std::uint32_t version() const noexcept override { return Model::version; }

  /// Calls `look` with the model as it is now. Quick: the projector waits for who reads. What it
  /// returns must not point into the model.
  template <class Look>
  auto read(Look&& look) const {
    return held_.read([&](const content& now) { return look(now.model); });
  }

  /// The same once the view has reached a position, or an error: see progress::wait_for().
  template <class Look>
  auto read(log_position at_least, std::chrono::nanoseconds within, Look&& look) const
    -> result<std::invoke_result_t<Look, const Model&>> {
    if (auto there = progress().wait_for(at_least, within, name()); !there)
      return std::unexpected(std::move(there.error()));
    return read(std::forward<Look>(look));
  }

  [[nodiscard]] result<storage::scan_options> attach(const storage::event_log& log) override {
    return handlers_.attach(log, part_);
  }

  [[nodiscard]] step_result apply(const view_step& step) override {
    if (!spare_is_whole_)
      held_.spare() = held_.published();
    spare_is_whole_ = false; // until it is, also where something is thrown
    if (auto done = change(held_.spare(), step); !done)
      return done;
    held_.publish();
    spare_is_whole_ = change(held_.spare(), step).has_value(); // else it is copied at the next
    return {};
  }

  [[nodiscard]] result<void> clear() override {
    spare_is_whole_ = false; // until the next step, which copies what is shown
    held_.spare() = content{empty_};
    held_.publish();
    return {};
  }

  [[nodiscard]] result<std::vector<dead_letter>> dead_letters() const override {
    return held_.read([](const content& now) {
      std::vector<dead_letter> all;
      all.reserve(now.dead.size());
      for (const auto& [position, one] : now.dead)
        all.push_back(one);
      return all;
    });
  }

private:
  struct content {
    Model model;
    std::map<log_position, dead_letter> dead{};
  };

  [[nodiscard]] step_result change(content& in, const view_step& step) const {
    auto done = handlers_.apply(in.model, step.records);
    if (!done)
      return done;
    for (const auto& one : step.dead)
      in.dead.insert_or_assign(one.position, one);
    in.dead.erase(step.revived);
    return {};
  }

  const Model empty_;
  const view_part part_;
  handlers<Model> handlers_;
  left_right<content> held_;
  bool spare_is_whole_ = true;
};

} // namespace acta::projections
