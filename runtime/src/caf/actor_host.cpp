#include "actor_host.hpp"

#include "aggregate_actor.hpp"
#include "scheduler.hpp"

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/make_actor.hpp>

#include <utility>

namespace acta::runtime {

/// A million of them are to fit in 450 MB with their places in the registry. Allocators round up:
/// tcmalloc's next size is 384.
static_assert(sizeof(caf::actor_storage<aggregate_actor>) <= 360);

class actor_host::implementation {
public:
  explicit implementation(const engine_options& options) : config_(options), system_(config_) {}

  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }

private:
  host_config config_;
  caf::actor_system system_;
};

actor_host::actor_host(const engine_options& options)
    : implementation_(std::make_unique<implementation>(options)) {}

actor_host::~actor_host() = default;

mailbox& actor_host::spawn(const category_entry& category, const stream_id& stream) {
  auto& in = system();
  caf::actor_config config;
  config.flags |= caf::abstract_actor::is_hidden_flag;
  const auto handle = caf::make_actor<aggregate_actor, caf::actor>(in.next_actor_id(), in.node(),
                                                                   &in, config, category, stream);
  auto* made = static_cast<aggregate_actor*>(caf::actor_cast<caf::abstract_actor*>(handle));
  made->hold();
  return *made;
}

void actor_host::add(chore& todo) noexcept {
  scheduler::of(system()).first_worker().add(todo);
}

void actor_host::resume(detail::resumption& waiting) {
  scheduler::of(system()).resume(waiting);
}

bool actor_host::has_resumed_all() const noexcept {
  return scheduler::of(implementation_->system()).has_resumed_all();
}

void actor_host::wait_for_coroutines() const noexcept {
  scheduler::of(implementation_->system()).wait_for_coroutines();
}

std::size_t actor_host::jobs() {
  return scheduler::of(system()).first_worker().jobs();
}

void actor_host::run_job(std::size_t which) {
  scheduler::of(system()).first_worker().run_job(which);
}

std::size_t actor_host::bytes_of_actor() noexcept {
  constexpr std::size_t place_in_registry = 24; // a pointer and its hash, in a table half full
  return sizeof(caf::actor_storage<aggregate_actor>) + place_in_registry;
}

caf::actor_system& actor_host::system() noexcept {
  return implementation_->system();
}

} // namespace acta::runtime
