#include "scheduler.hpp"

#include "../cores.hpp"
#include "../shard.hpp"
#include "../thread_name.hpp"
#include "caf_error.hpp"
#include "coroutine_job.hpp"

#include <acta/base/ensure.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <fmt/format.h>

#include <atomic>
#include <optional>

namespace acta::runtime {

namespace {

/// Messages an actor handles before others have their turn: so many that the turn costs nothing
/// beside them, and so few that nobody waits long for an actor with a full mailbox.
constexpr std::size_t messages_per_job = 64;

/// Where no thread may print.
class silent_printer final : public caf::event_based_actor {
public:
  explicit silent_printer(caf::actor_config& config) : caf::event_based_actor(config) {
    set_default_handler(caf::drop);
  }
  caf::behavior make_behavior() override {
    return {[](const caf::unit_t&) {}};
  }
};

} // namespace

host_config::host_config(const engine_options& from) : options(from) {
  load<scheduler>();
  render_errors_in(*this);
  set("scheduler.max-threads", std::size_t{from.workers});
}

worker* host_config::driven_worker_of(caf::actor_system& system) noexcept {
  const auto* ours = dynamic_cast<const host_config*>(&system.config());
  if (ours == nullptr || !ours->options.deterministic_seed)
    return nullptr;
  return &scheduler::of(system).first_worker();
}

scheduler::scheduler(caf::actor_system& system)
    : caf::scheduler::abstract_coordinator(system),
      options_(static_cast<const host_config&>(system.config()).options) {}

scheduler::~scheduler() = default;

caf::actor_system::module* scheduler::make(caf::actor_system& system, caf::detail::type_list<>) {
  return new scheduler(system); // the system's, which deletes it
}

worker& scheduler::home_of(const compact_stream& stream) noexcept {
  return *workers_[shard_of(stream, workers_.size())];
}

void scheduler::enqueue(caf::resumable* job) {
  const auto which = next_worker_.fetch_add(1, std::memory_order_relaxed);
  workers_[which % workers_.size()]->schedule(job);
}

void scheduler::resume(detail::resumption& waiting) {
  ensure(waiting.waiting != nullptr, "a coroutine awaits this");
  to_resume_.fetch_add(1, std::memory_order_relaxed); // told by the queue to who resumes it
  enqueue(coroutine_job::make(waiting));
}

void scheduler::resumed_one() noexcept {
  const auto before = to_resume_.fetch_sub(1, std::memory_order_release);
  ensure(before >= 1, "no more coroutines are resumed than wait");
  if (before == 1)
    to_resume_.notify_all();
}

void scheduler::wait_for_coroutines() const noexcept {
  for (;;) {
    const auto left = to_resume_.load(std::memory_order_acquire);
    if (left == 0)
      return;
    to_resume_.wait(left, std::memory_order_acquire);
  }
}

caf::actor_clock& scheduler::clock() noexcept {
  if (options_.deterministic_seed)
    return stopped_clock_;
  return clock_;
}

void scheduler::start_workers() {
  const auto cores = usable_cores();
  const auto not_pinned = [this](std::size_t core) {
    if (options_.warning)
      options_.warning(error(
        errc::io, fmt::format("a worker could not be pinned to core {}; it runs on any", core)));
  };
  for (std::size_t i = 0; i < options_.workers; ++i) {
    std::optional<std::size_t> core;
    if (options_.pin_workers) // from the last: callers and interrupts tend to the first
      core = cores[cores.size() - 1 - i % cores.size()];
    workers_.push_back(
      std::make_unique<worker>(system(), worker::settings{.messages_per_job = messages_per_job,
                                                          .wait = options_.wait,
                                                          .core = core,
                                                          .not_pinned = not_pinned}));
  }
  for (const auto& one : workers_)
    one->start();
}

void scheduler::start() {
  if (options_.deterministic_seed) {
    start_without_threads();
    return;
  }
  start_workers();
  ensure(!workers_.empty(), "a scheduler has a worker");
  clock_thread_ = std::thread([this] {
    name_this_thread("acta.clock");
    system().thread_started();
    clock_.run_dispatch_loop();
    system().thread_terminates();
  });
  abstract_coordinator::start();
}

/// Not CAF's start() either, which starts a printer with a thread of its own.
void scheduler::start_without_threads() {
  workers_.push_back(std::make_unique<worker>(
    system(),
    worker::settings{.messages_per_job = 1, .wait = waiting::park, .core = {}, .not_pinned = {}}));
  utility_actors_[printer_id] = system().spawn<silent_printer, caf::hidden>();
}

void scheduler::stop() {
  if (options_.deterministic_seed) {
    stop_without_threads();
    return;
  }
  stop_actors();
  for (const auto& one : workers_)
    one->end();
  clock_.cancel_dispatch_loop();
  clock_thread_.join();
  for (const auto& one : workers_) // the clock, too, may have scheduled some
    one->release_jobs();
}

void scheduler::stop_without_threads() {
  for (auto& one : utility_actors_) {
    caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
    one = nullptr;
  }
  auto& only = first_worker();
  for (auto left = only.jobs(); left != 0; --left)
    only.run_job(0);
  only.release_jobs();
}

} // namespace acta::runtime
