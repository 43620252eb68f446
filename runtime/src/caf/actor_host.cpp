#include "actor_host.hpp"

#include "aggregate_actor.hpp"
#include "shared_queue_policy.hpp"

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/make_actor.hpp>

#include <utility>

namespace acta::runtime {

class actor_host::implementation {
public:
  explicit implementation(unsigned workers) : config_(workers), system_(config_) {}

  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }

private:
  struct config : caf::actor_system_config {
    explicit config(unsigned workers) {
      load<caf::scheduler::coordinator<shared_queue_policy>>();
      set("scheduler.max-threads", std::size_t{workers});
    }
  };

  config config_;
  caf::actor_system system_;
};

actor_host::actor_host(unsigned workers)
    : implementation_(std::make_unique<implementation>(workers)) {}

actor_host::~actor_host() = default;

mailbox& actor_host::spawn(core& shared, const category_entry& category, const stream_id& stream) {
  auto& in = system();
  caf::actor_config config;
  config.flags |= caf::abstract_actor::is_hidden_flag;
  const auto handle = caf::make_actor<aggregate_actor, caf::actor>(
    in.next_actor_id(), in.node(), &in, config, shared, category, stream);
  auto* made = static_cast<aggregate_actor*>(caf::actor_cast<caf::abstract_actor*>(handle));
  made->hold();
  return *made;
}

caf::actor_system& actor_host::system() noexcept {
  return implementation_->system();
}

} // namespace acta::runtime
