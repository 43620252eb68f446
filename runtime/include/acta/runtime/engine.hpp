#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/atomic_command.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/detail/atomic_request.hpp>
#include <acta/runtime/detail/envelope.hpp>
#include <acta/runtime/detail/pending_outcome.hpp>
#include <acta/runtime/engine_counters.hpp>
#include <acta/runtime/engine_options.hpp>
#include <acta/runtime/receipt.hpp>
#include <acta/runtime/upcasters.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

namespace caf {
class actor;
class actor_system;
} // namespace caf

namespace acta::runtime {

namespace detail {
class message_reader;
struct resumption;
} // namespace detail
class entrance;
template <domain::aggregate Aggregate, domain::command_of<Aggregate> Command>
class awaited_command;

/// Runs aggregates over a log: each stream is one CAF actor that handles one command at a time.
///
/// Lifecycle: open() takes the log; the destructor stops. stop() refuses new commands and waits
/// until every command that was taken is settled; the log and the actor system stay until the
/// destructor, which must not be called on a thread of the engine: it would wait for itself.
/// Threads: everything but the destructor may be called from any thread, not from outcome handlers
/// where their documentation says so. Durability: a receipt is given when the command's events are
/// as durable as the log promises. Errors: after a failed commit the engine answers every command
/// with errc::commit_failed and its reason; destroy it, open the store again and go on. Nothing
/// receipted is lost. Timers that aggregates set (domain::emitter::set_timer()) fire while there is
/// an engine with that aggregate, those of the time before as soon as there is.
///
///     auto engine = runtime::engine::open<limit_order>(std::move(log));
///     auto receipt = (*engine)->ask<limit_order>(42, submit{...});
class engine {
public:
  /// Makes the categories, event types and schemas of the aggregates known to the store, brings the
  /// index of streams up to the log, and starts the threads. What the index has on disk is not read
  /// again, so that opening takes no longer as the store grows; what it has not is read and
  /// checked. Errors: those of the log and of the index;
  /// errc::incompatible_schema if the aggregates would misread stored events (see
  /// storage::register_schemas()); errc::invalid_argument for upcasters (see upcasters::bind()).
  template <class... Aggregates>
  [[nodiscard]] static result<std::unique_ptr<engine>> open(std::unique_ptr<storage::event_log> log,
                                                            const engine_options& options = {}) {
    (domain::require_aggregate<Aggregates>(), ...);
    std::vector<registration> types;
    (types.push_back({&detail::typed_aggregate<Aggregates>::tag,
                      std::make_unique<detail::typed_aggregate<Aggregates>>()}),
     ...);
    return open(std::move(log), options, std::move(types));
  }

  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// Sends a command, `Aggregate::command` or one of its alternatives, and returns at once;
  /// `handler` gets the outcome: a receipt, with the reply where the command has one. Commands of
  /// one caller to one aggregate are handled in order. On an error nothing was sent and `handler`
  /// is not called: errc::overloaded (naming what is full), engine_stopped, commit_failed,
  /// invalid_argument, too_large.
  template <domain::aggregate Aggregate, class Command = typename Aggregate::command>
    requires domain::command_of<Command, Aggregate>
  [[nodiscard]] result<void> tell(const stream_id& stream, Command command,
                                  std::type_identity_t<outcome_handler_for<Command>> handler,
                                  const command_options& options = {}) {
    return send(&detail::typed_aggregate<Aggregate>::tag, stream,
                std::make_unique<detail::typed_envelope<Aggregate, Command>>(
                  std::move(command), options, std::move(handler)),
                options);
  }

  /// As tell(), and waits for the outcome, for command_options::wait_for_outcome at most. From an
  /// outcome handler, an aggregate or an actor of an engine that is errc::invalid_argument, and
  /// nothing is sent: it would wait for itself.
  template <domain::aggregate Aggregate, class Command = typename Aggregate::command>
    requires domain::command_of<Command, Aggregate>
  [[nodiscard]] outcome_for<Command> ask(const stream_id& stream, Command command,
                                         const command_options& options = {}) {
    return wait_for<outcome_for<Command>>(options, [&](auto handler) {
      return tell<Aggregate>(stream, std::move(command), std::move(handler), options);
    });
  }

