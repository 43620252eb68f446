#include "aggregate_proxy.hpp"

#include "reference_counts.hpp"

#include <acta/base/ensure.hpp>
#include <acta/runtime/caf.hpp>

#include <caf/actor_system.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/exit_reason.hpp>
#include <caf/make_actor.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

#include <fmt/format.h>

#include <cxxabi.h>

#include <cstdlib>
#include <string>
#include <utility>

namespace acta::runtime {

namespace {

[[nodiscard]] std::string name_of(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
    abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : type.name();
}

} // namespace

void detail::message_sender::answer(caf::message with, caf::execution_unit* unit) {
  if (!stages_.empty() && id_.is_request()) {
    const auto next = std::move(stages_.back());
    stages_.pop_back();
    next->enqueue(
      caf::make_mailbox_element(std::move(sender_), id_, std::move(stages_), std::move(with)),
      unit);
  } else if (sender_ && id_.is_request()) {
    sender_->enqueue(std::move(receiver_), id_.response_id(), std::move(with), unit);
  }
}

void detail::message_sender::answer(const error& why, caf::execution_unit* unit) {
  answer(caf::make_message(to_caf_error(why)), unit);
}

aggregate_proxy::aggregate_proxy(caf::actor_config& config,
                                 std::shared_ptr<const entrance_while_open> to, const void* tag,
                                 const stream_id& stream, const detail::message_reader& reader)
    : caf::monitorable_actor(config), to_(std::move(to)), tag_(tag), stream_(stream),
      reader_(reader) {
  ensure(to_ != nullptr, "a proxy is an engine's");
  ensure(!reader_.commands().empty(), "an aggregate has commands");
  about_to_let_go(this);
}

aggregate_proxy::~aggregate_proxy() {
  last_reference_is_gone(this);
}

void aggregate_proxy::on_destroy() {
  (void)cleanup(caf::make_error(caf::exit_reason::unreachable), nullptr); // unless it was
  about_to_let_go(this);
}

void aggregate_proxy::enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) {
  ensure(element != nullptr, "a message is there");
  // Whoever sent it may let go of this meanwhile.
  const caf::strong_actor_ptr self(ctrl());
  last_reference_is_gone(this);
  if (handle_system_message(*element, unit, false)) {
    about_to_let_go(this);
    return;
  }
  if (getf(is_cleaned_up_flag)) {
    const caf::detail::sync_request_bouncer bounce{
      caf::make_error(caf::sec::request_receiver_down)};
    bounce(*element);
  } else {
    detail::message_sender from(self, *element);
    if (auto sent = send(*element, from); !sent)
      from.answer(sent.error(), unit);
  }
  about_to_let_go(this);
}

result<void> aggregate_proxy::send(const caf::mailbox_element& element,
                                   const detail::message_sender& from) const {
  auto* to = to_->load(std::memory_order_acquire);
  if (to == nullptr)
    return failure(errc::engine_stopped, "the engine is gone; open it again");
  const auto& message = element.content();
  const bool has_options = message.size() == 2 && message.match_element<command_options>(1);
  if (message.size() != 1 && !has_options)
    return what_is_taken();
  auto options = has_options ? message.get_as<command_options>(1) : command_options{};
  options.wait_for_room = {};
  auto command = reader_.read(message, options, from);
  if (command == nullptr)
    return what_is_taken();
  return to->send(tag_, stream_, std::move(command), options);
}

std::unexpected<error> aggregate_proxy::what_is_taken() const {
  std::string names;
  for (const auto* one : reader_.commands())
    names += (names.empty() ? "" : ", ") + name_of(*one);
  return failure(errc::invalid_argument,
                 fmt::format("stream {}: the message is no command; it takes one of {}, alone or "
                             "with acta::runtime::command_options behind it",
                             stream_.to_string(), names));
}

caf::actor engine::actor(const void* tag, const stream_id& stream,
                         const detail::message_reader& reader) {
  auto& in = system();
  caf::actor_config config;
  config.flags |= caf::abstract_actor::is_hidden_flag;
  return caf::make_actor<aggregate_proxy, caf::actor>(in.next_actor_id(), in.node(), &in, config,
                                                      way_in(), tag, stream, reader);
}

} // namespace acta::runtime
