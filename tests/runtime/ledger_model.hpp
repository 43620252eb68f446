#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/aggregate.hpp>

#include <support/counter_generated.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {

/// An aggregate that emits any number of events, refuses with its sum, or throws, as it is told.
struct ledger {
  static constexpr std::string_view category = "ledger";
  struct state {
    std::int64_t sum = 0;
  };
  enum class deed { add, refuse, fail };
  struct command {
    deed does = deed::add;
    int amount = 1;
    int times = 1;
  };
  using events = domain::event_list<added>;

  [[nodiscard]] static std::uint16_t code_of(std::int64_t sum) noexcept {
    return static_cast<std::uint16_t>(1 + sum % 50'000);
  }
  static domain::decision decide(const state& now, const command& what,
                                 domain::emitter<ledger>& out) {
    for (int i = 0; i < what.times; ++i)
      out.emit<added>([&](auto& builder) { return Createadded(builder, what.amount); });
    if (what.does == deed::fail)
      throw std::runtime_error("as told");
    if (what.does == deed::refuse)
      return std::unexpected(domain::rejection{code_of(now.sum), "the sum"});
    return domain::accept();
  }
  static void evolve(state& now, const added& e) noexcept { now.sum += e.amount(); }
  /// Often, so that it is dropped and loaded again.
  static bool closed(const state& now) noexcept { return now.sum % 3 == 0; }

  using snapshot = counter_state;
  static flatbuffers::Offset<snapshot> save(const state& now,
                                            flatbuffers::FlatBufferBuilder& builder) {
    return Createcounter_state(builder, now.sum);
  }
  static state load(const snapshot& saved) { return {saved.sum()}; }
};

/// What a ledger answers, in the simplest way: everything at once, in the order it was sent.
class ledger_model {
public:
  static constexpr std::size_t window = 4; ///< Command ids remembered.

  struct state {
    std::int64_t sum = 0;
    std::uint64_t version = 0;
    struct remembered {
      std::uint64_t id;
      std::uint64_t version;
      std::uint32_t events;
    };
    std::deque<remembered> ids{};
  };

  struct answer {
    std::uint64_t turn; ///< For commit().
    errc code{};
    std::uint16_t rejection = 0;
    std::uint64_t version = 0;
    std::uint32_t events = 0;
    bool repeat = false;
  };

  [[nodiscard]] const state& now() const noexcept { return states_.back(); }

  [[nodiscard]] answer handle(const ledger::command& what, std::uint64_t id) {
    auto next = now();
    answer end{.turn = states_.size()};
    const auto* before = find(id);
    if (before != nullptr) {
      end.version = before->version;
      end.events = before->events;
      end.repeat = true;
    } else if (what.does == ledger::deed::fail) {
      end.code = errc::handler_failed;
    } else if (what.does == ledger::deed::refuse) {
      end.code = errc::rejected;
      end.rejection = ledger::code_of(next.sum);
    } else {
      end.events = static_cast<std::uint32_t>(what.times);
      next.sum += std::int64_t{what.amount} * what.times;
      next.version += end.events;
      end.version = next.version;
      if (id != 0 && end.events != 0)
        next.ids.push_back({id, end.version, end.events});
      if (next.ids.size() > window)
        next.ids.pop_front();
    }
    states_.push_back(std::move(next));
    return end;
  }

  /// All commands before were committed, and so is this.
  void remove() {
    states_.push_back({.sum = 0, .version = now().version});
    commit(states_.size() - 1);
  }

  void commit(std::uint64_t turn) noexcept { committed_ = std::max(committed_, turn); }

  /// What was not committed has not happened.
  void fall_back() { states_.resize(committed_ + 1); }

private:
  [[nodiscard]] const state::remembered* find(std::uint64_t id) const noexcept {
    for (const auto& one : now().ids)
      if (id != 0 && one.id == id)
        return &one;
    return nullptr;
  }

  std::vector<state> states_{1}; ///< After each turn.
  std::uint64_t committed_ = 0;
};

} // namespace acta::tests
