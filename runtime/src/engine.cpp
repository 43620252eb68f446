#include <acta/runtime/engine.hpp>

#include "at_work.hpp"
#include "atomic_command.hpp"
#include "caf/actor_host.hpp"
#include "callers.hpp"
#include "chore_thread.hpp"
#include "committer.hpp"
#include "core.hpp"
#include "driver.hpp"
#include "durability_gate.hpp"
#include "engine_checks.hpp"
#include "entrance.hpp"
#include "housekeeper.hpp"
#include "recovery_limit.hpp"
#include "registry.hpp"
#include "snapshot_writer.hpp"
#include "timer_service.hpp"
#include "truncator.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/schema.hpp>
#include <acta/storage/stream_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace acta::runtime {

class engine::implementation final : public entrance {
public:
  implementation(std::unique_ptr<storage::event_log> log, const engine_options& options) {
    core_.options = options;
    if (options.deterministic_seed) {
      core_.options.workers = 1;
      core_.options.pin_workers = false;
      core_.options.wait = waiting::park;
      core_.options.commit = commit_by::own_thread; // which is the driver's
    }
    if (core_.options.workers == 0)
      core_.options.workers = options.commit == commit_by::worker ? 1 : default_workers();
    constexpr auto countable = std::numeric_limits<std::int64_t>::max();
    core_.options.max_in_flight = std::min<std::size_t>(options.max_in_flight, countable);
    core_.log = std::move(log);
  }

