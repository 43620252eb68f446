#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// The vocabulary of a process manager: events come in, commands go out. As an aggregate it is a
/// struct with nothing but types and pure static functions; runtime::process_manager runs it.
///
///     struct refunds {
///       static constexpr std::string_view name = "refunds"; // for good: command ids come from it
///       struct state { bool asked = false; };               // one per instance
///       using events = domain::event_list<order_cancelled, refund_confirmed>; // of any category
///       using targets = domain::aggregate_list<refund>;     // what it sends commands to
///       using origin = domain::event_origin;
///       using out = domain::commands<refunds>;
///
///       static domain::route route(const order_cancelled&, const origin& from) {
///         return domain::start(from.key);
///       }
///       static domain::route route(const refund_confirmed&, const origin& from) {
///         return domain::stop(from.key);
///       }
///       static void handle(const state&, const order_cancelled& e, const origin& from, out& to) {
///         to.send<refund>(from.key, request_refund{.amount = e.paid()});
///       }
///       static void handle(const state&, const refund_confirmed&, const origin&, out&) {}
///       static void evolve(state& now, const order_cancelled&, const origin&) noexcept {
///         now.asked = true;
///       }
///       static void evolve(state&, const refund_confirmed&, const origin&) noexcept {}
///
///       // Optional: what becomes of a command that was refused. Without it the manager stops.
///       static domain::on_failure<refunds> failed(const state&,
///                                                 const domain::failed_command<refunds>&);
///     };
namespace acta::domain {

/// The key of a stream, or of an instance of a process manager: a number, a UUID, or text.
using stream_key = std::variant<std::uint64_t, std::array<std::byte, 16>, std::string>;

/// Where an event comes from.
struct event_origin {
  stream_key key;            ///< Of its stream.
  std::string_view category; ///< Of its stream: "order". Borrowed.
  stream_version version;
  log_position position;
  std::int64_t recorded_at_ns = 0; ///< Since 1970-01-01T00:00:00Z.
};

/// Which instance an event is for, and what that means for it. route() returns one, or a
/// std::vector of them, each of another instance.
struct route {
  enum class kind : std::uint8_t { ignore, start, start_new, continue_with, must_continue, stop };
  kind what = kind::ignore;
  stream_key instance{};
};

/// Of no interest.
[[nodiscard]] inline route ignore() {
  return {};
}
/// Handled by the instance, which begins as state{} if it is not there.
[[nodiscard]] inline route start(stream_key instance) {
  return {route::kind::start, std::move(instance)};
}
/// As start(), and the manager stops with errc::wrong_version if the instance is there already.
[[nodiscard]] inline route start_new(stream_key instance) {
  return {route::kind::start_new, std::move(instance)};
}
/// Handled by the instance; of no interest if it is not there.
[[nodiscard]] inline route continue_with(stream_key instance) {
  return {route::kind::continue_with, std::move(instance)};
}
/// As continue_with(), and the manager stops with errc::not_found if the instance is not there.
[[nodiscard]] inline route must_continue(stream_key instance) {
  return {route::kind::must_continue, std::move(instance)};
}
/// Handled by the instance as its last event: then there is none. Of no interest if it is not
/// there.
[[nodiscard]] inline route stop(stream_key instance) {
  return {route::kind::stop, std::move(instance)};
}

/// The aggregates a process manager sends commands to.
template <class... Aggregates>
struct aggregate_list {
  template <class Aggregate>
  static constexpr bool contains = (std::same_as<Aggregate, Aggregates> || ...);
};

/// A command on its way to an aggregate.
template <class Aggregate>
struct command_to {
  stream_key key;
  typename Aggregate::command command;
};

namespace detail {

template <class Targets>
struct command_to_one_of;
template <class... Aggregates>
struct command_to_one_of<aggregate_list<Aggregates...>> {
  using type = std::variant<command_to<Aggregates>...>;
};

} // namespace detail

/// A command to one of the manager's targets: a std::variant of command_to<Aggregate>.
template <class Manager>
using sent_command = typename detail::command_to_one_of<typename Manager::targets>::type;

namespace detail {

template <class Manager, class Aggregate, class Command>
[[nodiscard]] sent_command<Manager> address(stream_key key, Command command) {
  static_assert(Manager::targets::template contains<Aggregate>,
                "a command is sent to an aggregate that is not in Manager::targets");
  return command_to<Aggregate>{std::move(key), typename Aggregate::command(std::move(command))};
}

} // namespace detail

/// Where handle() puts its commands. Lives for one event of one instance.
template <class Manager>
class commands {
public:
  explicit commands(stream_key instance) : instance_(std::move(instance)) {}

