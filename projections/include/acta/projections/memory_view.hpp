#pragma once

#include <acta/base/limits.hpp>
#include <acta/projections/handlers.hpp>
#include <acta/projections/left_right.hpp>
#include <acta/projections/projection.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace acta::projections {

/// A read model in memory. Readers, on any thread, never wait, and see all of it as of one position
/// of the log. It is kept twice and each event is handled twice, once for each copy; so handlers
/// must do the same with the same event. Where it is far behind, each event is handled once, and
/// what was done is shown, by a copy of the model, every limits::view_show_every or so. Gone with
/// the process: it begins anew at every start.
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
    if (store_.empty())
      store_ = log.store_id();
    const auto refused = [&](const std::string& why) {
      return failure(errc::corrupt, "view '" + std::string(name()) + "' " + why
                                      + "; make another, which begins anew");
    };
    if (store_ != log.store_id())
      return refused("is of another store");
    if (position() > log.tail())
      return refused("is ahead of the log: at position " + std::to_string(position().value())
                     + ", and the log ends at " + std::to_string(log.tail().value()));
    spare_ = spare_ == spare::ahead ? spare::broken : spare_;
    return handlers_.attach(log, part_);
  }

  [[nodiscard]] step_result apply(const view_step& step) override {
    if (spare_ == spare::broken)
      mend_spare();
    const auto was = std::exchange(spare_, spare::broken); // also where something is thrown
    if (auto done = change(held_.spare(), step); !done)
      return done;
    if (step.left > limits::view_window && clock::now() < show_at_) {
      spare_ = spare::ahead;
      return {};
    }
    held_.publish();
    show_at_ = clock::now() + limits::view_show_every;
    if (was == spare::same && repeat(step))
      spare_ = spare::same;
    return {};
  }

  [[nodiscard]] bool is_shown() const noexcept override { return spare_ != spare::ahead; }

  [[nodiscard]] result<void> clear() override {
    spare_ = spare::broken; // and is mended when it is needed
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
  using clock = std::chrono::steady_clock;
  /// The copy that nobody reads: as the one that is read, some steps ahead of it, or not whole.
  enum class spare : std::uint8_t { same, ahead, broken };
  struct content {
    Model model;
    std::map<log_position, dead_letter> dead{};
  };

  void mend_spare() {
    const auto start = clock::now();
    held_.spare() = held_.published();
    spare_ = spare::same;
    const auto end = clock::now();
    show_at_ = std::max(show_at_, end + limits::view_show_share * (end - start));
  }

  /// In the copy that is behind. Readers have the step already: nothing can fail it any more.
  [[nodiscard]] bool repeat(const view_step& step) noexcept {
    try {
      return change(held_.spare(), step).has_value();
    } catch (...) {
      return false;
    }
  }

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
  std::string store_; ///< Of the log it is built from.
  const view_part part_;
  handlers<Model> handlers_;
  left_right<content> held_;
  spare spare_ = spare::same;
  clock::time_point show_at_;
};

} // namespace acta::projections
