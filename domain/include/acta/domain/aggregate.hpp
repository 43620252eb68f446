#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/limits.hpp>

#include <flatbuffers/flatbuffers.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

/// The vocabulary of an aggregate. An aggregate is a struct with nothing but types and pure static
/// functions: no actor, no clock, no I/O. `tests/domain` tests them by plain calls.
///
///     struct account {
///       static constexpr std::string_view category = "account";
///       struct state { std::int64_t balance = 0; };
///       using command = std::variant<deposit, withdraw>;
///       using events = domain::event_list<deposited, withdrawn>;  // FlatBuffers tables
///       static domain::decision decide(const state&, const deposit&, domain::emitter<account>&);
///       static domain::decision decide(const state&, const withdraw&, domain::emitter<account>&);
///       // withdraw is answered with a receipt; with `using reply = T;` in it, and a T here.
///       static void evolve(state&, const deposited&) noexcept;
///       static void evolve(state&, const withdrawn&) noexcept;
///
///       // Optional, for aggregates of many events: how a state is saved and loaded again.
///       using snapshot = account_state;  // a FlatBuffers table
///       static flatbuffers::Offset<snapshot> save(const state&, flatbuffers::FlatBufferBuilder&);
///       static state load(const snapshot&);
///
///       // Optional: what happens when a timer is due that decide() set with out.set_timer().
///       static domain::decision on_timer(const state&, timer_id, domain::emitter<account>&);
///     };
namespace acta::domain {

/// Why an aggregate refuses a command. Nothing happened.
struct rejection {
  std::uint16_t code = 0; ///< The domain's own pinned number, not 0.
  std::string reason;     ///< For people: names the thing and says what is wrong.
};

/// What decide() returns: accepted (with what was emitted, possibly nothing), or a rejection.
using decision = std::expected<void, rejection>;

[[nodiscard]] inline decision accept() {
  return {};
}

/// `code` is the domain's own enumeration, whose underlying values are pinned.
template <class Code>
  requires std::is_enum_v<Code>
[[nodiscard]] std::unexpected<rejection> reject(Code code, std::string reason) {
  return std::unexpected(rejection{static_cast<std::uint16_t>(code), std::move(reason)});
}

/// True if a command says what it is answered with: `using reply = balance;`.
template <class Command>
concept has_reply = requires { typename Command::reply; };

/// What decide() returns for a command: a decision, or the reply, or why the command is refused.
template <class Command>
struct decision_of {
  using type = decision;
};
template <has_reply Command>
struct decision_of<Command> {
  using type = std::expected<typename Command::reply, rejection>;
};
template <class Command>
using decision_for = typename decision_of<Command>::type;

/// The version of an event's meaning, stored with each event: specialise it when the meaning
/// changes, and give the engine an upcaster for those before (upcaster.hpp). An engine does not
/// read events of a newer version than this. Adding optional fields needs no other version. And of
/// a snapshot's: see snapshot_schema_hash().
template <class Event>
inline constexpr std::uint16_t schema_version = 1;

/// The FlatBuffers tables an aggregate emits. The order is free: the store knows them by their
/// fully qualified names (flatc --gen-name-strings).
template <class... Events>
struct event_list {
  static constexpr std::size_t size = sizeof...(Events);

  /// The index of an event in the list; `size` if it is not in it.
  template <class Event>
  static constexpr std::size_t index_of() noexcept {
    std::size_t index = 0;
    (void)((std::same_as<Event, Events> ? true : (++index, false)) || ...);
    return index;
  }
};

/// The event in a payload read from a log, or nullptr if the bytes are not a well-formed `Event`.
/// The payload must be 8-byte aligned, as records in a log are; the event borrows from it.
template <class Event>
[[nodiscard]] const Event* verified(std::span<const std::byte> payload) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(payload.data());
  flatbuffers::Verifier verifier(bytes, payload.size());
  return verifier.VerifyBuffer<Event>(nullptr) ? flatbuffers::GetRoot<Event>(bytes) : nullptr;
}

/// Receives finished events; implemented by the runtime and by test kits.
class event_sink {
public:
  /// `payload` is a finished FlatBuffer, valid during the call. Throws nothing.
  virtual void accept(std::size_t event_index, std::uint16_t schema_version,
                      std::span<const std::byte> payload) noexcept = 0;
  /// A timer is set to this time, or cancelled: 0. Throws nothing. Sinks that have no timers need
  /// not know.
  virtual void set_timer([[maybe_unused]] timer_id id,
                         [[maybe_unused]] std::int64_t due_ns) noexcept {}

protected:
  ~event_sink() = default;
};

