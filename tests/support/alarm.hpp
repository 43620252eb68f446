#pragma once

#include <acta/domain/aggregate.hpp>

#include <support/counter_generated.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <variant>
#include <vector>

namespace acta::tests {

enum class bell : std::uint64_t {
  first = 1,
  second = 2,
  third = 3,
  throwing = 10,  ///< While alarm::throws.
  refusing = 11,  ///< Its on_timer() emits, sets a timer, and rejects.
  repeating = 12, ///< Sets itself again, 100 ns later, until it has rung three times.
  crossing = 13,  ///< Cancels the first and sets the second to the time it is, and 5 ns.
};

struct set_bell {
  timer_id which;
  std::int64_t due_ns = 0; ///< 0: cancel it.
  enum class end { accept, reject, fail } how = end::accept;
};
/// In this order.
struct set_bells {
  std::vector<set_bell> all;
};

/// An aggregate that does what it is told with timers, and stores the number of each that fires.
struct alarm {
  static constexpr std::string_view category = "alarm";
  static inline std::atomic<bool> throws = false;

  struct state {
    std::int64_t sum = 0;
  };
  using command = std::variant<set_bell, set_bells>;
  using events = domain::event_list<added>;
  using out = domain::emitter<alarm>;
  enum class refusal : std::uint16_t { as_told = 1 };

  static domain::decision decide(const state&, const set_bell& c, out& events) {
    if (c.due_ns != 0)
      events.set_timer(c.which, c.due_ns);
    else
      events.cancel_timer(c.which);
    if (c.how == set_bell::end::fail)
      throw std::runtime_error("as told");
    if (c.how == set_bell::end::reject)
      return domain::reject(refusal::as_told, "as told");
    return domain::accept();
  }
  static domain::decision decide(const state& now, const set_bells& c, out& events) {
    for (const auto& one : c.all)
      if (auto decided = decide(now, one, events); !decided)
        return decided;
    return domain::accept();
  }
  static domain::decision on_timer(const state& now, timer_id id, out& events) {
    if (id == bell::throwing && throws)
      throw std::runtime_error("as told");
    events.emit<added>(
      [&](auto& b) { return Createadded(b, static_cast<std::int64_t>(id.value())); });
    if (id == bell::repeating && now.sum < 24)
      events.set_timer(id, events.now_ns() + 100);
    if (id == bell::crossing) {
      events.cancel_timer(bell::first);
      events.set_timer(bell::second, events.now_ns() + 5);
    }
    if (id == bell::refusing) {
      events.set_timer(bell::first, 1);
      return domain::reject(refusal::as_told, "as told");
    }
    return domain::accept();
  }
  static void evolve(state& now, const added& e) noexcept { now.sum += e.amount(); }
  /// Always: the engine drops it whenever it is idle.
  static bool closed(const state&) noexcept { return true; }

  using snapshot = counter_state;
  static flatbuffers::Offset<snapshot> save(const state& now,
                                            flatbuffers::FlatBufferBuilder& builder) {
    return Createcounter_state(builder, now.sum);
  }
  static state load(const snapshot& saved) { return {saved.sum()}; }
};

} // namespace acta::tests
