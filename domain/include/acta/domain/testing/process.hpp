#pragma once

#include <acta/domain/process_manager.hpp>
#include <acta/domain/testing/any_event.hpp>

#include <concepts>
#include <cstddef>
#include <map>
#include <utility>
#include <variant>
#include <vector>

/// Tests of process managers without actor, engine or log: given events, when an event comes, then
/// commands. `event<...>()` is any_event.hpp's.
///
///     process<refunds> shop;
///     const auto sent = shop.sees(cancelled(100), {.key = 7U});
///     ASSERT_EQ(sent->size(), 1U);
///     EXPECT_EQ((command_in<refund, request_refund>(sent->front())->amount), 100);
///     EXPECT_TRUE(shop.find(7U)->asked);
namespace acta::domain::testing {

/// The command, if it is one of this kind to this aggregate, with any key; nullptr if not.
template <class Aggregate, class Command, class... Targets>
[[nodiscard]] const Command* command_in(const std::variant<command_to<Targets>...>& sent) {
  const auto* to = std::get_if<command_to<Aggregate>>(&sent);
  if constexpr (std::same_as<Command, typename Aggregate::command>)
    return to == nullptr ? nullptr : &to->command;
  else
    return to == nullptr ? nullptr : std::get_if<Command>(&to->command);
}

/// The key of the aggregate it goes to.
template <class... Targets>
[[nodiscard]] const stream_key& key_of(const std::variant<command_to<Targets>...>& sent) {
  return std::visit([](const auto& to) -> const stream_key& { return to.key; }, sent);
}

/// A process manager and its instances. Not thread-safe.
template <process_manager Manager>
class process {
public:
  using state_type = typename Manager::state;
  using sent = std::vector<sent_command<Manager>>;

  /// What the manager sends when it sees this event: of each instance in the order of its routes.
  /// Taken to be accepted. errc::wrong_version or errc::not_found where start_new() or
  /// must_continue() does not hold: then nothing changed.
  template <class Event>
  result<sent> sees(const event_of<Event>& event, const event_origin& from) {
    static_assert(Manager::events::template index_of<Event>() < Manager::events::size,
                  "sees(event<Event>): Event is not in Manager::events");
    const auto& table = *event.template as<Event>();
    const auto to = routes_of<Manager>(table, from);
    for (const auto& one : to)
      if (auto handled = is_handled(one, instances_.contains(one.instance)); !handled)
        return failure(handled);
    sent all;
    for (const auto& one : to) {
      if (!*is_handled(one, instances_.contains(one.instance)))
        continue;
      auto& state = instances_[one.instance];
      commands<Manager> out(one.instance);
      Manager::handle(std::as_const(state), table, from, out);
      Manager::evolve(state, table, from);
      if (one.what == route::kind::stop)
        instances_.erase(one.instance);
      for (auto& command : out.take())
        all.push_back(std::move(command));
    }
    return all;
  }

  /// nullptr if there is no such instance.
  [[nodiscard]] const state_type* find(const stream_key& instance) const {
    const auto found = instances_.find(instance);
    return found == instances_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::size_t size() const noexcept { return instances_.size(); }

private:
  std::map<stream_key, state_type> instances_;
};

} // namespace acta::domain::testing
