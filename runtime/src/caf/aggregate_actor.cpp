#include "aggregate_actor.hpp"

#include "../atomic_command.hpp"
#include "../truncation_request.hpp"
#include "reference_counts.hpp"
#include "scheduler.hpp"

#include <caf/actor_system.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/detail/type_erased_tuple_view.hpp>
#include <caf/execution_unit.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

namespace acta::runtime {

namespace {

/// The content of a command's mailbox element, for those who look from CAF's side: nothing. Its
/// address tells commands from messages.
[[nodiscard]] caf::type_erased_tuple& command_content() noexcept {
  static caf::detail::type_erased_tuple_view<> empty;
  return empty;
}

/// The same of a request to truncate.
[[nodiscard]] caf::type_erased_tuple& request_content() noexcept {
  static caf::detail::type_erased_tuple_view<> empty;
  return empty;
}

/// The same of an atomic command that is to hold the actor.
[[nodiscard]] caf::type_erased_tuple& hold_content() noexcept {
  static caf::detail::type_erased_tuple_view<> empty;
  return empty;
}

/// A command in an actor's mailbox. Lies in the command itself, which it owns until take().
template <class Command, caf::type_erased_tuple& (*Content)() noexcept>
class carried_element final : public caf::mailbox_element {
public:
  [[nodiscard]] static caf::mailbox_element_ptr make(std::unique_ptr<Command> command) {
    static_assert(sizeof(carried_element) <= detail::envelope::carrier_size);
    static_assert(alignof(carried_element) <= 8);
    auto* place = command->carrier();
    return caf::mailbox_element_ptr(new (place) carried_element(std::move(command)));
  }
  ~carried_element() override { ensure(command_ == nullptr, "a command was dropped unanswered"); }

  [[nodiscard]] std::unique_ptr<Command> take() noexcept { return std::move(command_); }
  [[nodiscard]] Command& look() noexcept { return *command_; }

  caf::type_erased_tuple& content() override { return Content(); }
  [[nodiscard]] const caf::type_erased_tuple& content() const override { return Content(); }
  caf::message move_content_to_message() override { return {}; }
  [[nodiscard]] caf::message copy_content_to_message() const override { return {}; }

  /// Ends it; its memory is the command's.
  void request_deletion(bool) const noexcept override { this->~carried_element(); }

private:
  explicit carried_element(std::unique_ptr<Command> command) noexcept
      : command_(std::move(command)) {}

  std::unique_ptr<Command> command_;
};

using command_element = carried_element<detail::envelope, command_content>;
using request_element = carried_element<truncation_request, request_content>;
using hold_element = carried_element<hold_request, hold_content>;

} // namespace

aggregate_actor::aggregate_actor(caf::actor_config& config, const category_entry& category,
                                 const stream_id& stream)
    : caf::monitorable_actor(config), aggregate(category, stream) {
  ensure(inbox_.try_block(), "a new inbox is empty");
}

aggregate_actor::~aggregate_actor() {
  while (waiting_ != nullptr)
    (void)pop();
}

void aggregate_actor::deliver(std::unique_ptr<detail::envelope> command) {
  enqueue(command_element::make(std::move(command)), nullptr);
}

void aggregate_actor::deliver(std::unique_ptr<truncation_request> request) {
  enqueue(request_element::make(std::move(request)), nullptr);
}

void aggregate_actor::deliver(std::unique_ptr<hold_request> request) {
  enqueue(hold_element::make(std::move(request)), nullptr);
}

void aggregate_actor::proceed() {
  schedule(nullptr);
}

void aggregate_actor::drop() noexcept {
  intrusive_ptr_release_impl(); // ends this now, unless somebody has it in hand
}

void aggregate_actor::enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) {
  const auto mid = element->mid;
  const auto sender = element->sender;
  switch (inbox_.push_front(std::move(element))) {
    case caf::intrusive::inbox_result::success: break;
    case caf::intrusive::inbox_result::unblocked_reader: schedule(unit); break;
    case caf::intrusive::inbox_result::queue_closed:
      if (mid.is_request()) {
        const caf::detail::sync_request_bouncer bounce{
          caf::make_error(caf::sec::request_receiver_down)};
        bounce(sender, mid);
      }
      break;
  }
}