  /// The same by integer key.
  template <domain::aggregate Aggregate, class Command = typename Aggregate::command>
    requires domain::command_of<Command, Aggregate>
  [[nodiscard]] result<void> tell(std::uint64_t key, Command command,
                                  std::type_identity_t<outcome_handler_for<Command>> handler,
                                  const command_options& options = {}) {
    return tell<Aggregate>(stream<Aggregate>(key), std::move(command), std::move(handler), options);
  }
  template <domain::aggregate Aggregate, class Command = typename Aggregate::command>
    requires domain::command_of<Command, Aggregate>
  [[nodiscard]] outcome_for<Command> ask(std::uint64_t key, Command command,
                                         const command_options& options = {}) {
    return ask<Aggregate>(stream<Aggregate>(key), std::move(command), options);
  }

  /// Decides over the states of up to limits::max_aggregates_per_command aggregates at once. What
  /// is emitted is committed together, or nothing is; each aggregate's events lie side by side.
  /// `decide` gets a participant<Aggregate>& for each of `parts`, in their order, or of a vector of
  /// parts a std::span<participant<Aggregate>>. It is a pure function, as an aggregate's decide()
  /// is, and runs on one of the engine's workers, once at most.
  ///
  /// Order: handled in its turn among the commands of each of its aggregates, which all wait, from
  /// when it reaches them until the commit. It reaches one after the other, so that commands sent
  /// meanwhile may come before it. Those that share aggregates never wait in a circle.
  /// Options: as for one command; the version that is expected is each part's. `id`: a repeat is
  /// known if any of the aggregates remembers it. Interceptors see one command for each part, whose
  /// command_view::get() is null; each category counts one. It is not timed, and a full mailbox
  /// (engine_options::max_mailbox) does not refuse it.
  /// Errors: those of tell(); invalid_argument too for no part, too many, a stream named twice, or
  /// command_options::expected. Then those of `outcome`: of whichever aggregate is at fault.
  ///
  ///     using of = runtime::participant<account>;
  ///     engine->ask_all(runtime::atomic(part<account>(42), part<account>(43)),
  ///                     [](of& from, of& to) -> domain::decision {
  ///       if (from.state().balance < 10)
  ///         return domain::reject(refusal::too_little_money, "the balance is too low");
  ///       from.emit<withdrawn>([](auto& b) { return Createwithdrawn(b, 10); });
  ///       to.emit<deposited>([](auto& b) { return Createdeposited(b, 10); });
  ///       return domain::accept();
  ///     });
  template <class Parts, class Function>
  [[nodiscard]] result<void> tell_all(const Parts& parts, Function decide,
                                      atomic_outcome_handler handler,
                                      const command_options& options = {}) {
    return send(std::make_unique<detail::typed_atomic_request<Parts, Function>>(
                  parts, std::move(decide), std::move(handler)),
                options);
  }
  /// As tell_all(), and waits for the outcome as ask() does.
  template <class Parts, class Function>
  [[nodiscard]] atomic_outcome ask_all(const Parts& parts, Function decide,
                                       const command_options& options = {}) {
    return wait_for<atomic_outcome>(options, [&](auto handler) {
      return tell_all(parts, std::move(decide), std::move(handler), options);
    });
  }

  /// The command, to be sent by `co_await`, which gives its outcome; see awaited_command. Include
  /// acta/runtime/awaitable.hpp.
  ///
  ///     auto receipt = co_await engine.send<account>(42, withdraw{70});
  template <domain::aggregate Aggregate, class Command = typename Aggregate::command>
    requires domain::command_of<Command, Aggregate>
  [[nodiscard]] awaited_command<Aggregate, Command> send(const stream_id& stream, Command command,
                                                         const command_options& options = {}) {
    return {*this, stream, std::move(command), options};
  }
  template <domain::aggregate Aggregate, class Command = typename Aggregate::command>
    requires domain::command_of<Command, Aggregate>
  [[nodiscard]] awaited_command<Aggregate, Command> send(std::uint64_t key, Command command,
                                                         const command_options& options = {}) {
    return {*this, stream<Aggregate>(key), std::move(command), options};
  }

  /// The aggregate as CAF's actors have it, to send and request its commands. Include
  /// acta/runtime/caf.hpp, which says how.
  template <domain::aggregate Aggregate>
  [[nodiscard]] caf::actor actor(const stream_id& stream);
  template <domain::aggregate Aggregate>
  [[nodiscard]] caf::actor actor(std::uint64_t key);