  /// The instance that handles the event, as route() named it.
  [[nodiscard]] const stream_key& instance() const noexcept { return instance_; }

  /// To the aggregate with this key. A text that is no key (empty, or over limits::max_key_size)
  /// fails the command with errc::invalid_argument.
  template <class Aggregate, class Command>
    requires command_of<Command, Aggregate>
  void send(stream_key key, Command command) {
    collected_.push_back(detail::address<Manager, Aggregate>(std::move(key), std::move(command)));
  }

  [[nodiscard]] const std::vector<sent_command<Manager>>& collected() const noexcept {
    return collected_;
  }
  [[nodiscard]] std::vector<sent_command<Manager>> take() noexcept { return std::move(collected_); }

private:
  stream_key instance_;
  std::vector<sent_command<Manager>> collected_;
};

/// What failed() is asked about. Borrows.
template <class Manager>
struct failed_command {
  const sent_command<Manager>& command;
  const event_origin& origin; ///< Of the event it answers.
  /// errc::rejected with the aggregate's code; or errc::handler_failed, too_large, invalid_argument
  /// and what else does not pass by itself.
  const error& why;
  /// From 1: how often the command, and those sent instead of it, have failed. Retries count anew
  /// after a restart.
  unsigned attempt = 1;
};

enum class failure_action : std::uint8_t { retry, skip, stop, instead };

/// What is done about a failed command.
template <class Manager>
class on_failure {
public:
  /// It is sent again after so long.
  [[nodiscard]] static on_failure retry(std::chrono::nanoseconds after = {}) {
    return {failure_action::retry, after, {}};
  }
  /// As if it had not been sent.
  [[nodiscard]] static on_failure skip() { return {failure_action::skip, {}, {}}; }
  /// The manager stops before the event, with the error in its status. Started again, it sends the
  /// command again.
  [[nodiscard]] static on_failure stop() { return {failure_action::stop, {}, {}}; }
  /// This one is sent in its place.
  template <class Aggregate, class Command>
    requires command_of<Command, Aggregate>
  [[nodiscard]] static on_failure instead(stream_key key, Command command) {
    return {failure_action::instead,
            {},
            detail::address<Manager, Aggregate>(std::move(key), std::move(command))};
  }

  [[nodiscard]] failure_action what() const noexcept { return what_; }
  [[nodiscard]] std::chrono::nanoseconds after() const noexcept { return after_; }
  /// The command, if it is failure_action::instead.
  [[nodiscard]] std::optional<sent_command<Manager>>& command() noexcept { return command_; }

private:
  on_failure(failure_action what, std::chrono::nanoseconds after,
             std::optional<sent_command<Manager>> command)
      : what_(what), after_(after), command_(std::move(command)) {}

