#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/process_manager.hpp>
#include <acta/runtime/engine.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// How the runtime's compiled part runs process managers whose types it does not know.
namespace acta::runtime::detail {

/// A command of a process manager.
class outgoing_command {
public:
  virtual ~outgoing_command() = default;
  /// Tells the engine a copy; errors as engine::tell().
  [[nodiscard]] virtual result<void> send(engine& to, const command_options& with,
                                          outcome_handler handler) const = 0;
  /// For people: "refund/42".
  [[nodiscard]] virtual std::string target() const = 0;
};
using outgoing_commands = std::vector<std::unique_ptr<outgoing_command>>;

/// domain::on_failure.
struct failure_answer {
  domain::failure_action what = domain::failure_action::stop;
  std::chrono::nanoseconds after{};
  std::unique_ptr<outgoing_command> command{}; ///< If it is failure_action::instead.
};

/// An event a process manager sees, verified.
struct seen_event {
  verified_event event; ///< Its index is that in Manager::events.
  domain::event_origin origin;
};

/// The functions of one process manager; the state of an instance behind an untyped pointer. All
/// may throw what the user's functions throw.
class process_type {
public:
  using state = std::shared_ptr<void>;

  virtual ~process_type() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// In the order of Manager::events.
  [[nodiscard]] virtual std::span<const event_description> events() const noexcept = 0;
  /// The first target's category that the engine does not run; empty if it runs all.
  [[nodiscard]] virtual std::string_view missing_target(const engine& in) const noexcept = 0;
  [[nodiscard]] virtual bool verify(const verified_event& event) const noexcept = 0;

  [[nodiscard]] virtual std::vector<domain::route> route(const seen_event& event) const = 0;
  [[nodiscard]] virtual state make_state() const = 0;
  [[nodiscard]] virtual state copy(const state& of) const = 0;
  virtual void evolve(const state& of, const seen_event& event) const = 0;
  [[nodiscard]] virtual outgoing_commands handle(const state& of, const seen_event& event,
                                                 const domain::stream_key& instance) const = 0;
  [[nodiscard]] virtual failure_answer failed(const state& of, const outgoing_command& command,
                                              const domain::event_origin& origin, const error& why,
                                              unsigned attempt) const = 0;
};

/// None if the text is no key of a stream.
[[nodiscard]] inline std::optional<stream_id> stream_of(category_id category,
                                                        const domain::stream_key& key) {
  return std::visit(
    [&]<class Key>(const Key& one) -> std::optional<stream_id> {
      if constexpr (std::is_same_v<Key, std::string>)
        return stream_id::from_text(category, one);
      else
        return stream_id(category, one);
    },
    key);
}

template <class Manager>
class typed_command final : public outgoing_command {
public:
  explicit typed_command(domain::sent_command<Manager> command) : command_(std::move(command)) {}

  [[nodiscard]] const domain::sent_command<Manager>& command() const noexcept { return command_; }

  [[nodiscard]] result<void> send(engine& to, const command_options& with,
                                  outcome_handler handler) const override {
    return std::visit(
      [&]<class Aggregate>(const domain::command_to<Aggregate>& one) -> result<void> {
        const auto stream = stream_of(to.category<Aggregate>(), one.key);
        if (!stream)
          return failure(errc::invalid_argument,
                         "process manager '" + std::string(std::string_view(Manager::name))
                           + "': a text that is no stream key, for " + target());
        using outcome_type = outcome_for<typename Aggregate::command>;
        return to.tell<Aggregate>(
          *stream, one.command,
          [answer = std::move(handler)](outcome_type&& how) mutable {
            if (how)
              answer(receipt(*how));
            else
              answer(std::unexpected(std::move(how.error())));
          },
          with);
      },
      command_);
  }