template <class Aggregate>
class emitter;

/// True if an aggregate says anything of timers.
template <class Aggregate>
concept has_timers = requires { &Aggregate::on_timer; };

/// on_timer(), as it must be.
template <class Aggregate>
concept handles_its_timers =
  requires(const typename Aggregate::state& state, timer_id id, emitter<Aggregate>& out) {
    { Aggregate::on_timer(state, id, out) } -> std::same_as<decision>;
  };

/// Where decide() and on_timer() put their events, and set timers. Single-threaded, lives for one
/// command. The builder is reused between events, so emitting allocates nothing once it has grown.
///
///     out.emit<deposited>([&](auto& builder) { return Createdeposited(builder, amount); });
template <class Aggregate>
class emitter {
public:
  emitter(flatbuffers::FlatBufferBuilder& builder, event_sink& sink,
          const clock& now = wall_clock()) noexcept
      : builder_(builder), sink_(sink), clock_(now) {}

  /// The time at which the command is decided, on the engine's clock, in ns since
  /// 1970-01-01T00:00:00Z; the same in all calls. Aggregates ask no other clock. Their events are
  /// dated when they are committed, a little later.
  [[nodiscard]] std::int64_t now_ns() noexcept {
    if (!now_ns_)
      now_ns_ = clock_.now_ns();
    return *now_ns_;
  }

  /// `build(flatbuffers::FlatBufferBuilder&)` returns the offset of the finished table.
  template <class Event, class Build>
  void emit(Build&& build) {
    using events = typename Aggregate::events;
    static_assert(events::template index_of<Event>() < events::size,
                  "emit<Event>: Event is not in Aggregate::events");
    builder_.Clear();
    const flatbuffers::Offset<Event> root = std::forward<Build>(build)(builder_);
    builder_.Finish(root);
    sink_.accept(events::template index_of<Event>(), schema_version<Event>,
                 std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize())));
  }

  /// At `due_ns` (ns since 1970-01-01T00:00:00Z, on the engine's clock), or as soon as there is an
  /// engine after that, on_timer() is called with this id: once, unless the timer is cancelled or
  /// moved before. Setting one that is pending moves it; one that was due in the past fires at
  /// once. Durable with the command's events, and not set if the command is refused. While
  /// on_timer() is called, its own timer is not pending any more, and may be set anew. At most
  /// limits::max_pending_timers are pending.
  void set_timer(timer_id id, std::int64_t due_ns) {
    require_on_timer();
    sink_.set_timer(id, due_ns < 1 ? 1 : due_ns);
  }
  /// The timer will not fire. Nothing happens if it is not pending.
  void cancel_timer(timer_id id) {
    require_on_timer();
    sink_.set_timer(id, 0);
  }

private:
  static consteval void require_on_timer() {
    static_assert(handles_its_timers<Aggregate>,
                  "set_timer() and cancel_timer() are for an aggregate with on_timer(const state&, "
                  "timer_id, domain::emitter<Aggregate>&) that returns domain::decision: without "
                  "it nothing would happen");
  }

  flatbuffers::FlatBufferBuilder& builder_;
  event_sink& sink_;
  const clock& clock_;
  std::optional<std::int64_t> now_ns_; ///< Once it was asked for: a clock costs 20 ns.
};

namespace detail {

template <class Aggregate, class Command>
concept decides = requires(const typename Aggregate::state& state, const Command& command,
                           emitter<Aggregate>& out) {
  { Aggregate::decide(state, command, out) } -> std::same_as<decision_for<Command>>;
};

template <class Aggregate, class Commands>
inline constexpr bool decides_all = decides<Aggregate, Commands>;
template <class Aggregate, class... Commands>
inline constexpr bool decides_all<Aggregate, std::variant<Commands...>> =
  (decides<Aggregate, Commands> && ...);

template <class Aggregate, class Event>
concept evolves = requires(typename Aggregate::state& state, const Event& event) {
  Aggregate::evolve(state, event);
  { Event::GetFullyQualifiedName() } -> std::convertible_to<const char*>;
};

template <class Aggregate, class Events>
inline constexpr bool evolves_all = false;
template <class Aggregate, class... Events>
inline constexpr bool evolves_all<Aggregate, event_list<Events...>> =
  (evolves<Aggregate, Events> && ...);

template <class Aggregate, class Events>
inline constexpr bool evolves_without_throwing = false;
template <class Aggregate, class... Events>
inline constexpr bool evolves_without_throwing<Aggregate, event_list<Events...>> =
  (noexcept(
     Aggregate::evolve(std::declval<typename Aggregate::state&>(), std::declval<const Events&>()))
   && ...);

} // namespace detail

