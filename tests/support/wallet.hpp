#pragma once

#include <acta/domain/aggregate.hpp>

#include <support/counter_generated.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <variant>

namespace acta::tests {

/// Answers with the balance there will be.
struct put_in {
  using reply = std::int64_t;
  std::int64_t amount = 1;
};
struct take_out {
  std::int64_t amount = 1;
};
/// Is told the time, as a code.
struct tell_time {
  using reply = std::int64_t;
};

/// An aggregate with replies, whose evolve() may throw, for tests.
struct wallet {
  static constexpr std::string_view category = "wallet";
  /// evolve() throws when the balance would be this.
  static constexpr std::int64_t unspeakable = 1'000'000'666;
  enum class refusal : std::uint16_t { empty = 1 };
  static inline std::atomic<int> decisions = 0;

  struct state {
    std::int64_t balance = 0;
  };
  using command = std::variant<put_in, take_out, tell_time>;
  using events = domain::event_list<added>;
  using out = domain::emitter<wallet>;

  static domain::decision_for<put_in> decide(const state& now, const put_in& c, out& events) {
    ++decisions;
    events.emit<added>([&](auto& b) { return Createadded(b, c.amount); });
    return now.balance + c.amount;
  }
  static domain::decision decide(const state& now, const take_out& c, out& events) {
    ++decisions;
    if (c.amount > now.balance)
      return domain::reject(refusal::empty, "there is not so much in it");
    events.emit<added>([&](auto& b) { return Createadded(b, -c.amount); });
    return domain::accept();
  }
  static domain::decision_for<tell_time> decide(const state&, const tell_time&, out& events) {
    return events.now_ns();
  }
  static void evolve(state& now, const added& e) {
    now.balance += e.amount();
    if (now.balance == unspeakable)
      throw std::runtime_error("as told");
  }
};

} // namespace acta::tests
