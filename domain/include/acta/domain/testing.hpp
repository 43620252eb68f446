#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/domain/testing/any_event.hpp>
#include <acta/domain/testing/any_reply.hpp>
#include <acta/domain/testing/expectation.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// Tests of aggregates without actor, engine or log: given events, when a command comes, then
/// events or a rejection. For any test framework that compares with == and prints with <<:
///
///     const auto after = given<account>(paid_in(100)).when(withdraw{70});
///     EXPECT_EQ(after, accepted(paid_out(70)));
///     EXPECT_EQ(after.state().balance, 30);
///     EXPECT_EQ(after.when(withdraw{70}), rejected(refusal::too_little_money));
///
/// With the time, and of a command with a reply:
///
///     const auto told = given<account>(paid_in(100)).at(now_ns).when(tell_balance{});
///     EXPECT_EQ(told.reply<tell_balance>(), 100);
/// With timers: `given<seat>().at(now).when(reserve{"Ada"}).when_timer(timer::payment)`, and
/// timers() are those that are pending.
///
/// where paid_in(100) is `event<deposited>([](auto& b) { return Createdeposited(b, 100); })`.
///
/// Each command also tries what an engine counts on (outcome::problems()). Values all over: no
/// threads, no clock, nothing thrown but what the aggregate throws. For tests: it takes copies.
namespace acta::domain::testing {

namespace detail {

/// Of states without ==, what can be said is whether they are saved as the same snapshot.
template <class Aggregate>
  requires has_snapshots<Aggregate>
[[nodiscard]] std::vector<std::byte> saved(const typename Aggregate::state& state) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Aggregate::save(state, builder));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

/// True also where states cannot be compared.
template <class Aggregate>
[[nodiscard]] bool same_state(const typename Aggregate::state& one,
                              const typename Aggregate::state& other) {
  if constexpr (std::equality_comparable<typename Aggregate::state>)
    return one == other;
  else if constexpr (has_snapshots<Aggregate>)
    return saved<Aggregate>(one) == saved<Aggregate>(other);
  else
    return true;
}

/// False if it is none of the aggregate's events, or not well formed.
template <class Aggregate>
[[nodiscard]] bool evolve(typename Aggregate::state& state, const any_event& event) {
  const auto take = [&]<class Event>(const Event* found) {
    if (found != nullptr)
      Aggregate::evolve(state, *found);
    return found != nullptr;
  };
  return [&]<class... Events>(event_list<Events...>) {
    return (take(event.as<Events>()) || ...);
  }(typename Aggregate::events{});
}

/// Keeps what is emitted.
template <class Aggregate>
struct keeping_sink final : event_sink {
  void accept(std::size_t index, std::uint16_t version,
              std::span<const std::byte> payload) noexcept final {
    [&]<class... Events>(event_list<Events...>) {
      std::size_t at = 0;
      (void)((at++ == index && (kept.push_back(any_event::of<Events>(payload, version)), true))
             || ...);
    }(typename Aggregate::events{});
  }
  void set_timer(timer_id id, std::int64_t due_ns) noexcept final { timers[id] = due_ns; }
  std::vector<any_event> kept;
  std::map<timer_id, std::int64_t> timers;
};

/// `decide(out, answer)` is what the aggregate says at that time; it returns a decision.
template <class Aggregate, class Decide>
[[nodiscard]] answer answer_of(std::int64_t now_ns, Decide decide) {
  flatbuffers::FlatBufferBuilder builder;
  keeping_sink<Aggregate> sink;
  const manual_clock now(now_ns);
  emitter<Aggregate> out(builder, sink, now);
  answer made;
  const decision decided = decide(out, made);
  if (!decided) {
    made = {};
    made.rejection = decided.error();
    return made;
  }
  made.events = std::move(sink.kept);
  made.timers = std::move(sink.timers);
  return made;
}

/// decide() of a command, whose reply goes into the answer.
template <class Aggregate, class Command>
[[nodiscard]] decision decide_one(const typename Aggregate::state& state, const Command& command,
                                  emitter<Aggregate>& out, answer& made) {
  auto decided = Aggregate::decide(state, command, out);
  if (!decided)
    return std::unexpected(std::move(decided.error()));
  if constexpr (has_reply<Command>)
    made.reply = any_reply::of<Command>(std::move(*decided));
  return accept();
}

template <class Aggregate>
[[nodiscard]] decision decide(const typename Aggregate::state& state,
                              const typename Aggregate::command& command, emitter<Aggregate>& out,
                              answer& made) {
  if constexpr (domain::detail::decides<Aggregate, typename Aggregate::command>)
    return decide_one<Aggregate>(state, command, out, made);
  else // not domain::decide(), which drops the reply
    return std::visit([&](const auto& one) { return decide_one<Aggregate>(state, one, out, made); },
                      command);
}

} // namespace detail