  ~implementation() {
    stop();
    host_.reset(); // its workers may still be on their way out of an aggregate, in core_
    way_in_->store(nullptr, std::memory_order_release);
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  [[nodiscard]] result<void> add(registration&& one) {
    category_entry entry;
    entry.shared = &core_;
    auto id = core_.log->register_category(one.type->category());
    if (!id)
      return failure(id);
    entry.id = *id;
    if (core_.find(*id) != nullptr)
      return failure(
        errc::invalid_argument,
        fmt::format("two aggregates have the category '{}'; rename one", one.type->category()));
    for (const auto& described : one.type->events()) {
      auto event = core_.log->register_event_type(described.name);
      if (!event)
        return failure(event);
      entry.event_ids.push_back(*event);
      note_schema(*event, described.schema);
    }
    entry.tag = one.tag;
    entry.index = core_.categories.size();
    entry.type = std::move(one.type);
    core_.categories.push_back(std::move(entry));
    return {};
  }

  [[nodiscard]] result<void> start() {
    if (auto upcast = bind_upcasters(); !upcast)
      return upcast;
    if (auto known = register_timers(); !known)
      return known;
    if (auto registered = storage::register_schemas(*core_.log, schemas_); !registered)
      return registered;
    auto index = storage::stream_index::open(*core_.log, core_.options.index);
    if (!index)
      return failure(index);
    core_.index = std::move(*index);
    ensure(core_.index->watermark() == core_.log->tail(), "nobody else writes this log");
    start_snapshots();
    if (core_.log->durability() == storage::durability::process)
      core_.gate = std::make_unique<durability_gate>(core_);
    core_.recovery_limit = recovery_limit::make(core_.options);
    host_.emplace(core_.options);
    core_.bytes_of_actor = actor_host::bytes_of_actor();
    registry_.emplace(core_, *host_);
    housekeeper_.emplace(core_, *registry_);
    core_.committer =
      std::make_unique<runtime::committer>(core_, *housekeeper_, core_.options.workers);
    truncator_.emplace(core_, *housekeeper_, *registry_, [this] { return admit(); });
    if (core_.timers != nullptr)
      if (auto opened = core_.timers->open(); !opened)
        return opened;
    start_chores();
    accepting_.store(true, std::memory_order_seq_cst);
    if (core_.timers != nullptr && !driver_) { // last, as some may be due
      timer_thread_.emplace(*core_.timers, "acta.timers");
      core_.timers->listen_to_clock();
    }
    return {};
  }

  [[nodiscard]] result<void> send(const void* tag, const stream_id& stream,
                                  std::unique_ptr<detail::envelope> command,
                                  const command_options& options) override {
    const auto* category = core_.find(stream.category());
    if (category == nullptr || category->tag != tag)
      return refuse(category, stream);
    if (!command->has_handler())
      return failure(errc::invalid_argument,
                     fmt::format("stream {}: the outcome handler is empty",
                                 stream.to_string(category->type->category())));
    if (auto checked = check(options); !checked)
      return checked;
    if (!options.metadata.empty()) {
      auto encoded = storage::encode_metadata(options.metadata);
      if (!encoded)
        return failure(encoded);
      command->set_metadata(std::move(*encoded));
    }
    if (is_sampled())
      command->times().sent = monotonic_ns();
    return while_full(options, [&] { return try_to_send(*category, stream, command); });
  }

  [[nodiscard]] result<void> send(std::unique_ptr<detail::atomic_request> command,
                                  const command_options& options) {
    if (auto checked = check(options); !checked)
      return checked;
    auto made = atomic_command::make(core_, *registry_, std::move(command), options);
    if (!made)
      return failure(made);
    return while_full(options, [&] {
      auto admitted = admit_in_time();
      if (admitted)
        (*made)->start();
      return admitted;
    });
  }

  [[nodiscard]] outcome truncate(const void* tag, const stream_id& stream, bool removes) {
    const auto* category = core_.find(stream.category());
    if (category == nullptr || category->tag != tag)
      return refuse(category, stream);
    if (auto may = at_work::check_may_wait(); !may)
      return failure(may);
    return truncator_->run(*category, stream, removes);
  }

  /// Counts a command in, which must be answered, or says why it may not be sent.
  [[nodiscard]] result<void> admit() {
    auto& committer = *core_.committer;
    if (!committer.admit())
      return failure(errc::overloaded,
                     fmt::format("{} commands are in flight, as many as "
                                 "engine_options::max_in_flight allows; wait for outcomes",
                                 core_.options.max_in_flight));
    // After admit(): stop() first refuses, then waits for all admitted, so none slips through.
    if (!accepting_.load(std::memory_order_seq_cst) || committer.has_failed()) {
      committer.undo_admission();
      if (auto why = committer.failed())
        return std::unexpected(std::move(*why));
      return failure(errc::engine_stopped, "the engine is stopped; open it again");
    }
    return {};
  }

  [[nodiscard]] result<history> read(const stream_id& stream, const storage::log_snapshot& snapshot,
                                     stream_version from, std::size_t max, storage::direction way) {
    if (auto indexed = housekeeper_->index_up_to(snapshot.tail()); !indexed)
      return failure(indexed);
    history found;
    while (found.records.size() < max) { // once more if upcasters dropped some
      const auto wanted = max - found.records.size();
      auto stored = core_.index->read(stream, snapshot, from, wanted, way);
      if (!stored)
        return failure(stored);
      const auto now = core_.upcasters.apply(*stored, found.memory);
      if (!now)
        return std::unexpected(now.error());
      found.records.insert(found.records.end(), now->begin(), now->end());
      if (stored->size() < wanted)
        break;
      const auto last = stored->back().version();
      from = way == storage::direction::forward ? last.next() : stream_version(last.value() - 1);
    }
    return found;
  }

  void stop() noexcept {
    const std::lock_guard guard(stop_mutex_);
    if (!accepting_.exchange(false, std::memory_order_seq_cst))
      return;
    core_.committer->made_room(); // for those who wait for some to hear of it
    if (driver_) {
      driver_->run_until([this] { return core_.committer->is_idle() && host_->has_resumed_all(); });
      driver_->finish_chores();
    } else {
      core_.committer->drain();
      host_->wait_for_coroutines();
    }
    if (housekeeper_thread_)
      housekeeper_thread_->stop();
    housekeeper_->end();
    if (committer_thread_) // else the worker commits, which has nothing to commit any more
      committer_thread_->stop();
    if (snapshot_thread_)
      snapshot_thread_->stop();
    if (timer_thread_)
      timer_thread_->stop();
    if (core_.timers != nullptr)
      core_.timers->end();
    registry_->clear(); // the host goes on, for projectors and others' actors, until the end
  }

  bool run_one() { return driver_ && driver_->run_one(); }

  [[nodiscard]] core& shared() noexcept { return core_; }
  [[nodiscard]] const core& shared() const noexcept { return core_; }
  [[nodiscard]] actor_host& host() noexcept { return *host_; }
  [[nodiscard]] std::shared_ptr<const entrance_while_open> way_in() const { return way_in_; }
  [[nodiscard]] std::uint64_t live_aggregates() const noexcept { return registry_->size(); }

  [[nodiscard]] const category_entry* category_of(const void* tag) const noexcept {
    const auto found = std::ranges::find(core_.categories, tag, &category_entry::tag);
    return found == core_.categories.end() ? nullptr : &*found;
  }

private:
  [[nodiscard]] result<void> check(const command_options& options) const {
    if (options.answered == acknowledgement::durable
        && core_.log->durability() == storage::durability::memory)
      return failure(errc::invalid_argument,
                     "command_options::answered is durable, and the log is in memory: a power "
                     "loss leaves nothing of it");
    if (options.answered == acknowledgement::durable && driver_ && core_.gate != nullptr)
      return failure(errc::invalid_argument,
                     "command_options::answered is durable, and the engine is deterministic: the "
                     "log's background sync is not");
    return {};
  }

  /// Every so many-th command of this thread.
  [[nodiscard]] bool is_sampled() const noexcept {
    thread_local std::uint32_t since = 0;
    const auto every = core_.options.latency_sample;
    if (every == 0 || ++since < every)
      return false;
    since = 0;
    return true;
  }

  /// Tries once, and then while there is no room, as long as the caller will wait for some.
  template <class Attempt>
  [[nodiscard]] result<void> while_full(const command_options& options, Attempt attempt) {
    auto sent = attempt();
    const auto full = [&] { return !sent && sent.error().code() == errc::overloaded; };
    const bool waits = full() && options.wait_for_room.count() > 0 && !at_work::is_here();
    while (driver_ && waits && full() && driver_->run_one())
      sent = attempt();
    if (!driver_ && waits)
      sent = core_.committer->try_while_full(options.wait_for_room, attempt);
    if (full())
      core_.overloaded.fetch_add(1, std::memory_order_relaxed);
    return sent;
  }

  [[nodiscard]] result<void> admit_in_time() {
    if (auto admitted = admit(); !admitted)
      return admitted; // first: an engine that has stopped says so, however far its index is
    auto in_time = housekeeper_->check_index_in_time();
    if (!in_time)
      core_.committer->undo_admission();
    return in_time;
  }

  [[nodiscard]] result<void> try_to_send(const category_entry& category, const stream_id& stream,
                                         std::unique_ptr<detail::envelope>& command) {
    auto delivered = try_to_deliver(category, stream, command);
    if (!delivered)
      return failure(delivered);
    if (*delivered == registry::delivery::done)
      return {};
    return no_room(*delivered, core_, category, stream);
  }

  /// Errors: those that are not of this aggregate alone.
  [[nodiscard]] result<registry::delivery>
  try_to_deliver(const category_entry& category, const stream_id& stream,
                 std::unique_ptr<detail::envelope>& command) {
    if (auto admitted = admit_in_time(); !admitted)
      return failure(admitted);
    const auto delivered = registry_->send(category, stream, command);
    if (delivered != registry::delivery::done)
      core_.committer->undo_admission();
    if (delivered == registry::delivery::memory_full)
      housekeeper_->wake();
    return delivered;
  }

  void note_schema(event_type_id type, std::span<const std::uint8_t> schema) {
    if (!schema.empty())
      schemas_.push_back({type, std::as_bytes(schema)});
  }

  /// After all aggregates are added: upcasters lead to their event types.
  [[nodiscard]] result<void> bind_upcasters() {
    auto& log = *core_.log;
    auto bound = upcasters::bind(core_.options.upcasters, log);
    if (!bound)
      return failure(bound);
    core_.upcasters = std::move(*bound);
    for (const auto& one : core_.options.upcasters)
      for (event_type_id id(1); !log.event_type_name(id).empty(); id = id.next())
        if (log.event_type_name(id) == one.from_type)
          note_schema(id, one.from_schema);
    return {};
  }

  std::vector<storage::event_schema> schemas_; ///< Of the program; for start().

  [[nodiscard]] result<void> register_timers() {
    const auto event = timer_event_of(core_);
    if (!event)
      return std::unexpected(event.error());
    core_.timer_event = *event;
    if (!handles_timers(core_))
      return {};
    schemas_.push_back({*event, timer_event_schema()});
    core_.timers = std::make_unique<timer_service>(
      core_, [this](const auto& category, const auto& stream, auto& timer) -> result<bool> {
        auto delivered = try_to_deliver(category, stream, timer);
        if (!delivered)
          return failure(delivered);
        return *delivered == registry::delivery::done;
      });
    return {};
  }

  /// Finds somebody for each. Nothing is to be done yet.
  void start_chores() {
    const auto& options = core_.options;
    if (options.deterministic_seed) {
      driver_.emplace(*host_, *options.deterministic_seed);
      driver_->add(*core_.committer);
      driver_->add(*housekeeper_);
      if (core_.snapshots != nullptr)
        driver_->add(*core_.snapshots);
      if (core_.timers != nullptr)
        driver_->add(*core_.timers);
      core_.callers.drive(*driver_);
      return;
    }
    if (options.wait == waiting::spin)
      core_.callers.may_spin(spare_cores(options));
    housekeeper_thread_.emplace(*housekeeper_, "acta.housekeep");
    if (core_.snapshots != nullptr)
      snapshot_thread_.emplace(*core_.snapshots, "acta.snapshots", snapshot_writer::pause);
    if (options.commit == commit_by::worker)
      host_->add(*core_.committer);
    else
      committer_thread_.emplace(*core_.committer, "acta.committer");
  }

  void start_snapshots() {
    const auto has_any = [](const category_entry& one) {
      return one.type->snapshot_schema_hash() != 0;
    };
    if (core_.options.snapshot_every == 0 || std::ranges::none_of(core_.categories, has_any))
      return;
    if (core_.options.snapshots == nullptr)
      core_.options.snapshots = open_or_make_snapshots();
    if (core_.options.snapshots == nullptr)
      return;
    core_.snapshots = std::make_unique<snapshot_writer>(core_);
    for (auto& one : core_.categories)
      one.snapshot_schema_hash = one.type->snapshot_schema_hash();
  }

  /// Snapshots are derived, so that damaged ones are no reason not to open. Null if there can be
  /// none.
  [[nodiscard]] std::shared_ptr<storage::snapshot_store> open_or_make_snapshots() const {
    const storage::snapshot_options how{.keep = core_.options.snapshots_kept};
    auto opened = storage::open_snapshots(*core_.log, how);
    if (!opened
        && (opened.error().code() == errc::corrupt
            || opened.error().code() == errc::newer_format)) {
      core_.warn(opened.error().code(),
                 fmt::format("all snapshots are removed, and taken again with time: {}",
                             opened.error().message()));
      auto removed = storage::remove_snapshots(*core_.log);
      opened = removed ? storage::open_snapshots(*core_.log, how) : failure(removed);
    }
    if (opened)
      return std::move(*opened);
    core_.warn(opened.error().code(),
               fmt::format("the engine goes on without snapshots: {}", opened.error().message()));
    return nullptr;
  }

  std::optional<actor_host> host_;
  std::optional<registry> registry_;
  std::optional<housekeeper> housekeeper_;
  std::optional<truncator> truncator_;
  core core_;
  std::optional<driver> driver_; ///< In the place of all threads.
  // Behind what they work on.
  std::optional<chore_thread> housekeeper_thread_;
  std::optional<chore_thread> committer_thread_;
  std::optional<chore_thread> snapshot_thread_;
  std::optional<chore_thread> timer_thread_;
  std::atomic<bool> accepting_{false};
  std::shared_ptr<entrance_while_open> way_in_ = std::make_shared<entrance_while_open>(this);
  std::mutex stop_mutex_;
};

namespace {

class subscription final : public engine::tail_subscription {
public:
  subscription(answerer& of, engine::tail_listener listener)
      : of_(of), which_(of.add_listener(std::move(listener))) {}
  ~subscription() override { of_.remove_listener(which_); }

private:
  answerer& of_;
  answerer::listener_handle which_;
};

} // namespace

engine::engine(std::unique_ptr<implementation> made) noexcept : implementation_(std::move(made)) {}

engine::~engine() = default;

result<std::unique_ptr<engine>> engine::open(std::unique_ptr<storage::event_log> log,
                                             const engine_options& options,
                                             std::vector<registration> types) {
  if (log == nullptr)
    return failure(errc::invalid_argument, "engine::open: the log is null");
  if (auto checked = check(options); !checked)
    return failure(checked);
  auto made = std::make_unique<implementation>(std::move(log), options);
  if (auto checked = check_threads(made->shared().options); !checked)
    return failure(checked);
  for (auto& one : types)
    if (auto added = made->add(std::move(one)); !added)
      return failure(added);
  if (auto started = made->start(); !started)
    return failure(started);
  return std::unique_ptr<engine>(new engine(std::move(made)));
}

result<void> engine::send(const void* tag, const stream_id& stream,
                          std::unique_ptr<detail::envelope> command,
                          const command_options& options) {
  return implementation_->send(tag, stream, std::move(command), options);
}

result<void> engine::send(std::unique_ptr<detail::atomic_request> command,
                          const command_options& options) {
  return implementation_->send(std::move(command), options);
}

std::shared_ptr<const std::atomic<entrance*>> engine::way_in() const {
  return implementation_->way_in();
}

void engine::resume(detail::resumption& waiting) {
  implementation_->host().resume(waiting);
}

std::unexpected<error> engine::not_in_time() {
  return failure(errc::timed_out,
                 "the outcome did not come within command_options::wait_for_outcome; it is not "
                 "known what becomes of the command: send it again with the same id");
}

result<void> engine::check_may_wait() {
  return at_work::check_may_wait();
}

void engine::wait(detail::arrival& pending, std::chrono::nanoseconds at_most) {
  implementation_->shared().callers.wait(pending, at_most);
}

outcome engine::truncate(const void* tag, const stream_id& stream, bool removes) {
  return implementation_->truncate(tag, stream, removes);
}

category_id engine::category_of(const void* tag) const {
  const auto* found = implementation_->category_of(tag);
  return found != nullptr ? found->id : category_id{}; // which send() refuses
}

command_counters engine::counters_of(const void* tag) const {
  const auto* found = implementation_->category_of(tag);
  return found != nullptr ? found->telemetry->counters() : command_counters{};
}

command_latencies engine::latencies_of(const void* tag) const {
  const auto* found = implementation_->category_of(tag);
  return found != nullptr ? found->telemetry->latencies() : command_latencies{};
}

result<history> engine::read(const stream_id& stream, const storage::log_snapshot& snapshot,
                             stream_version from, std::size_t max, storage::direction way) {
  return implementation_->read(stream, snapshot, from, max, way);
}

void engine::stop() noexcept {
  if (auto may = at_work::check_may_wait(); !may)
    implementation_->shared().warn(may.error().code(), "engine::stop(): " + may.error().message());
  else
    implementation_->stop();
}

bool engine::run_one() {
  return implementation_->run_one();
}

std::size_t engine::run_until_idle() {
  std::size_t steps = 0;
  while (run_one())
    ++steps;
  return steps;
}

const storage::event_log& engine::log() const noexcept {
  return *implementation_->shared().log;
}

const upcasters& engine::upcasters() const noexcept {
  return implementation_->shared().upcasters;
}

const acta::clock& engine::clock() const noexcept {
  return *implementation_->shared().options.clock;
}

engine_counters engine::counters() const noexcept {
  const auto& shared = implementation_->shared();
  return {.commits = shared.committer->commits(),
          .events = shared.committer->events(),
          .live_aggregates = implementation_->live_aggregates(),
          .passivated = shared.passivated.load(std::memory_order_relaxed),
          .aggregate_memory = static_cast<std::uint64_t>(
            std::max<std::int64_t>(0, shared.aggregate_memory.load(std::memory_order_relaxed))),
          .recoveries = shared.recoveries.load(std::memory_order_relaxed),
          .recovery_failures = shared.recovery_failures.load(std::memory_order_relaxed),
          .overloaded = shared.overloaded.load(std::memory_order_relaxed)};
}

std::optional<error> engine::failed() const {
  return implementation_->shared().committer->failed();
}

std::unique_ptr<engine::tail_subscription> engine::on_tail(tail_listener listener) {
  return std::make_unique<subscription>(implementation_->shared().committer->answers(),
                                        std::move(listener));
}

caf::actor_system& engine::system() noexcept {
  return implementation_->host().system();
}

} // namespace acta::runtime