  [[nodiscard]] std::string target() const override {
    return std::visit(
      []<class Aggregate>(const domain::command_to<Aggregate>& one) {
        const std::string category{std::string_view(Aggregate::category)};
        const auto stream = stream_of(category_id(), one.key);
        return stream ? stream->to_string(category) : category + "/?";
      },
      command_);
  }

private:
  domain::sent_command<Manager> command_;
};

template <domain::process_manager Manager>
class typed_process final : public process_type {
public:
  [[nodiscard]] std::string_view name() const noexcept override { return Manager::name; }

  [[nodiscard]] std::span<const event_description> events() const noexcept override {
    return []<class... Events>(domain::event_list<Events...>) {
      static const event_description all[] = {
        {Events::GetFullyQualifiedName(), domain::schema_version<Events>, schema_of<Events>}...};
      return std::span<const event_description>(all);
    }(typename Manager::events{});
  }

  [[nodiscard]] std::string_view missing_target(const engine& in) const noexcept override {
    std::string_view missing;
    [&]<class... Targets>(domain::aggregate_list<Targets...>) {
      (void)((in.category<Targets>() == category_id()
              && (missing = std::string_view(Targets::category), true))
             || ...);
    }(typename Manager::targets{});
    return missing;
  }

  [[nodiscard]] bool verify(const verified_event& event) const noexcept override {
    bool well_formed = false;
    choose(event.index,
           [&]<class Event>() { well_formed = domain::verified<Event>(event.payload) != nullptr; });
    return well_formed;
  }

  [[nodiscard]] std::vector<domain::route> route(const seen_event& seen) const override {
    std::vector<domain::route> all;
    with(seen, [&](const auto& event) { all = domain::routes_of<Manager>(event, seen.origin); });
    return all;
  }
  [[nodiscard]] state make_state() const override { return std::make_shared<state_type>(); }
  [[nodiscard]] state copy(const state& of) const override {
    return std::make_shared<state_type>(of_type(of));
  }
  void evolve(const state& of, const seen_event& seen) const override {
    with(seen, [&](const auto& event) { Manager::evolve(of_type(of), event, seen.origin); });
  }
  [[nodiscard]] outgoing_commands handle(const state& of, const seen_event& seen,
                                         const domain::stream_key& instance) const override {
    domain::commands<Manager> out(instance);
    with(seen, [&](const auto& event) {
      Manager::handle(std::as_const(of_type(of)), event, seen.origin, out);
    });
    outgoing_commands all;
    for (auto& one : out.take())
      all.push_back(std::make_unique<typed_command<Manager>>(std::move(one)));
    return all;
  }

  [[nodiscard]] failure_answer failed([[maybe_unused]] const state& of,
                                      [[maybe_unused]] const outgoing_command& command,
                                      [[maybe_unused]] const domain::event_origin& origin,
                                      [[maybe_unused]] const error& why,
                                      [[maybe_unused]] unsigned attempt) const override {
    failure_answer answer;
    if constexpr (domain::has_failure_policy<Manager>) {
      const auto& typed = static_cast<const typed_command<Manager>&>(command);
      auto decided = Manager::failed(
        std::as_const(of_type(of)),
        {.command = typed.command(), .origin = origin, .why = why, .attempt = attempt});
      answer.what = decided.what();
      answer.after = decided.after();
      if (decided.command())
        answer.command = std::make_unique<typed_command<Manager>>(std::move(*decided.command()));
    }
    return answer;
  }

private:
  using state_type = typename Manager::state;
  [[nodiscard]] static state_type& of_type(const state& of) noexcept {
    return *static_cast<state_type*>(of.get());
  }

  /// Calls `run` for the event type with this index.
  template <class Function>
  static void choose(std::size_t index, Function&& run) {
    [&]<class... Events>(domain::event_list<Events...>) {
      std::size_t at = 0;
      (void)((at++ == index && (run.template operator()<Events>(), true)) || ...);
    }(typename Manager::events{});
  }
  template <class Function>
  static void with(const seen_event& seen, Function&& run) {
    choose(seen.event.index,
           [&]<class Event>() { run(*flatbuffers::GetRoot<Event>(seen.event.payload.data())); });
  }
};

} // namespace acta::runtime::detail