template <aggregate Aggregate>
class outcome;

/// The events of an aggregate until now, and its state. A value that commands do not change: try
/// several from here.
template <aggregate Aggregate>
class history {
public:
  using state_type = typename Aggregate::state;

  explicit history(std::vector<any_event> events) {
    for (auto& one : events)
      add(std::move(one));
  }

  [[nodiscard]] outcome<Aggregate> when(const typename Aggregate::command& command) const;
  /// What on_timer() makes of a timer that is pending. It is not any more, also if it is rejected.
  [[nodiscard]] outcome<Aggregate> when_timer(timer_id id) const
    requires has_timers<Aggregate>;
  /// The same at another time: what emitter::now_ns() says, 0 at first.
  [[nodiscard]] history at(std::int64_t now_ns) const {
    auto then = *this;
    then.now_ns_ = now_ns;
    return then;
  }

  [[nodiscard]] const state_type& state() const noexcept { return state_; }
  /// The timers that commands set and that are pending, and when they are due.
  [[nodiscard]] const std::map<timer_id, std::int64_t>& timers() const noexcept { return timers_; }
  [[nodiscard]] const std::vector<any_event>& events() const noexcept { return events_; }

private:
  friend class outcome<Aggregate>;

  void add(any_event event) {
    if (!detail::evolve<Aggregate>(state_, event))
      problems_.push_back((event.is_well_formed() ? "no event of " : "not well formed, in ")
                          + std::string(std::string_view(Aggregate::category)) + ": "
                          + event.text());
    events_.push_back(std::move(event));
  }
  void set_timers(const std::map<timer_id, std::int64_t>& to) {
    for (const auto& [id, due_ns] : to)
      timers_[id] = due_ns;
    std::erase_if(timers_, [](const auto& one) { return one.second == 0; });
  }

  std::vector<any_event> events_;
  state_type state_{};
  std::map<timer_id, std::int64_t> timers_;
  std::int64_t now_ns_ = 0;
  std::vector<std::string> problems_;
};

/// What came of a command. Commands in a row: `given<account>().when(a).when(b)`; a rejected one
/// changed nothing. Equals, or does not, what accepted() and rejected() return.
template <aggregate Aggregate>
class [[nodiscard]] outcome {
public:
  using state_type = typename Aggregate::state;
  using command_type = typename Aggregate::command;

  /// Those of this command; none if it was rejected.
  [[nodiscard]] const std::vector<any_event>& events() const noexcept { return answer_.events; }
  /// Empty if the command was accepted.
  [[nodiscard]] const std::optional<domain::rejection>& rejection() const noexcept {
    return answer_.rejection;
  }
  /// Of a command with a reply; empty if it was rejected, or another one.
  template <has_reply Command>
    requires command_of<Command, Aggregate>
  [[nodiscard]] std::optional<typename Command::reply> reply() const {
    const auto* found = answer_.reply.template as<Command>();
    return found != nullptr ? std::optional(*found) : std::nullopt;
  }
  /// The state behind the command.
  [[nodiscard]] const state_type& state() const noexcept { return after_.state(); }
  /// All events, those given and those of earlier commands too.
  [[nodiscard]] const testing::history<Aggregate>& history() const noexcept { return after_; }

  [[nodiscard]] const std::map<timer_id, std::int64_t>& timers() const noexcept {
    return after_.timers();
  }

  [[nodiscard]] outcome when(const command_type& next) const { return after_.when(next); }
  [[nodiscard]] outcome when_timer(timer_id id) const
    requires has_timers<Aggregate>
  {
    return after_.when_timer(id);
  }
  /// See history::at().
  [[nodiscard]] testing::history<Aggregate> at(std::int64_t now_ns) const {
    return after_.at(now_ns);
  }