void aggregate_actor::schedule(caf::execution_unit* unit) {
  intrusive_ptr_add_ref(ctrl()); // the scheduler's, released after resume()
  if (auto& home = scheduler::of(home_system()).home_of(stream()); unit == &home)
    home.exec_later(this);
  else
    home.schedule(this);
}

void aggregate_actor::on_destroy() {
  last_reference_is_gone(this);
  (void)cleanup(caf::make_error(caf::exit_reason::unreachable), nullptr); // tells who monitors it
}

caf::resumable::resume_result aggregate_actor::resume(caf::execution_unit* unit,
                                                      std::size_t max_throughput) {
  ensure(unit == &scheduler::of(home_system()).home_of(stream()), "an aggregate runs at home");
  for (std::size_t round = 0; round < max_throughput; ++round) {
    if (waiting_ == nullptr)
      fetch();
    if (waiting_ == nullptr) {
      if (inbox_.try_block())
        return awaiting_message;
      fetch(); // somebody came between the two looks
    }
    if (!handle_next(unit))
      return awaiting_message; // though nobody will schedule it for one: see proceed()
  }
  return resume_later;
}

/// Takes what is in the inbox, which is newest first, and turns it round.
void aggregate_actor::fetch() noexcept {
  auto* newest = inbox_.take_head();
  while (newest != nullptr) {
    auto* next = newest->next;
    newest->next = waiting_;
    waiting_ = newest;
    newest = static_cast<caf::mailbox_element*>(next);
  }
}

caf::mailbox_element_ptr aggregate_actor::pop() noexcept {
  caf::mailbox_element_ptr first(waiting_);
  waiting_ = static_cast<caf::mailbox_element*>(first->next);
  return first;
}

/// True if an atomic command holds this. Then it loads nothing any more, though it may have failed
/// to; and it must not pause again, as its last turn may come when the registry has dropped it.
bool aggregate_actor::is_held() noexcept {
  return &waiting_->content() == &hold_content()
         && static_cast<hold_element&>(*waiting_).look().has_reached();
}

/// False if the actor pauses before it.
bool aggregate_actor::handle_next(caf::execution_unit* unit) {
  const auto permit = may_have_to_wait() && !is_held() ? ask_to_load() : loading_permit();
  if (!permit)
    return false;
  auto element = pop();
  const auto* content = &element->content();
  if (content == &command_content()) {
    auto command = static_cast<command_element&>(*element).take();
    element.reset(); // before the command, in which it lies, goes to another thread
    handle(std::move(command));
  } else if (content == &request_content()) {
    auto request = static_cast<request_element&>(*element).take();
    element.reset();
    handle(std::move(request));
  } else if (content == &hold_content()) {
    auto& hold = static_cast<hold_element&>(*element);
    if (!hold.look().take_turn(*this)) {
      element->next = waiting_; // it stays the first
      waiting_ = element.release();
      return false;
    }
    const auto released = hold.take();
    element.reset(); // before the request, in which it lies
  } else {
    handle_message(std::move(element), unit);
  }
  return true;
}

/// What is no command: of CAF, or of somebody who took this for an actor like others.
void aggregate_actor::handle_message(caf::mailbox_element_ptr element, caf::execution_unit* unit) {
  if (element->content().type_token() == caf::make_type_token<caf::exit_msg>())
    return;
  if (handle_system_message(*element, unit, true) || !element->mid.is_request())
    return;
  const caf::detail::sync_request_bouncer bounce{caf::make_error(caf::sec::unexpected_message)};
  bounce(*element);
}

void aggregate_actor::intrusive_ptr_add_ref_impl() {
  intrusive_ptr_add_ref(ctrl());
}

void aggregate_actor::intrusive_ptr_release_impl() {
  about_to_let_go(this);
  intrusive_ptr_release(ctrl());
}

} // namespace acta::runtime