  failure_action what_;
  std::chrono::nanoseconds after_;
  std::optional<sent_command<Manager>> command_;
};

namespace detail {

template <class Manager, class Event>
concept routes = requires(const Event& event, const event_origin& from) {
  requires std::same_as<decltype(Manager::route(event, from)), route>
             || std::same_as<decltype(Manager::route(event, from)), std::vector<route>>;
  { Event::GetFullyQualifiedName() } -> std::convertible_to<const char*>;
};
template <class Manager, class Event>
concept handles = requires(const typename Manager::state& state, const Event& event,
                           const event_origin& from, commands<Manager>& out) {
  { Manager::handle(state, event, from, out) } -> std::same_as<void>;
};
template <class Manager, class Event>
concept evolves_process =
  requires(typename Manager::state& state, const Event& event, const event_origin& from) {
    { Manager::evolve(state, event, from) } noexcept -> std::same_as<void>;
  };
template <class Manager, class Event>
concept follows =
  routes<Manager, Event> && handles<Manager, Event> && evolves_process<Manager, Event>;

template <class Manager, class Events>
inline constexpr bool follows_all = false;
template <class Manager, class... Events>
inline constexpr bool follows_all<Manager, event_list<Events...>> =
  (follows<Manager, Events> && ...);

template <class Targets>
inline constexpr bool are_targets = false;
template <class... Aggregates>
inline constexpr bool are_targets<aggregate_list<Aggregates...>> =
  ((aggregate<Aggregates> && std::copy_constructible<typename Aggregates::command>) && ...);

template <class Manager>
concept decides_failures =
  requires(const typename Manager::state& state, const failed_command<Manager>& what) {
    { Manager::failed(state, what) } -> std::same_as<on_failure<Manager>>;
  };

} // namespace detail

/// True if a manager says what becomes of a command that failed.
template <class Manager>
concept has_failure_policy = requires { &Manager::failed; };

/// What runtime::process_manager runs. The state of an instance is a fold of the events that were
/// routed to it: handle() sees it as it was before the event, and evolve() follows when the
/// commands are settled. All of them are to depend on nothing but their arguments: after a restart
/// they are called again with the same events, and must come to the same.
template <class Manager>
concept process_manager =
  requires {
    { Manager::name } -> std::convertible_to<std::string_view>;
    typename Manager::events;
    typename Manager::targets;
  } && std::default_initializable<typename Manager::state> && std::copyable<typename Manager::state>
  && detail::are_targets<typename Manager::targets>
  && detail::follows_all<Manager, typename Manager::events>
  && (!has_failure_policy<Manager> || detail::decides_failures<Manager>);

namespace detail {

template <class Manager, class Event>
consteval void require_follows() {
  static_assert(routes<Manager, Event>,
                "an event of the process manager has no route(const Event&, const "
                "domain::event_origin&) that returns domain::route or a std::vector of them, or is "
                "no table made by flatc with --gen-name-strings (acta_add_schema does)");
  static_assert(handles<Manager, Event>,
                "an event of the process manager has no void handle(const state&, const Event&, "
                "const domain::event_origin&, domain::commands<Manager>&)");
  static_assert(evolves_process<Manager, Event>,
                "an event of the process manager has no void evolve(state&, const Event&, const "
                "domain::event_origin&) noexcept");
}
template <class Manager, class... Events>
consteval void require_follows_all(event_list<Events...>) {
  (require_follows<Manager, Events>(), ...);
}

} // namespace detail

/// Does not compile for what is no process manager, and says what is missing.
template <class Manager>
consteval void require_process_manager() {
  static_assert(
    requires {
      { Manager::name } -> std::convertible_to<std::string_view>;
    }, "a process manager needs a name: static constexpr std::string_view name = \"refunds\";");
  static_assert(
    requires { typename Manager::state; },
    "a process manager needs a state of its instances: struct state { ... };");
  static_assert(
    requires { typename Manager::events; },
    "a process manager needs events: using events = domain::event_list<cancelled, paid>;");
  static_assert(
    requires { typename Manager::targets; },
    "a process manager needs targets: using targets = domain::aggregate_list<refund>;");
  static_assert(std::default_initializable<typename Manager::state>
                  && std::copyable<typename Manager::state>,
                "an instance begins as state{}, which is copied: it needs a default constructor, "
                "a copy constructor and an assignment");
  static_assert(detail::are_targets<typename Manager::targets>,
                "a process manager's targets are a domain::aggregate_list of aggregates whose "
                "commands can be copied: they may have to be sent again");
  detail::require_follows_all<Manager>(typename Manager::events{});
  static_assert(!has_failure_policy<Manager> || detail::decides_failures<Manager>,
                "failed() takes (const state&, const domain::failed_command<Manager>&) and returns "
                "domain::on_failure<Manager>");
  static_assert(process_manager<Manager>);
}

/// What a route means for an instance that is there, or is not. Errors are those of start_new() and
/// must_continue().
[[nodiscard]] inline result<bool> is_handled(const route& of, bool is_there) {
  switch (of.what) {
    case route::kind::ignore: return false;
    case route::kind::start: return true;
    case route::kind::start_new:
      if (is_there)
        return failure(errc::wrong_version, "start_new(): the instance is there already");
      return true;
    case route::kind::must_continue:
      if (!is_there)
        return failure(errc::not_found, "must_continue(): the instance is not there");
      return true;
    case route::kind::continue_with:
    case route::kind::stop: break;
  }
  return is_there;
}

/// As route(), always a list, without what is ignored.
template <process_manager Manager, class Event>
[[nodiscard]] std::vector<route> routes_of(const Event& event, const event_origin& from) {
  std::vector<route> all;
  if constexpr (std::same_as<decltype(Manager::route(event, from)), route>)
    all.push_back(Manager::route(event, from));
  else
    all = Manager::route(event, from);
  std::erase_if(all, [](const route& one) { return one.what == route::kind::ignore; });
  return all;
}

} // namespace acta::domain