  /// What an engine counts on, and was not so, in a sentence each. With any, the outcome equals no
  /// expectation, and prints them.
  /// - Events, given or emitted, are the aggregate's and pass their verifiers.
  /// - decide() depends on its arguments alone: called again it answers the same, also in replies
  ///   with ==. It has the time from its emitter.
  /// - A rejection has a code that is not 0 and a reason.
  /// - evolve() depends on its arguments alone: all events, from the first, give the same state.
  /// - Where there are snapshots, load(save(state)) is the same state, and decide() answers the
  ///   same to it.
  /// States are compared with ==, or else by their snapshots, or else not.
  [[nodiscard]] const std::vector<std::string>& problems() const noexcept {
    return answer_.problems;
  }

  friend bool operator==(const outcome& of, const expectation& expected) {
    return of.answer_ == expected;
  }
  friend std::ostream& operator<<(std::ostream& out, const outcome& of) {
    return out << of.answer_;
  }

private:
  friend class testing::history<Aggregate>;

  /// `decide(state, out, answer)` is decide() of a command, or on_timer().
  template <class Decide>
  outcome(const testing::history<Aggregate>& before, Decide decide) : after_(before) {
    const auto ask = [&](const state_type& state) {
      return detail::answer_of<Aggregate>(
        before.now_ns_, [&](auto& out, auto& made) { return decide(state, out, made); });
    };
    answer_ = ask(before.state());
    check_rejection();
    answer_.expect_again(ask(before.state()), "called again");
    if constexpr (has_snapshots<Aggregate>)
      check_snapshot(before.state(), ask);
    for (const auto& one : events())
      after_.add(one);
    after_.set_timers(answer_.timers);
    check_replay();
    answer_.problems.insert(answer_.problems.end(), after_.problems_.begin(),
                            after_.problems_.end());
  }

  void check_rejection() {
    if (rejection() && rejection()->code == 0)
      answer_.problems.emplace_back("the rejection has code 0, which is none");
    if (rejection() && rejection()->reason.empty())
      answer_.problems.emplace_back("the rejection has no reason");
  }

  void check_replay() {
    state_type replayed{};
    for (const auto& one : after_.events())
      (void)detail::evolve<Aggregate>(replayed, one);
    if (!detail::same_state<Aggregate>(replayed, state()))
      answer_.problems.emplace_back("evolve() made another state of the same events");
  }

  template <class Ask>
  void check_snapshot(const state_type& state, Ask ask) {
    using snapshot = typename Aggregate::snapshot;
    const auto bytes = detail::saved<Aggregate>(state);
    const auto text = any_event::of<snapshot>(bytes).text();
    const auto* saved = verified<snapshot>(bytes);
    if (saved == nullptr) {
      answer_.problems.push_back("save() made a snapshot that is not well formed: " + text);
      return;
    }
    const auto loaded = Aggregate::load(*saved);
    if (!detail::same_state<Aggregate>(loaded, state))
      answer_.problems.push_back("load() made another state of what save() saved: " + text);
    answer_.expect_again(ask(loaded), "called with load(save())");
  }

  answer answer_;
  testing::history<Aggregate> after_;
};

template <aggregate Aggregate>
outcome<Aggregate> history<Aggregate>::when(const typename Aggregate::command& command) const {
  return outcome<Aggregate>(*this, [&](const state_type& state, auto& out, auto& made) {
    return detail::decide<Aggregate>(state, command, out, made);
  });
}

template <aggregate Aggregate>
outcome<Aggregate> history<Aggregate>::when_timer(timer_id id) const
  requires has_timers<Aggregate>
{
  auto before = *this;
  if (before.timers_.erase(id) == 0)
    before.problems_.push_back("timer " + std::to_string(id.value()) + " is not pending");
  return outcome<Aggregate>(before, [&](const state_type& state, auto& out, auto&) {
    return Aggregate::on_timer(state, id, out);
  });
}

/// An aggregate to which this happened, in this order; without events, one that is not there yet.
template <aggregate Aggregate, class... Events>
[[nodiscard]] history<Aggregate> given(const event_of<Events>&... events) {
  static_assert(((Aggregate::events::template index_of<Events>() < Aggregate::events::size) && ...),
                "given<Aggregate>(event<Event>): Event is not in Aggregate::events");
  return history<Aggregate>({events...});
}

/// The same for events that were collected, e.g. `outcome.history().events()`.
template <aggregate Aggregate>
[[nodiscard]] history<Aggregate> given(std::vector<any_event> events) {
  return history<Aggregate>(std::move(events));
}

} // namespace acta::domain::testing
