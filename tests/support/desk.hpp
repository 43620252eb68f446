#pragma once

#include "wallet.hpp"

#include <acta/domain/aggregate.hpp>
#include <acta/domain/process_manager.hpp>

#include <support/desk_generated.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

/// A process manager that does what the events tell it to, for tests: a desk where things are
/// asked, a clerk who sees it and moves money between wallets.
namespace acta::tests {

enum class deed : std::int32_t {
  start,
  start_new,
  continue_with,
  must_continue,
  stop,
  start_two, ///< The instance and the next one.
  same_twice,
  fail_to_route,
  fail_to_handle,
  ask_time,   ///< A command that stores nothing.
  put_in_two, ///< Two commands, the second to another wallet.
  ignored,
};

struct ask_for {
  deed what = deed::start;
  std::uint64_t instance = 1;
  std::int64_t amount = 0;
};

struct desk {
  static constexpr std::string_view category = "desk";
  struct state {};
  using command = ask_for;
  using events = domain::event_list<asked>;

  static domain::decision decide(const state&, const ask_for& c, domain::emitter<desk>& out) {
    out.emit<asked>([&](auto& builder) {
      return Createasked(builder, static_cast<std::int32_t>(c.what), c.instance, c.amount);
    });
    return domain::accept();
  }
  static void evolve(state&, const asked&) noexcept {}
};

/// Puts the sum of all amounts into the instance's wallet; takes an amount below 0 out of it.
struct clerk {
  static constexpr std::string_view name = "clerk";
  /// Where the second of two commands goes.
  static constexpr std::uint64_t second_wallet = 1'000;

  struct state {
    std::int64_t sum = 0;
  };
  using events = domain::event_list<asked>;
  using targets = domain::aggregate_list<wallet, desk>;
  using origin = domain::event_origin;
  using out = domain::commands<clerk>;
  using policy = domain::on_failure<clerk>;

  static std::vector<domain::route> route(const asked& e, const origin&) {
    const auto instance = e.instance();
    switch (static_cast<deed>(e.what())) {
      case deed::start_new: return {domain::start_new(instance)};
      case deed::continue_with: return {domain::continue_with(instance)};
      case deed::must_continue: return {domain::must_continue(instance)};
      case deed::stop: return {domain::stop(instance)};
      case deed::start_two: return {domain::start(instance), domain::start(instance + 1)};
      case deed::same_twice: return {domain::start(instance), domain::stop(instance)};
      case deed::fail_to_route: throw std::runtime_error("told to fail");
      case deed::ignored: return {domain::ignore()};
      default: return {domain::start(instance)};
    }
  }

  static void handle(const state& now, const asked& e, const origin&, out& to) {
    if (static_cast<deed>(e.what()) == deed::fail_to_handle)
      throw std::runtime_error("told to fail");
    if (static_cast<deed>(e.what()) == deed::ask_time)
      to.send<wallet>(to.instance(), tell_time{});
    else if (e.amount() < 0)
      to.send<wallet>(to.instance(), take_out{-e.amount()});
    else if (e.amount() > 0)
      to.send<wallet>(to.instance(), put_in{now.sum + e.amount()});
    if (static_cast<deed>(e.what()) == deed::put_in_two)
      to.send<wallet>(second_wallet, put_in{now.sum + e.amount()});
  }
  static void evolve(state& now, const asked& e, const origin&) noexcept { now.sum += e.amount(); }

  /// By the amount that could not be taken out.
  static constexpr std::int64_t skipped = 100;
  static constexpr std::int64_t replaced = 200;      ///< By putting 7 into the second wallet.
  static constexpr std::int64_t retried = 300;       ///< Until it succeeds.
  static constexpr std::int64_t retried_twice = 400; ///< And then skipped.
  static constexpr std::int64_t halved = 512;        ///< Replaced by half of it, on and on.
  static constexpr std::int64_t policy_fails = 600;

  static policy failed(const state&, const domain::failed_command<clerk>& what) {
    const auto* command = std::get_if<domain::command_to<wallet>>(&what.command);
    const auto* taken = command == nullptr ? nullptr : std::get_if<take_out>(&command->command);
    if (taken == nullptr)
      return policy::stop();
    switch (taken->amount) {
      case skipped: return policy::skip();
      case replaced: return policy::instead<wallet>(second_wallet, put_in{7});
      case retried: return policy::retry(std::chrono::milliseconds(1));
      case retried_twice: return what.attempt < 3 ? policy::retry() : policy::skip();
      case policy_fails: throw std::runtime_error("told to fail");
      default: break;
    }
    if (taken->amount <= halved && halved % taken->amount == 0 && taken->amount > 1)
      return policy::instead<wallet>(command->key, take_out{taken->amount / 2});
    return policy::stop();
  }
};

} // namespace acta::tests