/// decide() for every alternative of Aggregate::command.
template <class Aggregate>
concept decides_every_command = detail::decides_all<Aggregate, typename Aggregate::command>;

/// evolve() for every event of Aggregate::events (tables made with --gen-name-strings).
template <class Aggregate>
concept evolves_every_event = detail::evolves_all<Aggregate, typename Aggregate::events>;

/// True if every evolve() is noexcept, as it should be: events are facts. Where one may throw, each
/// command costs a copy of the state, so that an event it throws for is refused and changes
/// nothing.
template <class Aggregate>
concept evolves_noexcept = detail::evolves_without_throwing<Aggregate, typename Aggregate::events>;

/// A state that can be tried on a copy.
template <class State>
concept can_be_tried = std::copy_constructible<State> && std::is_nothrow_swappable_v<State>;

/// True if an aggregate says anything of snapshots.
template <class Aggregate>
concept has_snapshots = requires { typename Aggregate::snapshot; } || requires { &Aggregate::save; }
                        || requires { &Aggregate::load; };

/// All that snapshots need: `snapshot`, a table made with --gen-name-strings, save() and load().
template <class Aggregate>
concept saves_and_loads_its_snapshot =
  requires(const typename Aggregate::state& state, const typename Aggregate::snapshot& saved,
           flatbuffers::FlatBufferBuilder& builder) {
    {
      Aggregate::save(state, builder)
    } -> std::same_as<flatbuffers::Offset<typename Aggregate::snapshot>>;
    { Aggregate::load(saved) } -> std::same_as<typename Aggregate::state>;
    { Aggregate::snapshot::GetFullyQualifiedName() } -> std::convertible_to<const char*>;
  };

/// What the engine runs. A state starts as `state{}` for a stream without events. Optional:
/// `static bool closed(const state&) noexcept` is true once nothing but refusals can follow, and
/// lets the engine drop the actor; the next command loads it again. Also optional: snapshots, where
/// load(save(state)) must be as good as the state, and as the events that led to it; and
/// heap_size(), see below.
template <class Aggregate>
concept aggregate =
  requires {
    { Aggregate::category } -> std::convertible_to<std::string_view>;
    typename Aggregate::command;
    typename Aggregate::events;
  } && std::default_initializable<typename Aggregate::state> && decides_every_command<Aggregate>
  && evolves_every_event<Aggregate>
  && (evolves_noexcept<Aggregate> || can_be_tried<typename Aggregate::state>)
  && (!has_snapshots<Aggregate> || saves_and_loads_its_snapshot<Aggregate>)
  && (!has_timers<Aggregate> || handles_its_timers<Aggregate>);

/// A command of an aggregate: one of the alternatives of its `command`, or that itself.
template <class Command, class Aggregate>
concept command_of = std::same_as<Command, typename Aggregate::command>
                     || (std::constructible_from<typename Aggregate::command, Command>
                         && detail::decides<Aggregate, Command>);

namespace detail {

template <class Aggregate, class Command>
consteval void require_decide() {
  static_assert(decides<Aggregate, Command>,
                "a command of the aggregate has no decide(const state&, const Command&, "
                "domain::emitter<Aggregate>&) that returns domain::decision, or "
                "domain::decision_for<Command> where the command has a reply");
}
template <class Aggregate, class Event>
consteval void require_evolve() {
  static_assert(evolves<Aggregate, Event>,
                "an event of the aggregate has no evolve(state&, const Event&), or is no table "
                "made by flatc with --gen-name-strings (acta_add_schema does)");
}
template <class Aggregate, class... Commands>
consteval void require_decides(const std::variant<Commands...>*) {
  (require_decide<Aggregate, Commands>(), ...);
}
template <class Aggregate, class Command>
consteval void require_decides(const Command*) {
  require_decide<Aggregate, Command>();
}
template <class Aggregate, class... Events>
consteval void require_evolves(event_list<Events...>) {
  (require_evolve<Aggregate, Events>(), ...);
}

} // namespace detail