  /// Keeps the aggregate's state in the log and truncates the events that led to it: they are not
  /// read any more, and from now on it is loaded from that state and what follows, snapshots or
  /// not. The log keeps the events until it is archived. Handled in its turn among the commands;
  /// versions go on, and repeats are recognised as before. Returns when it is as durable as the log
  /// promises: the receipt has the aggregate's version, and one event, or none if there was nothing
  /// to truncate. Errors: those of ask() and of the index; too_large for a state over the limit of
  /// an event, limits::max_payload_size; handler_failed if save() throws.
  ///
  /// Blocks: for a commit, and until the index has the log. Any thread, but not
  /// from where ask() is refused. Those of one stream wait for one another. An aggregate without
  /// snapshots has no state that could be kept: this does not compile.
  ///
  ///     engine->truncate<account>(42);
  template <domain::aggregate Aggregate>
  [[nodiscard]] outcome truncate(const stream_id& stream) {
    static_assert(domain::has_snapshots<Aggregate>,
                  "truncate<Aggregate>: Aggregate has no snapshot, save() and load(), so its state "
                  "cannot be kept; remove() needs none");
    return truncate(&detail::typed_aggregate<Aggregate>::tag, stream, false);
  }
  template <domain::aggregate Aggregate>
  [[nodiscard]] outcome truncate(std::uint64_t key) {
    return truncate<Aggregate>(stream<Aggregate>(key));
  }

  /// Truncates all of an aggregate, its state and its command ids too: the next command finds it as
  /// if there had been none, but that versions go on. Also of one that cannot be loaded. Otherwise
  /// as truncate().
  template <domain::aggregate Aggregate>
  [[nodiscard]] outcome remove(const stream_id& stream) {
    return truncate(&detail::typed_aggregate<Aggregate>::tag, stream, true);
  }
  template <domain::aggregate Aggregate>
  [[nodiscard]] outcome remove(std::uint64_t key) {
    return remove<Aggregate>(stream<Aggregate>(key));
  }

  /// The stream of an aggregate with an integer key.
  template <domain::aggregate Aggregate>
  [[nodiscard]] stream_id stream(std::uint64_t key) const {
    return {category<Aggregate>(), key};
  }

  /// The store's number for an aggregate's category; 0, which every command is refused with, if it
  /// is not one given to open().
  template <domain::aggregate Aggregate>
  [[nodiscard]] category_id category() const {
    return category_of(&detail::typed_aggregate<Aggregate>::tag);
  }

  /// Events of a stream, upcast, as they are in a snapshot of log(): at most `max`, beginning with
  /// version `from`; see storage::stream_index::read(). Those that upcasters drop do not count.
  /// First waits until the index has all that is in the snapshot: microseconds, or so long as the
  /// engine needs for the commands that came before. Any thread, but not from an outcome handler.
  /// Errors: those of the log and of upcasters::apply(), and errc::invalid_argument for another
  /// log's snapshot.
  ///
  ///     auto now = engine->log().snapshot();
  ///     auto newest = engine->read(order, **now, stream_version(UINT64_MAX), 10,
  ///                                storage::direction::backward);
  [[nodiscard]] result<history> read(const stream_id& stream, const storage::log_snapshot& snapshot,
                                     stream_version from = {},
                                     std::size_t max = std::numeric_limits<std::size_t>::max(),
                                     storage::direction way = storage::direction::forward);
  result<history> read(const stream_id&, const storage::log_snapshot&&, stream_version = {},
                       std::size_t = 0, storage::direction = {}) = delete;

  /// Refuses new commands, waits until all that were taken are settled, and ends the threads that
  /// write. Projectors may go on reading. Coroutines that awaited commands were resumed. Safe to
  /// call twice. Not from an outcome handler, an actor or a coroutine that a worker resumed: there
  /// it does nothing but tell engine_options::warning so.
  void stop() noexcept;

  /// Of an engine with engine_options::deterministic_seed: one step, chosen by the seed among all
  /// that could be next. An actor handles one message, what is staged is committed and answered,
  /// the index is brought up to date and idle actors are dropped, snapshots are saved, or timers
  /// that are due are sent to their aggregates. False if
  /// there was nothing to do, and of an engine with threads. ask(), truncate(), remove(), read(),
  /// stop(), what waits for room, and the destructors of projectors and process managers take such
  /// steps as they wait: of what tell() took, nothing happens before one of these. Not from an
  /// outcome handler.
  ///
  ///     auto e = *engine::open<account>(make_memory_log(), {.deterministic_seed = 7});
  ///     e->tell<account>(1, deposit{10}, note);
  ///     while (e->run_one()) check_what_must_always_hold();
  bool run_one();
  /// As many as there are; how many there were.
  std::size_t run_until_idle();

