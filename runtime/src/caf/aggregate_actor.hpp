#pragma once

#include "../aggregate.hpp"
#include "../mailbox.hpp"

#include <acta/base/ensure.hpp>

#include <caf/actor_config.hpp>
#include <caf/intrusive/lifo_inbox.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/monitorable_actor.hpp>
#include <caf/resumable.hpp>

#include <memory>
#include <utility>

namespace acta::runtime {

/// An aggregate as a CAF actor: any CAF actor can address, link and monitor it. Derived from CAF's
/// monitorable_actor with CAF's lock-free inbox and nothing else, since a million of them must fit:
/// an event_based_actor has 1,016 bytes, and a local_actor 40 for what is only of use to actors
/// with behaviours.
///
/// Lifecycle: lives while the registry holds it (hold() to drop()) or a worker or sender has it in
/// hand. It cannot be ended by an exit message: its commands must all be answered.
/// Concurrency: resume() is called by one worker alone, on which it is at home; CAF's inbox sees to
/// it that an actor is given to the scheduler only by the sender that finds it blocked. One that
/// pauses leaves its inbox unblocked, so that nobody schedules it but who calls proceed().
class aggregate_actor final : public caf::monitorable_actor,
                              public caf::resumable,
                              public aggregate {
public:
  aggregate_actor(caf::actor_config& config, const category_entry& category,
                  const stream_id& stream);
  ~aggregate_actor() override;

  /// For the registry, until drop().
  void hold() { intrusive_ptr_add_ref_impl(); }

  // -- mailbox ------------------------------------------------------------------
  void deliver(std::unique_ptr<detail::envelope> command) override;
  void deliver(std::unique_ptr<truncation_request> request) override;
  void deliver(std::unique_ptr<hold_request> request) override;
  void proceed() override;
  void drop() noexcept override;

  // -- caf::abstract_actor ------------------------------------------------------
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override;
  void on_destroy() override;
  [[nodiscard]] const char* name() const override { return "acta.aggregate"; }

  // -- caf::resumable -----------------------------------------------------------
  /// Not scheduled_actor: CAF would take it for its class of that name.
  [[nodiscard]] subtype_t subtype() const override { return resumable::unspecified; }
  resume_result resume(caf::execution_unit* unit, std::size_t max_throughput) override;
  void intrusive_ptr_add_ref_impl() override;
  void intrusive_ptr_release_impl() override;

private:
  struct inbox_policy {
    using mapped_type = caf::mailbox_element;
    using unique_pointer = caf::mailbox_element_ptr;
  };

  void fetch() noexcept;
  [[nodiscard]] caf::mailbox_element_ptr pop() noexcept;
  void schedule(caf::execution_unit* unit);
  [[nodiscard]] bool is_held() noexcept;
  [[nodiscard]] bool handle_next(caf::execution_unit* unit);
  void handle_message(caf::mailbox_element_ptr element, caf::execution_unit* unit);

  caf::intrusive::lifo_inbox<inbox_policy> inbox_;
  caf::mailbox_element* waiting_ = nullptr; ///< Taken from the inbox, in order of arrival.
};

} // namespace acta::runtime