/// Does not compile for what is no aggregate, and says what is missing.
template <class Aggregate>
consteval void require_aggregate() {
  static_assert(
    requires {
      { Aggregate::category } -> std::convertible_to<std::string_view>;
    }, "an aggregate needs a name: static constexpr std::string_view category = \"order\";");
  static_assert(
    requires { typename Aggregate::state; }, "an aggregate needs a state: struct state { ... };");
  static_assert(
    requires { typename Aggregate::command; },
    "an aggregate needs commands: using command = std::variant<submit, cancel>;");
  static_assert(
    requires { typename Aggregate::events; },
    "an aggregate needs events: using events = domain::event_list<submitted, cancelled>;");
  static_assert(std::default_initializable<typename Aggregate::state>,
                "an aggregate's state begins as state{}: it needs a default constructor");
  detail::require_decides<Aggregate>(static_cast<const typename Aggregate::command*>(nullptr));
  detail::require_evolves<Aggregate>(typename Aggregate::events{});
  static_assert(evolves_noexcept<Aggregate> || can_be_tried<typename Aggregate::state>,
                "evolve() may throw, so the state is tried on a copy: give it a copy constructor "
                "and a noexcept swap, or make every evolve() noexcept");
  static_assert(!has_snapshots<Aggregate> || saves_and_loads_its_snapshot<Aggregate>,
                "an aggregate with snapshots needs three things: snapshot, a FlatBuffers table, "
                "save(const state&, builder) and load(const snapshot&)");
  static_assert(!has_timers<Aggregate> || handles_its_timers<Aggregate>,
                "on_timer() of the aggregate must take (const state&, timer_id, "
                "domain::emitter<Aggregate>&) and return domain::decision");
  static_assert(aggregate<Aggregate>);
}

/// Tells snapshots that load() understands from others: of the table's name and its
/// schema_version, which is to be raised whenever an older snapshot must not be loaded. Not 0. An
/// aggregate that was truncated is not loaded at all then: a new field needs no other version.
template <aggregate Aggregate>
  requires has_snapshots<Aggregate>
[[nodiscard]] std::uint64_t snapshot_schema_hash() noexcept {
  using snapshot = typename Aggregate::snapshot;
  std::uint64_t hash = 0xcbf29ce484222325ULL; // FNV-1a
  const auto add = [&](unsigned byte) { hash = (hash ^ byte) * 0x100000001b3ULL; };
  for (const char letter : std::string_view(snapshot::GetFullyQualifiedName()))
    add(static_cast<unsigned char>(letter));
  add(schema_version<snapshot> & 0xffU);
  add(schema_version<snapshot> >> 8U);
  return hash | 1U;
}

/// True if the aggregate says that it is closed; false for aggregates that never do.
template <aggregate Aggregate>
[[nodiscard]] bool closed(const typename Aggregate::state& state) noexcept {
  if constexpr (requires { Aggregate::closed(state); }) {
    static_assert(noexcept(Aggregate::closed(state))
                    && std::same_as<decltype(Aggregate::closed(state)), bool>,
                  "closed(const state&) must be noexcept and return bool");
    return Aggregate::closed(state);
  } else {
    return false;
  }
}

/// Bytes that a state has on the heap, as the aggregate says, for an engine's memory budget; 0 for
/// aggregates that say nothing: plain structs have none.
template <aggregate Aggregate>
[[nodiscard]] std::size_t heap_size(const typename Aggregate::state& state) noexcept {
  if constexpr (requires { Aggregate::heap_size(state); }) {
    static_assert(noexcept(Aggregate::heap_size(state))
                    && std::same_as<decltype(Aggregate::heap_size(state)), std::size_t>,
                  "heap_size(const state&) must be noexcept and return std::size_t");
    return Aggregate::heap_size(state);
  } else {
    return 0;
  }
}

/// Calls the decide() that fits the command. That of a std::variant drops the reply.
template <aggregate Aggregate, command_of<Aggregate> Command>
[[nodiscard]] auto decide(const typename Aggregate::state& state, const Command& command,
                          emitter<Aggregate>& out) {
  if constexpr (detail::decides<Aggregate, Command>)
    return Aggregate::decide(state, command, out);
  else
    return std::visit(
      [&](const auto& one) -> decision {
        auto decided = Aggregate::decide(state, one, out);
        if (!decided)
          return std::unexpected(std::move(decided.error()));
        return accept();
      },
      command);
}

} // namespace acta::domain