  /// The log this engine writes; reading it is allowed on any thread.
  [[nodiscard]] const storage::event_log& log() const noexcept;
  /// Those of engine_options, for who reads the log past this engine.
  [[nodiscard]] const runtime::upcasters& upcasters() const noexcept;
  /// That of engine_options.
  [[nodiscard]] const acta::clock& clock() const noexcept;
  [[nodiscard]] engine_counters counters() const noexcept;
  /// Of the commands of one category.
  template <domain::aggregate Aggregate>
  [[nodiscard]] command_counters counters() const {
    return counters_of(&detail::typed_aggregate<Aggregate>::tag);
  }
  /// Where the time of its commands went, of those that engine_options::latency_sample picks. Takes
  /// some 100 us to copy, and stops nobody.
  template <domain::aggregate Aggregate>
  [[nodiscard]] command_latencies latencies() const {
    return latencies_of(&detail::typed_aggregate<Aggregate>::tag);
  }
  /// Why the engine no longer accepts commands, if a commit failed.
  [[nodiscard]] std::optional<error> failed() const;

  /// Calls `listener` with the log's tail after each commit, on the thread that commits,
  /// until the returned token is destroyed; no call is under way after that. It must be quick and
  /// not throw. The token must go before the engine does, and not within a listener.
  using tail_listener = std::function<void(log_position)>;
  class tail_subscription;
  [[nodiscard]] std::unique_ptr<tail_subscription> on_tail(tail_listener listener);

  /// The CAF system the aggregates live in, for actors of one's own, which must end before the
  /// engine does.
  [[nodiscard]] caf::actor_system& system() noexcept;

private:
  struct registration {
    const void* tag;
    std::unique_ptr<detail::aggregate_type> type;
  };
  class implementation;

  explicit engine(std::unique_ptr<implementation> made) noexcept;
  [[nodiscard]] static result<std::unique_ptr<engine>> open(std::unique_ptr<storage::event_log> log,
                                                            const engine_options& options,
                                                            std::vector<registration> types);
  [[nodiscard]] result<void> send(const void* tag, const stream_id& stream,
                                  std::unique_ptr<detail::envelope> command,
                                  const command_options& options);
  [[nodiscard]] result<void> send(std::unique_ptr<detail::atomic_request> command,
                                  const command_options& options);
  [[nodiscard]] outcome truncate(const void* tag, const stream_id& stream, bool removes);
  [[nodiscard]] category_id category_of(const void* tag) const;
  [[nodiscard]] command_counters counters_of(const void* tag) const;
  [[nodiscard]] command_latencies latencies_of(const void* tag) const;
  /// Waits for what `send(handler)` sends to call the handler; where nothing was sent, says why.
  template <class Outcome, class Send>
  [[nodiscard]] Outcome wait_for(const command_options& options, Send send) {
    using pending = detail::pending_outcome<Outcome>;
    if (auto may = check_may_wait(); !may)
      return failure(may);
    const auto send_and_wait = [&](pending& here, auto handler) -> Outcome {
      auto sent = send(std::move(handler));
      if (!sent)
        return failure(sent);
      wait(here, options.wait_for_outcome);
      return here.has_arrived() ? here.take() : not_in_time();
    };
    if (options.wait_for_outcome == std::chrono::nanoseconds::max()) {
      pending here;
      return send_and_wait(here, [&here](Outcome&& how) { here.give(std::move(how)); });
    }
    const auto there = std::make_shared<pending>(); // the outcome may come when we are gone
    return send_and_wait(*there, [there](Outcome&& how) { there->give(std::move(how)); });
  }
  template <domain::aggregate Aggregate, domain::command_of<Aggregate> Command>
  friend class awaited_command;
  void resume(detail::resumption& waiting);
  [[nodiscard]] caf::actor actor(const void* tag, const stream_id& stream,
                                 const detail::message_reader& reader);
  [[nodiscard]] std::shared_ptr<const std::atomic<entrance*>> way_in() const;
  [[nodiscard]] static result<void> check_may_wait();
  void wait(detail::arrival& pending, std::chrono::nanoseconds at_most);
  [[nodiscard]] static std::unexpected<error> not_in_time();

  std::unique_ptr<implementation> implementation_;
};

/// Keeps a tail listener registered.
class engine::tail_subscription {
public:
  tail_subscription() = default;
  tail_subscription(const tail_subscription&) = delete;
  tail_subscription& operator=(const tail_subscription&) = delete;
  virtual ~tail_subscription() = default;
};

} // namespace acta::runtime
